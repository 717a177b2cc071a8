"""Matrix products and inverses whose bits do not depend on how many threads there are.

OpenBLAS shares a large product among threads, and where it cuts the matrices decides, on most
processors, how the last bits are rounded. How many threads it has is one number for the whole
process, which any other library may change at any time. So nothing here is large to OpenBLAS: it
gets pieces of fixed size that it never shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PIECE = 250_000
"""Multiplications in a piece. OpenBLAS shares a product from 4 * 65536 of them on."""

_COMPLEX_PIECE = 60_000
"""The same of complex numbers, shared from 65536 on."""

_VECTOR_PIECE = 4_000
"""The same with a vector, which it shares from 4 * 2304 on, or 4 * 1024 of complex numbers."""

_TILE = 32
"""Rows and columns of `inner_product` taken at once."""

_GROUP = 16_384
"""Values of each row that are copied at once, as whole pieces."""

_SMALL = 64
"""Rows of a matrix that LAPACK inverts on one thread; it shares from 100 on."""

_UNBLOCKED = 25
"""Rows of a matrix whose eigenvectors LAPACK finds on one thread."""

_NOTHING = 1e-150
"""An element so small that its inverse may overflow."""

_SWEEPS = 30
"""Of Jacobi's rotations; ten are enough for a hundred rows."""


