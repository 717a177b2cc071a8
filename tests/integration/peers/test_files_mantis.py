"""What we export, as MANTiS reads it; MANTiS runs in an environment of its own."""

import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_files import read_two_columns
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.stack import Stack
from stxm_live.io.files import read_stack, write_ncb, write_nexus_stxm
from stxm_live.preprocessing.normalization import aligned_stack
from stxm_live.preprocessing.workflow import register

pytestmark = [pytest.mark.peer, pytest.mark.slow]
BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def mantis(tmp_path_factory):
    """Reads a file with MANTiS, and makes its OD if an I0 is given."""
    environment = runpy.run_path(str(BENCHMARKS / "peers" / "mantis_environment.py"))
    try:
        environment["mantis_python"]()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"MANTiS cannot be installed: {error}")
    out = tmp_path_factory.mktemp("mantis") / "out.npz"

    def read(path, *more):
        environment["run_mantis"](path, out, *more)
        with np.load(out) as found:
            return dict(found)

    return read


@pytest.fixture(scope="module")
def registered(real_folder, tmp_path_factory):
    """The measured stack on the beamline's I0, not aligned: MANTiS does not align either."""
    stack = read_stack(real_folder / "71214078.hdr")
    spectra = {
        name: read_two_columns(real_folder / f"{name}.t") for name in ("oxidized", "reduced")
    }
    references = tmp_path_factory.mktemp("fe") / "references.csv"
    ReferenceSpectra.from_spectra(spectra).to_csv(references)
    recipe = Recipe.from_values(
        {
            "name": "fe",
            "references": references,
            "alignment": {"enabled": False},
            "i0": {"source": "spectrum", "spectrum": real_folder / "i0.xsp"},
            "specimen": {"mask": real_folder / "mask_file.msk"},
        }
    )
    return stack, register(stack, recipe)


@pytest.mark.parametrize("suffix", [".hdf5", ".ncb"])
def test_mantis_reads_an_exported_stack_the_right_way_round(mantis, tmp_path, suffix):
    counts = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5) + 1000
    extent_um = (0.0, 2.0, 0.0, 6.0)
    stack = Stack.from_arrays(counts, (510.0, 515.5, 520.0), extent_um=extent_um, dwell_ms=2.0)
    path = tmp_path / f"stack{suffix}"
    (write_ncb if suffix == ".ncb" else write_nexus_stxm)(path, stack)

    found = mantis(path)

    np.testing.assert_array_equal(found["counts"], counts)
    np.testing.assert_allclose(found["energy"], [510.0, 515.5, 520.0])
    np.testing.assert_allclose(found["x"], [0.0, 0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(found["y"], [0.0, 2.0, 4.0, 6.0])
    np.testing.assert_allclose(found["dwell"], 2.0 if suffix == ".ncb" else 0.002)


@pytest.mark.real
def test_the_optical_density_of_the_measured_stack_is_that_of_mantis(mantis, registered, tmp_path):
    stack, cube = registered
    write_nexus_stxm(tmp_path / "als.hdf5", aligned_stack(stack, cube))
    np.savetxt(tmp_path / "i0.csv", np.c_[cube.energies_ev, cube.i0], delimiter=",", fmt="%.17g")

    found = mantis(tmp_path / "als.hdf5", tmp_path / "i0.csv")

    np.testing.assert_array_equal(found["energy"], cube.energies_ev)
    np.testing.assert_array_equal(found["counts"], cube.intensity)
    assert np.isfinite(cube.od).mean() > 0.999
    usable = np.isfinite(cube.od)
    np.testing.assert_allclose(found["od"][usable], cube.od[usable], atol=1e-4, rtol=0)
