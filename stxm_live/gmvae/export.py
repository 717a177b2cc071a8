"""Export of Keras models to LiteRT files, with a check that both agree."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from stxm_live.gmvae.network import GMVAE
from stxm_live.gmvae.options import TrainingError
from stxm_live.phase_mapping.latent_space.bundle import Parity
from stxm_live.phase_mapping.latent_space.encoder import ENDPOINT, Network

PARITY_LIMIT = 1e-5
"""Largest difference between LiteRT and Keras, relative to the largest output (or to 1)."""


def to_tflite(model: keras.Model) -> bytes:
    """Return a model of one input and one output as a LiteRT file with signature ``serve``.

    It uses `keras.export.ExportArchive`, because `from_keras_model` leaves the outputs unnamed and
    in arbitrary order, and `from_concrete_functions` gave NaN.
    """
    signature = [keras.InputSpec(shape=(None, *model.input_shape[1:]), dtype="float32")]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model")
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint(
            name=ENDPOINT, fn=lambda x: model(x, training=False), input_signature=signature
        )
        archive.write_out(path, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=[ENDPOINT])
        return bytes(converter.convert())


def _refuse_difference(worst: float, name: str) -> None:
    if not worst <= PARITY_LIMIT:
        raise TrainingError(
            f"the exported networks differ from Keras by {worst:.1e} on {name} spectra "
            f"(limit {PARITY_LIMIT:g}); report it with the versions of tensorflow and keras"
        )


def export_networks(
    model: GMVAE, spectra: Mapping[str, NDArray[np.float32]]
) -> tuple[dict[str, bytes], dict[str, Parity]]:
    """Return ``encoder.tflite`` (z_mean) and ``decoder.tflite``, compared with Keras.

    Raises
    ------
    TrainingError
        If a relative difference is above 1e-5 on one of the sets of spectra.
    """
    z_mean = keras.Model(model.encoder.input, model.encoder.outputs[0], name="z_mean")
    encoder, decoder = to_tflite(z_mean), to_tflite(model.decoder)
    encode, decode = Network(encoder), Network(decoder)
    parity = {}
    for name, od in spectra.items():
        latent = encode(od)
        parity[name] = Parity(
            n_spectra=len(od),
            **_difference("encoder", latent, _in_keras(z_mean, od)),
            **_difference("decoder", decode(latent), _in_keras(model.decoder, latent)),
        )
        _refuse_difference(max(parity[name].encoder_relative, parity[name].decoder_relative), name)
    return {"encoder.tflite": encoder, "decoder.tflite": decoder}, parity


def _in_keras(model: keras.Model, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(model.predict(rows, batch_size=4096, verbose=0))


def _difference(network: str, a: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, float]:
    """Return the largest absolute difference, and the same over the largest value or 1."""
    absolute = float(np.abs(a.astype(np.float64) - b).max())
    scale = max(1.0, float(np.abs(b).max()))
    return {f"{network}_absolute": absolute, f"{network}_relative": absolute / scale}
