import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from stxm_live.core.products import (
    eigenvectors,
    gram,
    inner_product,
    inverse,
    inverses,
    least_squares,
    product,
    product_in_parts,
)


def on_threads(function, *arguments):
    """The result, which is the same on one to three threads."""
    results = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, user_api="blas"):
            results.append(np.asarray(function(*arguments)))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    return results[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (5, 13, 4096),
        (65, 13, 2048),
        (1, 13, 70_001),
        (70_001, 3, 3),
        (200, 200, 200),
        (30, 512, 90),
        (2, 0, 3),
    ],
)
def test_a_product_in_pieces_is_the_product(rng, dtype, m, k, n):
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    found = on_threads(product, a, b)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, a @ b, atol=100 * k * np.finfo(dtype).eps)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 40), (40, 1), (70, 33)])
@pytest.mark.parametrize("k", [0, 3, 30_011])
def test_a_product_along_a_long_axis_is_the_product(rng, m, n, k):
    a, b = rng.normal(size=(m, k)), rng.normal(size=(n, k))
    np.testing.assert_allclose(on_threads(inner_product, a, b), a @ b.T, atol=1e-9)


@pytest.mark.parametrize("n", [1, 13, 70])
def test_a_matrix_made_block_by_block_has_the_same_product_with_itself(rng, n):
    matrix = rng.normal(size=(n, 50_021)).astype(np.float32)
    largest = []

    def block(rows, part):
        largest.append(matrix[rows, part].size)
        return matrix[rows, part] * np.float32(1)

    np.testing.assert_array_equal(gram(block, *matrix.shape), inner_product(matrix, matrix))
    assert max(largest) < 32 * 20_000


def test_the_parts_of_a_product_are_the_product(rng):
    a, b = rng.normal(size=(5, 5)), rng.normal(size=(5, 30_001)).astype(np.float32)
    parts = [piece for _, piece in product_in_parts(a, b)]
    assert len(parts) == 4
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), product(a, b))


def test_of_float32_the_sum_along_a_long_axis_is_float64():
    tenths = np.full((2, 1_000_000), 0.1, dtype=np.float32)
    expected = 1_000_000 * float(tenths[0, 0]) ** 2
    np.testing.assert_allclose(inner_product(tenths, tenths), expected, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 64, 65, 210])
def test_a_matrix_times_its_inverse_is_one(rng, n):
    factor = rng.normal(size=(n, 2 * n))
    matrix = factor @ factor.T / n + np.eye(n)
    np.testing.assert_allclose(on_threads(inverse, matrix) @ matrix, np.eye(n), atol=1e-10)


@pytest.mark.parametrize("n", [1, 13, 26, 110])
def test_eigenvectors_make_a_matrix_diagonal(rng, n):
    factor = rng.normal(size=(n, 3))
    matrix = factor @ factor.T + np.diag(rng.uniform(1, 2, n))
    values, vectors = eigenvectors(matrix)
    np.testing.assert_array_equal(on_threads(lambda: eigenvectors(matrix)[1]), vectors)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix), rtol=1e-12)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-11 * values[-1])
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=1e-12)


def test_least_squares_are_those_of_lapack(rng):
    x = rng.uniform(size=20_000)
    design = np.column_stack([np.ones_like(x), x, x**2])
    values = rng.normal(size=(20_000, 2))
    expected = np.linalg.lstsq(design, values, rcond=None)[0]
    np.testing.assert_allclose(on_threads(least_squares, design, values), expected, rtol=1e-8)


def test_a_column_that_says_nothing_new_does_no_harm(rng):
    x = rng.uniform(size=(500, 1))
    design = np.column_stack([np.ones_like(x), x, 2 * x])
    fitted = design @ least_squares(design, 3 * x)
    np.testing.assert_allclose(fitted, 3 * x, atol=1e-9)


def test_elements_that_are_nearly_nothing_do_not_overflow():
    matrix = np.diag(np.arange(1.0, 41.0))
    matrix[0, 1] = matrix[1, 0] = 1e-310
    matrix[2, 3] = matrix[3, 2] = 0.5
    values, _ = eigenvectors(matrix)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix), rtol=1e-12)


def test_many_small_matrices_are_inverted_at_once():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 5, 40))
    matrices = np.einsum("ikn,jkn->ijn", root, root) + np.eye(5)[:, :, None]
    found = inverses(matrices)
    np.testing.assert_allclose(np.moveaxis(found, 2, 0), np.linalg.inv(np.moveaxis(matrices, 2, 0)))
