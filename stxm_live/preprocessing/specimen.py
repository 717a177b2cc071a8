"""Search for the specimen, and for the empty support beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import least_squares
from stxm_live.preprocessing.noise import normal_std

NOISE_FACTOR = 4.5
"""Standard deviations of the empty support above which a pixel is specimen."""

MIN_OD_STEP = 0.05
"""Smallest mean OD above the support that counts as specimen, even in an image without noise."""

MIN_EDGE_STEP = 0.01
"""The same for the change across the edge, to which an uneven film adds nothing: light that
changes within an image does."""

THIN_SHARE = 0.25
"""Share of what most of the specimen changes across the edge by from which a pixel is specimen:
`MIN_OD_STEP` is more than that of a thin one."""

MOSTLY_EMPTY = 0.9
"""Share of flat places without specimen from which the rest moves neither their level nor their
noise, which are robust."""

MIN_EMPTY_SHARE = 0.005
"""Smallest empty share of the field for an I0 from the field."""

MIN_EMPTY_PX = 25
"""Fewest pixels of empty support, for any size of the field."""

MIN_SPECIMEN_PX = 12
"""Smaller specks are noise or dust, and smaller holes hot pixels."""

MAX_SLOPE = 0.2
"""Largest change in OD of support film and illumination together across the field."""

MAX_FRINGE = 0.25
"""Largest excess of bright diffraction fringes over the support, in OD."""

MAX_FRINGE_SHARE, MAX_GLARE_SHARE = 0.15, 0.01
"""Largest shares of the field with fringes, and with pixels brighter than fringes."""

LEAST_EDGE = 0.2
"""References whose edge is below this share of the mean edge have no common edge."""

_WINDOW_PX = 7
"""Side of the square in which the empty support is flat."""

_ROUNDS = 20
"""Most rounds for the level of the support."""

_ROWS_AT_ONCE = 64
"""Rows whose medians are found at once."""

_OUTLIERS = 4.0
"""Pixels this many standard deviations from the support are not used for I0."""


class Field(NamedTuple):
    """Specimen and empty support, both of shape (ny, nx)."""

    specimen: NDArray[np.bool_]
    empty: NDArray[np.bool_]


def find_specimen(
    mean_log: NDArray[np.floating], jump: NDArray[np.floating] | None = None
) -> Field:
    """Find specimen and empty support from the energy-averaged -ln I.

    The empty support is the brightest flat area: fringes and rims are too narrow, wedges too
    steep. A plane through it follows a film or an illumination that is not quite even. All values
    are relative to that plane, so that a constant, such as the factor between two counters, has
    no effect. Specimen is above the plane by more than the noise of the support. Places as flat
    as the support whose edge shows specimen are none.

    Parameters
    ----------
    mean_log : ndarray of shape (ny, nx)
        Mean over energies of -ln(I), or of the optical density; NaN where unknown.
    jump : ndarray of shape (ny, nx), optional
        Difference of -ln(I) between energies where the references absorb strongly and where they
        do not (`edge_jump`). Pixels with a large difference are specimen as well.

    Returns
    -------
    Field
        ``empty`` stays two pixels away from the specimen, because of the blurred edge, and one
        from bright fringes. A hole through the specimen is support if it has `MIN_SPECIMEN_PX`.

    Raises
    ------
    ValueError
        If no part of the field is empty, because the specimen fills it.
    """
    from scipy.ndimage import binary_dilation

    known = np.isfinite(mean_log)
    if not known.any():
        raise ValueError("no pixel has a usable value at every energy")
    nearest = _nearest(known)
    filled = _filled(mean_log, nearest)
    smooth = _median_of_nine(filled)
    least = _least_empty(known)
    flat, support = _support(smooth, known, least // 2)
    by_edge = np.zeros_like(known)
    if jump is not None:
        edge, as_flat = _Edge(_filled(jump, nearest)), flat
        flat = edge.support(as_flat, least // 2)
        if flat is not as_flat:
            support = _plane(smooth.astype(np.float64), flat)
        by_edge, less = edge.found(as_flat, flat)
        if (less & known).sum() > least:
            raise _nothing_empty()
    above, noise = _above(smooth, support, flat)
    of_pixel, pixel_noise = _above(filled, support, flat)
    stands_out = _stands_out(above, noise) | _stands_out(of_pixel, pixel_noise) | by_edge
    specimen = _without_specks(~_without_specks(~_without_specks(stands_out))) & known
    even = max(_OUTLIERS * noise, MIN_OD_STEP / 2)
    fringe = binary_dilation(_without_specks(above < -even))
    near = binary_dilation(specimen, np.ones((5, 5), dtype=bool)) | fringe
    clean = np.abs(of_pixel) <= max(_OUTLIERS * pixel_noise, even)
    empty = known & ~near & (np.abs(above) <= even) & clean
    _check_bright_side(above, known, even)
    if empty.sum() < least:
        raise _nothing_empty()
    return Field(specimen, empty)


def edge_jump(
    log_intensity: NDArray[np.floating], references: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the absorption that changes with energy like that of the references.

    Parameters
    ----------
    log_intensity : ndarray of shape (n_energies, ny, nx)
        ln(I); NaN where unknown.
    references : ndarray of shape (n_phases, n_energies)

    Returns
    -------
    ndarray of shape (ny, nx)
        Except for a constant, the mean OD over energies of the amount of the mean reference that
        explains the changes from energy to energy. It is zero where the references are flat, or
        have no common edge, as on two energies at which one rises and another falls.
    """
    mean = references.mean(axis=0)
    contrast = mean - mean.mean()
    strength = float(contrast @ contrast)
    is_flat = strength <= 1e-12 * float(mean @ mean)
    if is_flat or np.any(references @ contrast < LEAST_EDGE * strength):
        return np.where(np.isfinite(log_intensity).all(axis=0), 0.0, np.nan)
    weights = (contrast * (mean.mean() / strength)).astype(log_intensity.dtype)
    return np.asarray(-np.einsum("e,eyx->yx", weights, log_intensity))


