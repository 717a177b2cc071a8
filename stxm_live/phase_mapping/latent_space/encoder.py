"""Trained networks as LiteRT (TensorFlow Lite) runs them: the only importer of ai_edge_litert."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

BATCH = 2048
"""Rows per call: enough to fill the matrix units, small enough for the processor's cache."""

ENDPOINT = "serve"
"""Name of the signature in the exported model."""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Network:
    """A dense network from rows to rows.

    Every call sees the same number of rows, the last one filled up with zeros: the result of a
    row depends neither on its neighbors nor on the number of threads, bit for bit.

    Parameters
    ----------
    model : path or bytes
        A ``.tflite`` file with the signature ``serve``, one input and one output.
    n_threads : int, optional
        Default: all cores this process may use.
    batch : int
        Rows per call.
    """

    def __init__(
        self, model: str | Path | bytes, n_threads: int | None = None, batch: int = BATCH
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._content = model if isinstance(model, bytes) else Path(model).read_bytes()
        interpreter = Interpreter(
            model_content=self._content, num_threads=n_threads or available_cores()
        )
        self._run = interpreter.get_signature_runner(ENDPOINT)
        ((self._input, inputs),) = self._run.get_input_details().items()
        ((self._output, outputs),) = self._run.get_output_details().items()
        self.n_inputs = int(inputs["shape_signature"][-1])
        self.n_outputs = int(outputs["shape_signature"][-1])
        self._rows = np.zeros((batch, self.n_inputs), dtype=np.float32)
        self._lock = Lock()

    def __call__(self, rows: NDArray[np.floating]) -> NDArray[np.float32]:
        """Output of shape (n_rows, n_outputs); NaN for a row with a value that is not finite.

        Raises
        ------
        ValueError
            If the rows have another length than the network's input.
        """
        if rows.ndim != 2 or rows.shape[1] != self.n_inputs:
            raise ValueError(
                f"the network takes rows of {self.n_inputs} values, got shape {rows.shape}"
            )
        batch = len(self._rows)
        result = np.empty((len(rows), self.n_outputs), dtype=np.float32)
        with self._lock:
            for start in range(0, len(rows), batch):
                part = rows[start : start + batch]
                self._rows[: len(part)] = part
                self._rows[len(part) :] = 0.0
                output = self._run(**{self._input: self._rows})[self._output]
                result[start : start + batch] = output[: len(part)]
        # whether a rectifier keeps NaN or makes it 0 depends on the processor
        result[~np.isfinite(rows).all(axis=1)] = np.nan
        return result


class Encoder:
    """Spectra to latent coordinates: z_mean of the paper's encoder.

    Parameters
    ----------
    model : path or bytes
        ``encoder.tflite`` of a bundle.
    n_threads : int, optional
        Default: all cores this process may use.
    """

    def __init__(self, model: str | Path | bytes, n_threads: int | None = None) -> None:
        self._network = Network(model, n_threads)

    @property
    def n_energies(self) -> int:
        """Return the number of energies that a spectrum must have."""
        return self._network.n_inputs

    def encode(self, spectra: NDArray[np.floating]) -> NDArray[np.float32]:
        """Latent coordinates of spectra.

        Parameters
        ----------
        spectra : ndarray of shape (n_spectra, n_energies)
            Optical density as it is, not normalised.

        Returns
        -------
        ndarray of shape (n_spectra, 3), float32
            NaN for a spectrum with a value that is not finite.
        """
        return self._network(spectra)

    def warm_up(self) -> None:
        """Encode one batch of zeros, so that the first real one costs no more than the next."""
        self._network(np.zeros((1, self.n_energies), dtype=np.float32))
