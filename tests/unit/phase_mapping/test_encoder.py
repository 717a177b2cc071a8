import subprocess
import sys

import numpy as np
import pytest

from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.phase_mapping.latent_space.encoder import Encoder, Network


@pytest.fixture(scope="module")
def bundle(shipped_bundle):
    return Bundle.load(shipped_bundle)


def spectra(n, n_energies=13):
    return np.random.default_rng(n).uniform(-0.2, 3.0, (n, n_energies)).astype(np.float32)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 7, 1000, 4096])
def test_rows_are_the_same_bit_for_bit_for_any_batch_and_thread_count(bundle, batch, n_threads):
    rows = spectra(4500)
    expected = Network(bundle.encoder_model)(rows)
    network = Network(bundle.encoder_model, n_threads, batch)
    n = 300 if batch < 1000 else len(rows)
    assert np.array_equal(network(rows[:n]), expected[:n])


def test_a_spectrum_has_the_same_coordinates_alone_and_among_others(bundle):
    rows = spectra(5000)
    encode = bundle.encoder().encode
    together = encode(rows)
    assert np.array_equal(encode(rows[4321:4322]), together[4321:4322])
    shuffled = np.random.default_rng(0).permutation(5000)
    assert np.array_equal(encode(rows[shuffled]), together[shuffled])


def test_any_layout_and_float_type_of_the_cube_gives_the_same(bundle):
    cube = np.ascontiguousarray(spectra(600).T).reshape(13, 20, 30)
    encode = bundle.encoder().encode
    rows = cube.reshape(13, -1).T
    expected = encode(np.ascontiguousarray(rows))
    assert np.array_equal(encode(rows), expected)
    assert np.array_equal(encode(rows.astype(np.float64)), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_spectrum_that_is_not_finite_has_no_coordinates_and_spoils_no_other(bundle, bad):
    rows = spectra(100)
    encode = bundle.encoder().encode
    expected = encode(rows)
    rows[17, 4] = bad
    latent = encode(rows)
    assert np.isnan(latent[17]).all()
    assert np.array_equal(np.delete(latent, 17, 0), np.delete(expected, 17, 0))


def test_no_spectra_give_no_coordinates(bundle):
    assert bundle.encoder().encode(np.zeros((0, 13), np.float32)).shape == (0, 3)


def test_spectra_of_another_length_are_refused(bundle):
    with pytest.raises(ValueError, match="rows of 13 values, got shape"):
        bundle.encoder().encode(spectra(5, 12))


def test_a_file_and_its_bytes_are_the_same_encoder(bundle, shipped_bundle):
    rows = spectra(10)
    from_file = Encoder(shipped_bundle / "encoder.tflite")
    from_file.warm_up()
    assert from_file.n_energies == 13
    assert np.array_equal(from_file.encode(rows), Encoder(bundle.encoder_model).encode(rows))


def test_importing_the_module_loads_no_runtime():
    code = (
        "import sys, stxm_live.phase_mapping.latent_space.encoder; "
        "sys.exit(any('litert' in m for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