def _nearest(known: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Return row and column of the nearest known pixel, for every pixel, if any is unknown."""
    from scipy.ndimage import distance_transform_edt

    if known.all():
        return ()
    return tuple(distance_transform_edt(~known, return_distances=False, return_indices=True))


def _filled(
    image: NDArray[np.floating], nearest: tuple[NDArray[np.intp], ...]
) -> NDArray[np.float32]:
    """Return the image with every unknown pixel set to the nearest known one."""
    return np.asarray(image[nearest] if nearest else image, dtype=np.float32)


def _median_of_nine(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of 3 x 3 pixels, for some rows after the others."""
    padded, median = np.pad(image, 1, mode="edge"), np.empty_like(image)
    for start in range(0, len(image), _ROWS_AT_ONCE):
        rows = median[start : start + _ROWS_AT_ONCE]
        rows[:] = _median_inside(padded[start : start + len(rows) + 2])
    return median


def _median_inside(padded: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median about all but the outermost pixels, by a quick sorting network."""
    low, middle, high = _sorted_three(padded[:-2], padded[1:-1], padded[2:])
    largest_low = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    _, median_middle, _ = _sorted_three(middle[:, :-2], middle[:, 1:-1], middle[:, 2:])
    least_high = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    return _sorted_three(largest_low, median_middle, least_high)[1]


def _sorted_three(
    a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return three images as the smallest, the middle and the largest of every place."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    middle = np.minimum(high, c)
    return np.minimum(low, middle), np.maximum(low, middle), np.maximum(high, c)


def _support(
    image: NDArray[np.float32], known: NDArray[np.bool_], least: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return at least this many pixels of the empty support, and the plane through them."""
    mean, flat = _flat_places(image, known)
    while flat.sum() >= least:
        brightest = np.partition(mean[flat], least - 1)[:least]
        plane = np.full(image.shape, np.median(brightest), dtype=np.float64)
        chosen = flat
        for _ in range(_ROUNDS):
            found = flat & (np.abs(mean - plane) <= MIN_OD_STEP / 2)
            if found.sum() < least or np.array_equal(found, chosen):
                break
            chosen, plane = found, _plane(mean, found)
        if found.sum() >= least:
            return chosen, plane
        flat = flat & (mean > brightest.max())
    raise _nothing_empty()


class _Edge:
    """The jump across the edge, of each pixel (a median of nine) and of the area around it.

    Parameters
    ----------
    jump : ndarray of shape (ny, nx)
        Known everywhere.
    """

    def __init__(self, jump: NDArray[np.float32]) -> None:
        from scipy.ndimage import uniform_filter

        self.of_nine = _median_of_nine(jump).astype(np.float64)
        self._of_area = uniform_filter(self.of_nine, _WINDOW_PX)
        square = uniform_filter(self.of_nine**2, _WINDOW_PX)
        self._spread = np.sqrt(np.maximum(square - self._of_area**2, 0))

    def support(self, flat: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
        """Return the part of flat places with the least jump, if the rest is thin specimen."""
        widest = max(NOISE_FACTOR * self._noise(flat), MIN_EDGE_STEP)
        level = float(np.median(np.partition(self._of_area[flat], least - 1)[:least]))
        chosen = flat
        for _ in range(_ROUNDS):
            found = flat & (np.abs(self._of_area - level) <= widest)
            if found.sum() < least:
                return flat
            if np.array_equal(found, chosen):
                break
            chosen, level = found, float(np.median(self._of_area[found]))
        return chosen if chosen.sum() < MOSTLY_EMPTY * flat.sum() else flat

    def found(
        self, flat: NDArray[np.bool_], support: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return where there is more specimen than in the support, and where there is less.

        Flat places are judged by the area around them, which has less noise.
        """
        above, noise = _above(self.of_nine, float(np.median(self.of_nine[support])), support)
        least = _least_step(above, noise)
        level = float(np.median(self._of_area[support]))
        of_area, area_noise = _above(self._of_area, level, support)
        even = flat & (self._spread <= 2 * np.median(self._spread[support]))  # no border inside
        in_area = even & _stands_out(of_area, max(area_noise, self._noise(support)), least)
        return _stands_out(above, noise, least) | in_area, _without_specks(
            _stands_out(-above, noise)
        )

    def _noise(self, flat: NDArray[np.bool_]) -> float:
        """Return the noise of an area, in which pixels share theirs with those beside them."""
        return float(np.median(self._spread[flat])) * 3 / _WINDOW_PX


def _flat_places(
    image: NDArray[np.float32], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the local mean, and True where texture and slope are near the lowest ones."""
    from scipy.ndimage import correlate1d, uniform_filter, uniform_filter1d

    weight = uniform_filter(known.astype(np.float64), _WINDOW_PX, mode="constant")
    weight = np.maximum(weight, 1e-6)
    centred = np.where(known, image - np.median(image[known]), 0.0)
    mean = uniform_filter(centred, _WINDOW_PX, mode="constant") / weight
    square = uniform_filter(centred**2, _WINDOW_PX, mode="constant") / weight
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    mean += np.median(image[known])
    inside = known & (weight > 0.2)
    quiet = float(np.quantile(spread[inside], MIN_EMPTY_SHARE)) if inside.any() else 0.0
    steepest = MAX_SLOPE / max(image.shape) + quiet / _WINDOW_PX
    flat = inside & (spread <= 3 * quiet + steepest)
    ramp = np.arange(_WINDOW_PX) - _WINDOW_PX // 2
    for axis in (0, 1):
        slope = correlate1d(image, ramp / (ramp @ ramp), axis=axis, mode="nearest")
        slope = uniform_filter1d(slope, _WINDOW_PX, axis=1 - axis, mode="nearest")
        flat &= np.abs(slope) <= steepest
    return mean, flat


def _plane(image: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the least-squares plane through some pixels, level along an axis they do not span."""
    rows, columns = np.nonzero(chosen)
    level = float(np.median(image[chosen]))
    design = [np.ones(len(rows))]
    axes = []
    ny, nx = image.shape
    grids = np.arange(ny)[:, None], np.arange(nx)
    for places, grid in zip((rows, columns), grids, strict=True):
        low, high = np.percentile(places, [5, 95])
        if high - low >= 0.25 * grid.max():
            middle = places.mean()
            design.append(places - middle)
            axes.append(grid - middle)
    if not axes:
        return np.full(image.shape, level)
    values = (image[chosen] - level)[:, None]
    coefficients = least_squares(np.transpose(design), values)[:, 0]
    plane = np.full(image.shape, level + coefficients[0])
    for slope, along in zip(coefficients[1:], axes, strict=True):
        limit = MAX_SLOPE / max(image.shape)
        plane += np.clip(slope, -limit, limit) * along
    return plane


def _above(
    image: NDArray[np.floating], support: NDArray[np.float64] | float, flat: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Return the height above the support, and the support's standard deviation (robust)."""
    above = np.asarray(image - support, dtype=np.float64)
    return above, normal_std(above[flat] - np.median(above[flat]))


def _stands_out(
    above: NDArray[np.float64], noise: float, least: float = MIN_OD_STEP
) -> NDArray[np.bool_]:
    return np.asarray(above > max(NOISE_FACTOR * noise, least))


def _least_step(of_edge: NDArray[np.float64], noise: float) -> float:
    """Return the least change across the edge that counts as specimen, less if it is thin."""
    seen = of_edge[_without_specks(_stands_out(of_edge, noise, MIN_EDGE_STEP))]
    if not seen.size:
        return MIN_OD_STEP
    return float(np.clip(THIN_SHARE * np.median(seen), MIN_EDGE_STEP, MIN_OD_STEP))


def _check_bright_side(above: NDArray[np.float64], known: NDArray[np.bool_], even: float) -> None:
    """Raise an error if more than fringes and hot pixels is brighter than the support."""
    brighter, glaring = above[known] < -even, above[known] < -max(MAX_FRINGE, even)
    if brighter.mean() > MAX_FRINGE_SHARE or glaring.mean() > MAX_GLARE_SHARE:
        raise _nothing_empty()


def _least_empty(known: NDArray[np.bool_]) -> int:
    return max(int(MIN_EMPTY_SHARE * known.sum()), MIN_EMPTY_PX)


def _nothing_empty() -> ValueError:
    return ValueError(
        "nothing in the field looks empty, so I0 cannot be taken from it; give a box "
        '([i0] source = "region", region = [x0, x1, y0, y1] in um) or a measured spectrum '
        '([i0] source = "spectrum", spectrum = "i0.csv")'
    )


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask without connected parts of fewer than `MIN_SPECIMEN_PX` pixels."""
    from scipy.ndimage import label

    parts, _ = label(mask)
    large = np.bincount(parts.ravel()) >= MIN_SPECIMEN_PX
    large[0] = False
    return np.asarray(large[parts])
