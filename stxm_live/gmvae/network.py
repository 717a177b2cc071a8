"""The paper's network in Keras: a variational auto-encoder with a Gaussian mixture as prior.

It is imported when a training starts, because it loads TensorFlow.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from stxm_live.gmvae.options import DROPOUT, N_LATENT, WIDTHS

SIGMA_FLOOR = 1e-3
"""Smallest standard deviation of a component, so that none collapses onto one spectrum."""

LOG_VARIANCE_RANGE = (-20.0, 10.0)
"""Limits of the log variance, so that exp() of it is finite for any spectrum."""


def build_encoder(n_energies: int) -> keras.Model:
    """Build the network from OD spectra to z_mean and z_logvar, three each.

    Batch normalization and dropout follow the fourth layer only.
    """
    spectra = keras.Input((n_energies,), name="od")
    hidden = spectra
    for width in WIDTHS:
        hidden = layers.Dense(width, activation="relu")(hidden)
    hidden = layers.BatchNormalization()(hidden)
    hidden = layers.Dropout(DROPOUT)(hidden)
    z_mean = layers.Dense(N_LATENT, name="z_mean")(hidden)
    z_logvar = layers.Dense(N_LATENT, name="z_logvar")(hidden)
    return keras.Model(spectra, [z_mean, z_logvar], name="encoder")


def build_decoder(n_energies: int) -> keras.Model:
    """Build the network from latent coordinates to OD spectra, with the widths mirrored."""
    latent = keras.Input((N_LATENT,), name="z")
    hidden = latent
    for width in reversed(WIDTHS):
        hidden = layers.Dense(width, activation="relu")(hidden)
    return keras.Model(latent, layers.Dense(n_energies, name="od")(hidden), name="decoder")


class GMVAE(keras.Model):  # type: ignore[misc]
    """Encoder, decoder and the trainable prior sum_k pi_k N(mu_k, Sigma_k), Sigma_k diagonal.

    The loss of a spectrum x is |x - decode(z)|^2, summed over energies, plus
    ``beta`` * (log q(z|x) - log p(z)) for one sample z from q(z|x). The Kullback-Leibler
    divergence to a mixture has no closed form; one sample is an unbiased estimate of it.
    log p(z) is a log-sum-exp over the components.

    The probabilities of the components are the mixture's responsibilities p(k|z), since the
    paper's Algorithm 2 would give a head of the encoder no gradient.
    """

    def __init__(self, n_energies: int, n_components: int, beta: float, seed: int) -> None:
        super().__init__()
        self.beta = beta
        self.encoder = build_encoder(n_energies)
        self.decoder = build_decoder(n_energies)
        self._noise = keras.random.SeedGenerator(seed)
        spread = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        # softplus(0.54) = 1
        unit = keras.initializers.Constant(0.5413)
        components = (n_components, N_LATENT)
        self.pi_logits = self.add_weight(shape=(n_components,), initializer="zeros", name="pi")
        self.mu = self.add_weight(shape=components, initializer=spread, name="mu")
        self.rho = self.add_weight(shape=components, initializer=unit, name="rho")
        self.reconstruction = keras.metrics.Mean(name="reconstruction")
        self.divergence = keras.metrics.Mean(name="divergence")

    @property
    def sigma(self) -> Any:
        """Return standard deviations of shape (n_components, n_latent)."""
        return ops.softplus(self.rho) + SIGMA_FLOOR

    def component_log_density(self, z: Any) -> Any:
        """Return log of pi_k N(z; mu_k, Sigma_k), shape (n_spectra, n_components)."""
        sigma = self.sigma
        scaled = (z[:, None, :] - self.mu) / sigma
        return (
            ops.log_softmax(self.pi_logits)
            - 0.5 * ops.sum(scaled**2, axis=-1)
            - ops.sum(ops.log(sigma), axis=-1)
            - 0.5 * N_LATENT * math.log(2 * math.pi)
        )

    def responsibilities(self, z: Any) -> Any:
        """Return p(k|z), shape (n_spectra, n_components)."""
        return ops.softmax(self.component_log_density(z), axis=-1)

    def mixture_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the learned prior: ``pi``, ``mu``, and ``sigma`` as standard deviations."""
        parts = {"pi": ops.exp(ops.log_softmax(self.pi_logits)), "mu": self.mu, "sigma": self.sigma}
        return {name: np.asarray(part, dtype=np.float64) for name, part in parts.items()}

    def call(self, od: Any, training: bool = False) -> Any:
        """Reconstruct spectra from one sample of their latent coordinates; adds the loss."""
        z_mean, z_logvar = self.encoder(od, training=training)
        z_logvar = ops.clip(z_logvar, *LOG_VARIANCE_RANGE)
        noise = keras.random.normal(ops.shape(z_mean), seed=self._noise)
        z = z_mean + ops.exp(0.5 * z_logvar) * noise
        decoded = self.decoder(z, training=training)
        log_q = -0.5 * ops.sum(z_logvar + noise**2 + math.log(2 * math.pi), axis=-1)
        log_p = ops.logsumexp(self.component_log_density(z), axis=-1)
        reconstruction = ops.mean(ops.sum((od - decoded) ** 2, axis=-1))
        divergence = ops.mean(log_q - log_p)
        self.add_loss(reconstruction + self.beta * divergence)
        self.reconstruction.update_state(reconstruction)
        self.divergence.update_state(divergence)
        return decoded