def product(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return ``a @ b`` for a short common axis.

    Parameters
    ----------
    a : ndarray of shape (m, k)
    b : ndarray of shape (k, n)

    Returns
    -------
    ndarray of shape (m, n)

    Examples
    --------
    >>> product(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    """
    if len(a) > b.shape[1]:
        return product(b.T, a.T).T
    out = np.empty((len(a), b.shape[1]), dtype=np.result_type(a, b))
    for part, piece in product_in_parts(a, b):
        out[:, part] = piece
    return out


def product_in_parts(a: NDArray[Any], b: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield some columns after the other of `product`, for one that need not be kept as a whole.

    Parameters
    ----------
    a : ndarray of shape (m, k)
    b : ndarray of shape (k, n)
        With n of at least m.

    Examples
    --------
    >>> for part, piece in product_in_parts(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]])):
    ...     print(part, piece.tolist())
    slice(0, 62500, None) [[1.0, 2.0], [3.0, 4.0]]
    """
    m, k = a.shape
    if m * k > _VECTOR_PIECE:  # one column would be too much
        yield slice(None), inner_product(a, b.T)
        return
    most = (_VECTOR_PIECE if m == 1 else _piece(a, b)) // max(m * k, 1)
    for start in range(0, b.shape[1], most):
        part = slice(start, start + most)
        yield part, np.matmul(a, b[:, part])


def inner_product(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return ``a @ b.T`` for a common axis that may be as long as an image has pixels.

    Parameters
    ----------
    a : ndarray of shape (m, k)
    b : ndarray of shape (n, k)

    Returns
    -------
    ndarray of shape (m, n), float64 or complex128
        Pieces in the precision of the arguments, their sum in double precision.

    Examples
    --------
    >>> inner_product(np.ones((1, 300_000), dtype=np.float32), np.full((1, 300_000), 0.5))
    array([[150000.]])
    """
    dtype = np.result_type(a, b, np.float64)
    blocks = (lambda rows, part: a[rows, part]), (lambda rows, part: b[rows, part])
    return _tiled(*blocks, (len(a), len(b), a.shape[1]), dtype, is_symmetric=a is b)


def gram(
    block: Callable[[slice, slice], NDArray[np.floating]], n: int, k: int
) -> NDArray[np.float64]:
    """Return ``a @ a.T`` as `inner_product`, of a matrix that is never there as a whole.

    Parameters
    ----------
    block : callable
        Returns some rows and columns of the matrix, which may be made each time.
    n, k : int
        Rows and columns of the matrix.

    Examples
    --------
    >>> ones = np.ones((2, 300_000), dtype=np.float32)
    >>> gram(lambda rows, part: 2 * ones[rows, part], *ones.shape)[0]
    array([1200000., 1200000.])
    """
    return _tiled(block, block, (n, n, k), np.dtype(np.float64), is_symmetric=True)


def inner_product_of_blocks(
    of_a: Callable[[slice, slice], NDArray[np.floating]],
    of_b: Callable[[slice, slice], NDArray[np.floating]],
    shape: tuple[int, int, int],
) -> NDArray[np.float64]:
    """Return ``a @ b.T`` as `inner_product`, of two matrices that are made block by block.

    Parameters
    ----------
    of_a, of_b : callable
        Return some rows and columns of each matrix.
    shape : (m, n, k)
        Rows of either, and columns.
    """
    return _tiled(of_a, of_b, shape, np.dtype(np.float64))


def sum_over(block: Callable[[slice], NDArray[np.float64]], n: int, k: int) -> NDArray[np.float64]:
    """Return the sum over the columns of a matrix that is made some columns after the others.

    Parameters
    ----------
    block : callable
        Returns some columns of the matrix.
    n, k : int
        Rows and columns of the matrix.

    Returns
    -------
    ndarray of shape (n,)
        Added up column by column, whatever their number.

    Examples
    --------
    >>> sum_over(lambda part: np.ones((2, 30_000))[:, part], 2, 30_000)
    array([30000., 30000.])
    """
    total = np.zeros((1, n))
    for start in range(0, k, _GROUP):
        total[0] = np.concatenate([total, block(slice(start, start + _GROUP)).T]).sum(axis=0)
    return np.asarray(total[0])


def _tiled(
    of_a: Callable[[slice, slice], NDArray[Any]],
    of_b: Callable[[slice, slice], NDArray[Any]],
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    *,
    is_symmetric: bool = False,
) -> NDArray[Any]:
    """Return the `inner_product` (m, n) over k values, tile by tile."""
    m, n, k = shape
    out = np.empty((m, n), dtype=dtype)
    for top in range(0, m, _TILE):
        rows = slice(top, min(top + _TILE, m))
        for left in range(0, n, _TILE):
            columns = slice(left, min(left + _TILE, n))
            if is_symmetric and left < top:
                out[rows, columns] = out[columns, rows].T
                continue
            sides = partial(of_a, rows), partial(of_b, columns)
            sizes = rows.stop - rows.start, columns.stop - columns.start
            out[rows, columns] = _tile(*sides, sizes, k, dtype)
    return out


def _tile(
    of_a: Callable[[slice], NDArray[Any]],
    of_b: Callable[[slice], NDArray[Any]],
    sizes: tuple[int, int],
    k: int,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Return the `inner_product` of a few rows: that of each piece, added up in order."""
    m, n = sizes
    most = _COMPLEX_PIECE if np.issubdtype(dtype, np.complexfloating) else _PIECE
    length = (_VECTOR_PIECE if min(m, n) == 1 else most) // (m * n)
    n_whole = k // length
    at_once = max(1, _GROUP // length)
    total = np.zeros((1, m, n), dtype=dtype)
    for first in range(0, n_whole, at_once):
        part = slice(first * length, min(first + at_once, n_whole) * length)
        a, b = _apart(of_a(part), of_b(part))
        pieces = np.matmul(
            a.reshape(m, -1, length).transpose(1, 0, 2), b.reshape(n, -1, length).transpose(1, 2, 0)
        )
        total[0] = np.concatenate([total, pieces]).sum(axis=0, dtype=dtype)
    if n_whole * length < k:
        rest = slice(n_whole * length, k)
        a, b = _apart(of_a(rest), of_b(rest))
        total += a @ b.T
    return np.asarray(total[0])


def _apart(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two arrays that share no memory.

    Of a matrix with itself numpy would ask for another product, with a limit of its own.
    """
    return a, b.copy() if np.may_share_memory(a, b) else b


def _piece(*arrays: NDArray[Any]) -> int:
    """Return how many multiplications a piece of a product of these may have."""
    return _COMPLEX_PIECE if any(map(np.iscomplexobj, arrays)) else _PIECE


def inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse of a symmetric positive matrix of any size, shape (n, n).

    Examples
    --------
    >>> inverse(np.diag([2.0, 4.0]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    n = len(matrix)
    if n <= _SMALL:
        return np.asarray(np.linalg.inv(matrix))
    half = n // 2
    first, side, last = matrix[:half, :half], matrix[:half, half:], matrix[half:, half:]
    of_first = inverse(first)
    across = product(of_first, side)
    of_last = inverse(last - product(side.T, across))
    corner = -product(across, of_last)
    return np.block([[of_first - product(corner, across.T), corner], [corner.T, of_last]])


def inverses(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverses of many symmetric positive matrices of a few rows, (n, n, n_matrices).

    All at once, by one row after the other: some ten times quicker than matrix by matrix.

    Examples
    --------
    >>> inverses(np.array([[[2.0, 4.0]]])).ravel()
    array([0.5 , 0.25])
    """
    found = matrices.copy()
    for k in range(len(found)):
        pivot = 1 / found[k, k]
        row = found[k] * pivot
        column = found[:, k].copy()
        found -= column[:, None] * row[None]
        found[k], found[:, k] = row, -column * pivot
        found[k, k] = pivot
    return found


def eigenvectors(
    matrix: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return eigenvalues (n,), ascending, and eigenvectors (n, n), in columns.

    Of a symmetric matrix; of a large one by Jacobi's rotations [1]_, all disjoint pairs of rows at
    once.

    References
    ----------
    .. [1] R. P. Brent and F. T. Luk, "The solution of singular-value and symmetric eigenvalue
       problems on multiprocessor arrays", SIAM J. Sci. Stat. Comput. 6, 69-84 (1985).

    Examples
    --------
    >>> eigenvectors(np.diag([3.0, 2.0]))[0]
    array([2., 3.])
    """
    n = len(matrix)
    if n <= _UNBLOCKED:
        values, vectors = np.linalg.eigh(matrix)
        return values, vectors
    rotated, vectors = matrix.copy(), np.eye(n)
    least = np.finfo(np.float64).eps * np.sqrt(np.square(matrix).sum())
    for _ in range(_SWEEPS):
        if np.abs(rotated - np.diag(np.diag(rotated))).max() <= least:
            break
        for p, q in _disjoint_pairs(n):
            _rotate(rotated, vectors, p, q)
    order = np.argsort(np.diag(rotated), kind="stable")
    return np.diag(rotated)[order], vectors[:, order]


def _disjoint_pairs(n: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield all pairs of n rows, as rounds of a tournament."""
    players = np.arange(n + n % 2)
    half = len(players) // 2
    for _ in range(len(players) - 1):
        p, q = players[:half], players[half:][::-1]
        met = (p < n) & (q < n)
        yield p[met], q[met]
        players = np.concatenate([players[:1], np.roll(players[1:], 1)])


def _rotate(
    rotated: NDArray[np.float64],
    vectors: NDArray[np.float64],
    p: NDArray[np.intp],
    q: NDArray[np.intp],
) -> None:
    """Make the elements (p, q) zero, in place."""
    across = rotated[p, q]
    is_done = np.abs(across) < _NOTHING
    ratio = (rotated[q, q] - rotated[p, p]) / (2 * np.where(is_done, 1.0, across))
    tangent = np.where(ratio < 0, -1.0, 1.0) / (np.abs(ratio) + np.hypot(ratio, 1.0))
    tangent = np.where(is_done, 0.0, tangent)
    cosine = 1 / np.hypot(tangent, 1.0)
    sine = tangent * cosine
    for turned in (rotated, rotated.T, vectors.T):
        first, second = turned[p], turned[q]
        turned[p] = cosine[:, None] * first - sine[:, None] * second
        turned[q] = sine[:, None] * first + cosine[:, None] * second


def least_squares(design: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients (n_columns, n) of a few columns that fit many values best.

    Parameters
    ----------
    design : ndarray of shape (n_values, n_columns)
        Columns that differ by less than 1e-8 of their length count as one.
    values : ndarray of shape (n_values, n)

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 2.0])
    >>> least_squares(np.column_stack([np.ones(3), x]), (1 + 2 * x)[:, None]).round(6)
    array([[1.],
           [2.]])
    """
    scale = np.sqrt(np.square(design).sum(axis=0))
    unit = (design / np.where(scale > 0, scale, 1.0)).T
    normal, right = inner_product(unit, unit), inner_product(unit, values.T)
    found = np.linalg.lstsq(normal, right, rcond=None)[0]
    return np.asarray(found / np.where(scale > 0, scale, 1.0)[:, None])
