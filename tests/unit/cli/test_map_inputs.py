import re

import h5py
import numpy as np
import pytest
import two_phases as two

from stxm_live.cli.map_inputs import i0_file, recipe_of_references
from stxm_live.core.recipe_files import read_two_columns
from stxm_live.core.stack import Stack
from stxm_live.io.files import write_nexus_stxm

XDI = """# XDI/1.0
# Column.1: energy eV
# Column.2: i0
# Column.3: itrans
# Column.4: mutrans
#----
"""


def write_xdi(folder, phase):
    rows = [
        f"{e:.2f} 100000.0 {100000 * np.exp(-od):.1f} {od:.5f}"
        for e, od in zip(two.ENERGIES, two.PHASES[phase], strict=True)
    ]
    path = folder / f"{phase}.xdi"
    path.write_text(XDI + "\n".join(rows))
    return path


def od_of(recipe):
    return dict(zip(recipe.reference_spectra.phase_names, recipe.reference_spectra.od, strict=True))


def test_a_column_of_an_xdi_file_is_chosen_by_name_and_never_guessed(tmp_path):
    files = [write_xdi(tmp_path, phase) for phase in two.PHASES]

    with pytest.raises(ValueError, match=r"left.xdi: has 3 columns .*@NAME.*i0, itrans, mutrans"):
        recipe_of_references("s", list(map(str, files)), tmp_path / "out")
    with pytest.raises(ValueError, match=r"left.xdi: has 3 columns"):
        recipe_of_references("s", [str(files[0])], tmp_path / "out")

    recipe = recipe_of_references("s", [f"{file}@mutrans" for file in files], tmp_path / "out")
    found = od_of(recipe)
    assert set(found) == {"left", "right"}
    np.testing.assert_allclose(found["left"], two.PHASES["left"], atol=1e-5)


def test_an_athena_file_of_several_spectra_has_a_phase_in_each_column(tmp_path):
    table = np.column_stack([two.ENERGIES, *two.PHASES.values()])
    path = tmp_path / "both.nor"
    np.savetxt(path, table, header="Athena data file\n-----\nenergy  left  right")

    found = od_of(recipe_of_references("s", [str(path)], tmp_path / "out"))

    np.testing.assert_allclose(found["right"], two.PHASES["right"])


def test_the_forms_of_one_spectrum_are_not_taken_for_phases(tmp_path):
    table = np.column_stack([two.ENERGIES, *two.PHASES.values()])
    np.savetxt(tmp_path / "one.nor", table, header="energy  norm  flat")
    with pytest.raises(ValueError, match=r"has 2 columns .*norm, flat"):
        recipe_of_references("s", [str(tmp_path / "one.nor")], tmp_path / "out")


def test_two_references_of_one_name_are_refused(tmp_path):
    path = write_xdi(tmp_path, "left")
    with pytest.raises(ValueError, match="two references named left; write NAME="):
        recipe_of_references("s", [f"{path}@mutrans", f"{path}@i0"], tmp_path / "out")


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("cp1252"),
        lambda text: text.replace(",", "\t").encode("utf-8"),
        lambda text: text.replace(",", ";").replace(".", ",").encode("cp1252"),
        lambda text: text.replace("\n", "\r\n").encode("utf-8"),
        lambda text: "sep=;\n" + text.replace(",", ";").replace(".", ","),
        lambda text: re.sub(r"([\d.]+)", r'"\1"', text.replace(",", ";")).replace(".", ","),
    ],
)
def test_a_csv_of_any_program_gives_the_same_references(tmp_path, encode):
    rows = [
        f"{e},{a:.5f},{b:.5f}" for e, a, b in zip(two.ENERGIES, *two.PHASES.values(), strict=True)
    ]
    path = tmp_path / "r.csv"
    encoded = encode("\n".join(["energy_ev,Fé,B", *rows]) + "\n")
    path.write_bytes(encoded if isinstance(encoded, bytes) else encoded.encode())

    found = od_of(recipe_of_references("s", [str(path)], tmp_path / "out"))

    np.testing.assert_allclose(found["Fé"], two.PHASES["left"], atol=1e-5)


def write_point_scan(path):
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry1")
        entry["definition"] = [b"NXstxm"]
        data = entry.create_group("counter0")
        data["data"], data["energy"] = two.I0, two.ENERGIES
        data["sample_x"], data["sample_y"] = np.zeros(1), np.zeros(1)
        data["stxm_scan_type"] = [b"sample point spectrum"]
    return path


def write_empty_stack(path):
    images = np.random.default_rng(1).poisson(np.broadcast_to(two.I0[:, None, None], (8, 20, 20)))
    write_nexus_stxm(path, Stack.from_arrays(images.astype(float), two.ENERGIES))
    return path


def write_columns(path):
    table = np.column_stack([two.ENERGIES, np.ones(8), two.I0])
    np.savetxt(path, table, header="energy itrans i0")
    return f"{path}@i0"


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_point_scan, "i0.hdf5"),
        (write_empty_stack, "empty.hdf5"),
        (write_columns, "i0.dat"),
    ],
)
def test_i0_is_taken_from_what_people_have(tmp_path, write, name):
    made = i0_file(str(write(tmp_path / name)), tmp_path / "out")

    energies_ev, i0 = read_two_columns(made)
    np.testing.assert_allclose(energies_ev, two.ENERGIES)
    np.testing.assert_allclose(i0, two.I0, rtol=0.01)


def test_a_stack_with_a_particle_is_not_taken_as_i0(tmp_path):
    write_nexus_stxm(tmp_path / "s.hdf5", Stack.from_arrays(two.counts(), two.ENERGIES))
    with pytest.raises(ValueError, match=r"s.hdf5: its mean image varies .* not of an empty"):
        i0_file(str(tmp_path / "s.hdf5"), tmp_path / "out")


def test_decimal_commas_between_commas_are_refused_and_named(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("energy_ev,A,B\n505,0,0,25,0,31\n506,0,0,27,0,30\n")
    with pytest.raises(ValueError, match=r"r.csv, line 2: expected 3 .*decimal commas\?"):
        _ = recipe_of_references("s", [str(path)], tmp_path).reference_spectra
