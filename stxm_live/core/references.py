"""Reference spectra of the phases that a pixel may have."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stxm_live.core.notebook_tables import table_html
from stxm_live.core.number_tables import read_named_columns
from stxm_live.core.spectrum_tables import broadened, roughness, subdivided
from stxm_live.core.whole_file import whole_file

STD = "_std"
"""End of the name of a column with the standard errors of a phase."""

BEYOND_EV = 0.05 + 1e-9
"""Distance from the end of the references up to which their last value is taken."""

_FLAT_SHARE = 0.05
"""References that begin lower than this share of their largest value have no pre-edge."""

_KEV = 0.01
"""References that end below this share of the scan's lowest energy are in another unit."""

SYNTHETIC_NOTE = "the reference spectra are synthetic"
"""Note on maps and tables that were made with calculated references."""


@dataclass(frozen=True, eq=False)
class ReferenceSpectra:
    """Spectra of the pure phases on a common energy axis.

    Parameters
    ----------
    phase_names : tuple of str
    energies_ev : ndarray of shape (n_energies,)
        Ascending.
    od : ndarray of shape (n_phases, n_energies)
        Optical density for any thickness; the scale has no effect on results.
    synthetic : bool
        True for calculated spectra; results made with them are always marked as such.
    od_std : ndarray of shape (n_phases, n_energies), optional
        Standard errors of ``od``, NaN where not known; by default they are as large as the spectra
        are rough.
    """

    phase_names: tuple[str, ...]
    energies_ev: NDArray[np.float64]
    od: NDArray[np.float64]
    synthetic: bool = False
    od_std: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        made = ", synthetic" if self.synthetic else ""
        return f"<ReferenceSpectra {', '.join(self.phase_names)}: {self._energies_in_words}{made}>"

    def _repr_html_(self) -> str:
        """Return phases, energies and kind as a table for a notebook."""
        values = {
            "phases": ", ".join(self.phase_names),
            "energies": self._energies_in_words,
            "kind": "synthetic: calculated, not measured" if self.synthetic else "measured",
        }
        return table_html("Reference spectra", values)

    @property
    def _energies_in_words(self) -> str:
        first, last = self.energies_ev[[0, -1]]
        return f"{len(self.energies_ev)} energies from {first:g} to {last:g} eV"

    def __post_init__(self) -> None:
        if self.od.shape != (len(self.phase_names), len(self.energies_ev)):
            raise ValueError(
                f"references: {len(self.phase_names)} phases at {len(self.energies_ev)} energies "
                f"need an array of that shape, got {self.od.shape}"
            )
        if len(self.phase_names) < 2 or len(set(self.phase_names)) != len(self.phase_names):
            raise ValueError(
                f"references need at least two phases of different names, got {self.phase_names}"
            )
        if not np.all(np.diff(self.energies_ev) > 0):
            raise ValueError("the energies of the references must ascend, each once")
        if not np.all(np.isfinite(self.energies_ev)):
            raise ValueError("the energies of the references must be finite numbers")
        if not np.all(np.isfinite(self.od)):
            raise ValueError("the references contain a value that is not a finite number")
        self._check_std()
        flat = [n for n, od in zip(self.phase_names, self.od, strict=True) if np.ptp(od) == 0]
        if flat:
            raise ValueError(f"reference {flat[0]} is constant, so nothing can correlate with it")

    def _check_std(self) -> None:
        """Raise an error if the standard errors are none."""
        if self.od_std is None:
            return
        if self.od_std.shape != self.od.shape:
            raise ValueError(
                f"the standard errors of the references need the shape {self.od.shape} of their "
                f"OD, got {self.od_std.shape}"
            )
        if np.any(self.od_std < 0) or np.any(np.isinf(self.od_std)):
            raise ValueError("a standard error of the references is negative or infinite")

    @property
    def n_phases(self) -> int:
        """Return the number of phases."""
        return len(self.phase_names)

    @property
    def without_pre_edge(self) -> tuple[str, ...]:
        """Phases that hardly absorb before the edge, as if what they do there was subtracted."""
        first, largest = self.od[:, 0], self.od.max(axis=1)
        return tuple(
            name
            for name, low in zip(self.phase_names, first < _FLAT_SHARE * largest, strict=True)
            if low
        )

    @classmethod
    def from_csv(cls, path: str | Path) -> ReferenceSpectra:
        """Read ``energy_ev,<phase>,<phase>,...``; lines that begin with ``#`` are comments.

        A comment that contains the word ``synthetic`` marks the set as calculated. A column
        ``<phase>_std`` holds the standard errors of that phase, ``nan`` where not known.

        Raises
        ------
        ValueError
            If a field is not a number or is missing; the message names the file and the line.
        """
        path = Path(path)
        names, table, comments = read_named_columns(path, "energy_ev,<phase>,<phase>,...")
        table = table[np.argsort(table[:, 0], kind="stable")]
        synthetic = any("synthetic" in comment.lower() for comment in comments)
        column = dict(zip(names[1:], table[:, 1:].T, strict=True))
        if len(column) < len(names) - 1:
            raise ValueError(f"{path}: two columns have the same name")
        phases = tuple(
            n for n in names[1:] if n.removesuffix(STD) == n or n.removesuffix(STD) not in column
        )
        od = np.array([column[n] for n in phases])
        unknown = np.full(len(table), np.nan)
        std = np.array([column.get(n + STD, unknown) for n in phases])
        try:
            return cls(phases, table[:, 0], od, synthetic, None if np.isnan(std).all() else std)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @classmethod
    def from_spectra(
        cls, spectra: Mapping[str, tuple[ArrayLike, ArrayLike]], *, synthetic: bool = False
    ) -> ReferenceSpectra:
        """Combine one (energies in eV, OD) pair per phase on the energies of the first one.

        Each may have its energies in any order; only the common range of all spectra is kept.

        Raises
        ------
        ValueError
            If they share fewer than two of the first one's energies.
        """
        pairs = {name: _ascending(e, od) for name, (e, od) in spectra.items()}
        low = max(e.min() for e, _ in pairs.values())
        high = min(e.max() for e, _ in pairs.values())
        grid = next(iter(pairs.values()))[0]
        grid = grid[(grid >= low) & (grid <= high)]
        if len(grid) < 2:
            ranges = ", ".join(f"{n}: {e[0]:g} to {e[-1]:g} eV" for n, (e, _) in pairs.items())
            raise ValueError(f"the reference spectra have no common range of energies ({ranges})")
        od = np.array([np.interp(grid, e, values) for e, values in pairs.values()])
        return cls(tuple(pairs), grid, od, synthetic)

    def to_csv(self, path: str | Path) -> None:
        """Write a file for `from_csv`, with every digit."""
        with (
            whole_file(path) as unfinished,
            unfinished.open("w", newline="", encoding="utf-8") as file,
        ):
            if self.synthetic:
                file.write("# synthetic reference spectra\n")
            names, columns = [*self.phase_names], [self.energies_ev, *self.od]
            if self.od_std is not None:
                for name, std in zip(self.phase_names, self.od_std, strict=True):
                    if not np.isnan(std).all():
                        names.append(name + STD)
                        columns.append(std)
            writer = csv.writer(file)
            writer.writerow(["energy_ev", *names])
            writer.writerows(np.column_stack(columns).tolist())

    def at(self, energies_ev: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the OD (n_phases, n_energies) at other energies, interpolated.

        Up to `BEYOND_EV` outside the range the OD is that of the end.

        Raises
        ------
        ValueError
            If energies are outside the references' range; the message names them.
        """
        wanted = self._within(energies_ev)
        return np.array([np.interp(wanted, self.energies_ev, od) for od in self.od])

    @property
    def seen_noise(self) -> NDArray[np.float64]:
        """Return the noise that spectra without standard errors show, (n_phases,), in OD.

        0 for those that have some, or show none.
        """
        seen = roughness(self.od)
        return seen if self.od_std is None else np.where(np.isnan(self.od_std).all(1), seen, 0.0)

    def std_at(
        self, energies_ev: Sequence[float] | NDArray[np.floating]
    ) -> NDArray[np.float64] | None:
        """Return the standard errors (n_phases, n_energies) at other energies, 0 if not known.

        Of a phase without any they are what its spectrum shows (`roughness`); None where no phase
        has any. Between two energies they are interpolated, as of errors that neighboring energies
        share.
        """
        given = np.zeros_like(self.od) if self.od_std is None else np.nan_to_num(self.od_std)
        known = given + self.seen_noise[:, None]
        if not known.any():
            return None
        wanted = self._within(energies_ev)
        return np.array([np.interp(wanted, self.energies_ev, std) for std in known])

    def corrected(self, offset_ev: float, width_ev: float) -> ReferenceSpectra:
        """Return the spectra as recorded with an energy axis and resolution that are off.

        Parameters
        ----------
        offset_ev : float
            True energy minus nominal energy.
        width_ev : float
            Standard deviation of the Gaussian by which the beam is wider in energy than that of
            the references; not negative.

        Returns
        -------
        ReferenceSpectra
            Spectra at nominal energies: the range moves by ``-offset_ev``. With a width, steps
            are divided by up to ten, so that none is longer than half the width. Zero and zero
            return the same object.

        Examples
        --------
        >>> energies = np.array([510.0, 512.0, 514.0])
        >>> peaks = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
        >>> ReferenceSpectra(("a", "b"), energies, peaks).corrected(0.25, 0.0).at([511.75])
        array([[1.],
               [0.]])
        """
        if not np.isfinite(offset_ev) or not 0 <= width_ev < np.inf:
            raise ValueError(
                f"energy offset {offset_ev:g} eV and width {width_ev:g} eV: expected two finite "
                "numbers, the width not negative"
            )
        if offset_ev == 0 and width_ev == 0:
            return self
        grid = subdivided(self.energies_ev, width_ev / 2) if width_ev else self.energies_ev
        od = self.broadened_at(grid, width_ev)
        std = self.std_at(grid)
        return ReferenceSpectra(self.phase_names, grid - offset_ev, od, self.synthetic, std)

    def broadened_at(
        self, energies_ev: Sequence[float] | NDArray[np.floating], width_ev: float
    ) -> NDArray[np.float64]:
        """Return the OD (n_phases, n_energies) after a Gaussian of deviation ``width_ev``.

        The spectra are linear between their points, and continue linearly for the part of the
        Gaussian that reaches beyond their ends. Energies beyond the ends raise an error as in
        `at`. The convolution is exact.
        """
        if width_ev == 0:
            return self.at(energies_ev)
        wanted = self._within(energies_ev)
        return broadened(self.energies_ev, self.od, wanted, width_ev)

    def _within(self, energies_ev: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the energies if all are inside the references' range, or hardly outside."""
        wanted = np.asarray(energies_ev, dtype=np.float64)
        low, high = self.energies_ev[0], self.energies_ev[-1]
        outside = wanted[(wanted < low - BEYOND_EV) | (wanted > high + BEYOND_EV)]
        if outside.size:
            advice = "extend the references, or exclude these in the recipe (exclude_energies_ev)"
            if high < _KEV * outside.min():
                advice = "are the energies of the references in keV? write them in eV"
            raise ValueError(
                f"references cover {low:g} to {high:g} eV, the scan has {listed_ev(outside)} eV; "
                f"{advice}"
            )
        return np.clip(wanted, low, high)

    def beyond(self, energies_ev: Iterable[float]) -> list[float]:
        """Return the energies that are outside the references' range."""
        low, high = self.energies_ev[0], self.energies_ev[-1]
        return [e for e in energies_ev if not low <= e <= high]

    def correlation(self, energies_ev: Sequence[float]) -> NDArray[np.float64]:
        """Return Pearson coefficients of shape (n_phases, n_phases) on these energies.

        With fewer than two energies all are one, because nothing is separated.
        """
        if len(energies_ev) < 2:
            return np.ones((self.n_phases, self.n_phases))
        od = self.at(energies_ev)
        centred = od - od.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1)
        # a phase that is flat on these few energies is not distinguished from any other yet
        norm[np.ptp(od, axis=1) == 0] = 0.0
        unit = centred / np.where(norm > 0, norm, 1.0)[:, None]
        matrix = np.where(np.outer(norm, norm) > 0, unit @ unit.T, 1.0)
        return np.clip(matrix, -1.0, 1.0)

    def inseparable_pairs(
        self, energies_ev: Sequence[float], threshold: float
    ) -> list[tuple[str, str]]:
        """Return pairs of phases whose 1 - PCC on these energies is below ``threshold``."""
        matrix = self.correlation(energies_ev)
        return [
            (self.phase_names[i], self.phase_names[j])
            for i in range(self.n_phases)
            for j in range(i + 1, self.n_phases)
            if 1.0 - matrix[i, j] < threshold
        ]

    def smallest_separation(self, energies_ev: Sequence[float]) -> float:
        """Return 1 - PCC of the closest pair on these energies."""
        matrix = self.correlation(energies_ev)
        return float((1.0 - matrix[np.triu_indices(self.n_phases, 1)]).min())


def _ascending(
    energies_ev: ArrayLike, values: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a spectrum in ascending order of energies."""
    energies = np.asarray(energies_ev, dtype=np.float64)
    order = np.argsort(energies, kind="stable")
    return energies[order], np.asarray(values, dtype=np.float64)[order]


def listed_ev(energies_ev: Iterable[float], most: int = 8) -> str:
    """Return energies as text without the unit; of a long list only the ends.

    Examples
    --------
    >>> listed_ev([505, 513.2])
    '505, 513.2'
    >>> listed_ev(range(500, 600))
    '500, 501, 502, 503 and 96 more to 599'
    """
    words = [f"{e:g}" for e in energies_ev]
    if len(words) <= most:
        return ", ".join(words)
    first = words[: most // 2]
    return f"{', '.join(first)} and {len(words) - len(first)} more to {words[-1]}"
