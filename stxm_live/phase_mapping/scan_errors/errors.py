"""The errors that a scan's spectra share, as values and in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import empty_like
from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.correlation import Correlated

Cause = Literal["order", "axis", "axes", "images", "lines", "missing"]
"""Images that were taken at other energies of the list, one energy offset, one for each reference,
an error of each image, lines of other strengths than those of the references, or a phase without a
reference."""

MOVES_LABELS = 0.5
"""Log probability per spectrum from which labels are made with the errors of the images."""


@dataclass(frozen=True, eq=False)
class SharedErrors:
    """Errors that the spectra of a scan share.

    Parameters
    ----------
    shift_ev : ndarray of shape (n_phases,)
        True minus nominal energy, for each reference.
    lines : ndarray of shape (n_phases, n_energies)
        Excess of each phase over its reference, as a share of it.
    images_od : ndarray of shape (n_energies,)
        What all spectra of an image have beside their phase.
    order : ndarray of int, shape (n_energies,)
        Number of the energy at which each image was taken.
    missing : ndarray of shape (n_energies,), or None
        Spectrum of a phase without a reference.
    gains : dict
        What explains the spectra, as found one after the other, and by how much it raises the
        log probability of a spectrum.
    n_spectra : int
        Number of spectra that this was found from.
    """

    shift_ev: NDArray[np.float64]
    lines: NDArray[np.float64]
    images_od: NDArray[np.float64]
    order: NDArray[np.intp]
    missing: NDArray[np.float64] | None
    gains: dict[Cause, float]
    n_spectra: int

    @classmethod
    def none(cls, shape: tuple[int, ...], n_spectra: int) -> SharedErrors:
        """Return no errors at all of references of that shape (n_phases, n_energies)."""
        lines, images_od = np.zeros(shape), np.zeros(shape[1])
        order = np.arange(shape[1])
        return cls(np.zeros(shape[0]), lines, images_od, order, None, {}, n_spectra)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Return the errors of scan and references that were found, the largest first."""
        return tuple(cause for cause in self.gains if cause != "missing")

    @property
    def is_of_axis(self) -> bool:
        """Return True if the energy axis explains something, or nothing else does."""
        return not self.causes or not {"axis", "axes"}.isdisjoint(self.causes)

    @property
    def is_minor(self) -> bool:
        """Return True if a missing reference explains more than all of these."""
        return next(iter(self.gains)) == "missing"

    @property
    def moves_labels(self) -> bool:
        """Return True if labels are made with the errors of the images taken out."""
        return next(iter(self.gains)) == "images" and self.gains["images"] >= MOVES_LABELS

    def significance(self, cause: Cause) -> float:
        """Return standard deviations of a normal variable that would be as improbable."""
        return float(np.sqrt(2 * self.n_spectra * max(self.gains[cause], 0.0)))

    def of_images(self) -> SharedErrors:
        """Return the errors of the images alone."""
        none = SharedErrors.none(self.lines.shape, self.n_spectra)
        return replace(none, images_od=self.images_od)

    def corrected(
        self, references: NDArray[np.float64], spectra: ReferenceSpectra, energies_ev: list[float]
    ) -> NDArray[np.float64]:
        """Return references (n_phases, n_energies) with these errors.

        Parameters
        ----------
        references : ndarray of shape (n_phases, n_energies)
            At the nominal energies.
        spectra : ReferenceSpectra
            From which it is known how they change with energy.
        energies_ev : list of float
        """
        shifted = references + moved(spectra, energies_ev, self.shift_ev)
        return np.asarray(shifted[:, self.order] * (1 + self.lines))

    def taken_out_of(
        self, spectra: Correlated, references: ReferenceSpectra, energies_ev: list[float]
    ) -> Correlated:
        """Return the spectra without errors of their images, beside corrected references."""
        return replace(
            spectra,
            od=np.subtract(
                spectra.od,
                self.images_od[:, None].astype(np.float32),
                out=empty_like(spectra.od),
            ),
            references=self.corrected(spectra.references, references, energies_ev),
        )

    def in_words(self, phase_names: tuple[str, ...], energies_ev: tuple[float, ...]) -> str:
        """Return what was found, with its significance."""
        return "; ".join(self._words(cause, phase_names, energies_ev) for cause in self.causes)

    def _words(
        self, cause: Cause, phase_names: tuple[str, ...], energies_ev: tuple[float, ...]
    ) -> str:
        sigma = f"({self.significance(cause):.0f} sigma)"
        if cause == "order":
            return f"{_of_order(self.order, energies_ev)} {sigma}"
        if cause == "axis":
            return (
                f"the energy axis is off: the spectra fit if true energies are nominal ones "
                f"{self.shift_ev.mean():+.2f} eV {sigma}"
            )
        if cause == "axes":
            each = zip(phase_names, self.shift_ev, strict=True)
            shifts = ", ".join(f"{name} {shift:+.2f} eV" for name, shift in each)
            return f"energy axes of single references are off: {shifts} {sigma}"
        if cause == "images":
            worst = int(np.abs(self.images_od).argmax())
            return (
                f"I0 beneath the specimen is not that beside it: single images are off by up to "
                f"{self.images_od[worst]:+.3f} OD, at {energies_ev[worst]:g} eV {sigma}"
            )
        k, e = (int(i) for i in np.unravel_index(np.abs(self.lines).argmax(), self.lines.shape))
        return (
            f"lines are stronger or weaker than in the references, {phase_names[k]} by "
            f"{100 * self.lines[k, e]:+.0f} % at {energies_ev[e]:g} eV {sigma}: another "
            "orientation of the crystals, or references of another sample"
        )


def _of_order(order: NDArray[np.intp], energies_ev: tuple[float, ...]) -> str:
    """Return in words which images were taken at other energies."""
    elsewhere = np.flatnonzero(order != np.arange(len(order))).tolist()
    if len(elsewhere) == 1:
        image = elsewhere[0]
        return (
            f"the image at {energies_ev[image]:g} eV looks as if it was taken at "
            f"{energies_ev[order[image]]:g} eV"
        )
    listed = " and ".join(f"{energies_ev[image]:g}" for image in elsewhere)
    if len(elsewhere) == 2:
        return f"the images at {listed} eV look exchanged"
    if order[1] == 1 + order[0]:
        return "each image looks as if it was taken at the next energy of the list"
    if order[2] == 1 + order[1]:
        return "each image looks as if it was taken at the energy before its own in the list"
    return "the images look as if they were in the reverse order of energies"


def moved(
    spectra: ReferenceSpectra, energies_ev: list[float], shift_ev: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what references change by where each is shifted, (n_phases, n_energies)."""
    energies = np.asarray(energies_ev, dtype=np.float64)
    return np.array(
        [
            np.interp(energies + shift, spectra.energies_ev, od)
            - np.interp(energies, spectra.energies_ev, od)
            for shift, od in zip(shift_ev, spectra.od, strict=True)
        ]
    )
