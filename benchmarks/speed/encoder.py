"""Encoder against Keras and numpy on 512 x 512 spectra, side by side in one run.

    python -m benchmarks.speed.encoder [--side 512] [--repeats 3]

The weights are random: the time does not depend on them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, write_figures
from stxm_live.phase_mapping.latent_space.encoder import Encoder, available_cores

N_ENERGIES = 13

TARGET = 15
"""How many times faster than Keras with its default batches the encoder is to be."""


def main() -> None:
    """Print one row per way to encode."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    from stxm_live.gmvae.export import to_tflite
    from stxm_live.gmvae.network import build_encoder

    network = build_encoder(N_ENERGIES)
    z_mean = keras.Model(network.input, network.outputs[0])
    encoder = Encoder(to_tflite(z_mean))
    encoder.warm_up()
    shape = (arguments.side**2, N_ENERGIES)
    spectra = np.random.default_rng(0).uniform(0.0, 3.0, shape).astype(np.float32)
    layers = dense_layers(z_mean)
    ways: dict[str, Callable[[], NDArray[np.float32]]] = {
        "Encoder": lambda: encoder.encode(spectra),
        "numpy": lambda: numpy_encode(layers, spectra),
        "Keras, batches of 4096": lambda: z_mean.predict(spectra, batch_size=4096, verbose=0),
        "Keras, its default": lambda: z_mean.predict(spectra, verbose=0),
    }
    timed = {name: fastest(encode, arguments.repeats) for name, encode in ways.items()}
    show(timed, len(spectra))
    per_s = {name: len(spectra) / seconds for name, (seconds, _) in timed.items()}
    write_figures(arguments.figures, list(encoder_figures(per_s)))


def encoder_figures(per_s: dict[str, float]) -> Iterator[Figure]:
    """Spectra per second, beside each other way."""
    for name, target in (
        ("Keras, its default", Target(TARGET, of="ratio")),
        ("Keras, batches of 4096", None),
        ("numpy", None),
    ):
        beside = Beside(name, per_s[name])
        title = f"encoder, beside {name}"
        yield Figure(title, per_s["Encoder"], "spectra/s", beside, target, larger_is_better=True)


def dense_layers(model) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:  # noqa: ANN001
    """Weights and biases, batch normalisation (which follows the last rectifier) folded in."""
    layers = []
    scale = shift = None
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            scale = gamma / np.sqrt(variance + layer.epsilon)
            shift = beta - mean * scale
        elif kind == "Dense":
            weights, bias = layer.get_weights()
            if scale is not None:
                weights, bias = scale[:, None] * weights, bias + shift @ weights
            layers.append((weights, bias))
    return layers


def numpy_encode(
    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]], spectra: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The same network by numpy's matrix products."""
    parts = []
    for start in range(0, len(spectra), 4096):
        hidden = spectra[start : start + 4096]
        for weights, bias in layers[:-1]:
            hidden = np.maximum(hidden @ weights + bias, 0)
        parts.append(hidden @ layers[-1][0] + layers[-1][1])
    return np.concatenate(parts)


def fastest(
    encode: Callable[[], NDArray[np.float32]], repeats: int
) -> tuple[float, NDArray[np.float32]]:
    """Seconds of the fastest repetition, and the result."""
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        latent = encode()
        durations.append(time.perf_counter() - start)
    return min(durations), latent


def show(timed: dict[str, tuple[float, NDArray[np.float32]]], n_spectra: int) -> None:
    """The table."""
    (unit_s, expected), *_ = timed.values()
    table = Table(
        title=f"{n_spectra} spectra of {N_ENERGIES} energies, {available_cores()} cores, fp32"
    )
    for title in ("", "seconds", "spectra/s", "time", "largest |dz|"):
        table.add_column(title, justify="left" if not title else "right")
    for name, (seconds, latent) in timed.items():
        table.add_row(
            name,
            f"{seconds:.2f}",
            f"{n_spectra / seconds:,.0f}",
            f"{seconds / unit_s:.1f} x",
            f"{np.abs(latent - expected).max():.1e}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
