import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from particles import particle_counts, write_sdf
from PIL import Image

from stxm_live.cli.reference_sources import parse_source
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra


@pytest.fixture
def spectra(tmp_path):
    """The first and the last shipped reference as files of two columns, and all as one CSV."""
    shipped = Recipe.load("nvpf").reference_spectra
    for name, od in {"na3": shipped.od[0], "na1": shipped.od[-1]}.items():
        np.savetxt(tmp_path / f"{name}.xsp", np.column_stack([shipped.energies_ev, od])[::-1])
    shipped.to_csv(tmp_path / "all.csv")
    return shipped


@pytest.mark.parametrize("command", ["references", "choose-energies"])
def test_the_commands_have_help_with_examples(run, command):
    code, text = run(command, "--help")
    assert code == 0
    assert re.search(rf"Examples: stxm-live {command}", text)


def test_references_from_files_are_what_a_recipe_reads(run, spectra):
    code, text = run("references", "Na3VPF=na3.xsp", "x=na1.xsp", "Na2VPF=all.csv@Na2VPF")
    assert code == 0, text
    assert "closest on 601 energies: Na3VPF and Na2VPF, 1 - PCC = 0." in text
    made = ReferenceSpectra.from_csv("references.csv")
    assert made.phase_names == ("Na3VPF", "x", "Na2VPF")
    assert made.synthetic  # one of the sources is
    np.testing.assert_allclose(made.od, spectra.od[[0, 4, 2]], atol=1e-12)
    assert "# Na2VPF: all.csv@Na2VPF\n" in Path("references.csv").read_text()
    with Image.open("references.png") as picture:
        assert picture.size[0] > 1000


def test_a_table_without_a_name_gives_all_its_phases(run, spectra, quick_pictures):
    code, text = run("references", "all.csv", "--recipe", "nvpf", "--out", "again.csv")
    assert code == 0, text
    assert "closest on 13 energies: Na1VPF and Na1-yVPF, 1 - PCC = 0.0078" in text
    assert ReferenceSpectra.from_csv("again.csv").phase_names == spectra.phase_names


def test_references_from_a_region_of_a_stack(run, spectra, quick_pictures, tmp_path):
    write_sdf(tmp_path, "stack")
    _, energies, particle = particle_counts()
    np.save("mine.npy", particle.phase_index == 2)
    code, text = run("references", "Na2VPF=stack.hdr@mine.npy", "Na3VPF=na3.xsp")
    assert code == 0, text
    made = ReferenceSpectra.from_csv("references.csv")
    truth = spectra.at(energies)
    coefficients = np.corrcoef(made.at(energies)[0], truth)[0, 1:]
    assert coefficients.argmax() == 2
    assert coefficients[2] > 0.999
    errors = np.genfromtxt("references-standard-errors.csv", delimiter=",", names=True)
    assert np.nanmax(errors["Na2VPF"]) < 0.02
    # maps use the same errors, and made again from this file the references keep them
    np.testing.assert_allclose(made.od_std[0], errors["Na2VPF"], rtol=1e-4)
    code, text = run("references", "references.csv", "--out", "again.csv")
    assert code == 0, text
    again = ReferenceSpectra.from_csv("again.csv")
    assert again.phase_names == made.phase_names
    np.testing.assert_allclose(again.od_std[0], made.od_std[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a=nothing.xsp", "b=na3.xsp"], "nothing.xsp: no such file"),
        (["a=na3.xsp"], "references need at least two phases, got a; add NAME=SOURCE for each"),
        (["=na3.xsp", "b=na1.xsp"], "'=na3.xsp': expected NAME=SOURCE"),
        (["a=notes.doc", "b=na3.xsp"], "notes.doc: cannot read .doc; known suffixes are .h5"),
        (["a=stack.hdr", "b=na3.xsp"], "stack.hdr: choose the pixels: add @x0,x1,y0,y1"),
        (["stack.hdr@specimen", "b=na3.xsp"], "give the phase a name, as NAME=stack.hdr@specimen"),
        (["a=stack.hdr@1,2", "b=na3.xsp"], "'1,2' is not a region; write x0,x1,y0,y1 in um"),
        (["a=stack.hdr@90,91,90,91", "b=na3.xsp"], "the box is outside the image (x 0 to"),
        (["a=stack.hdr@0,0.1,0,0.1", "b=na3.xsp"], "of the region is specimen"),
        (["a=all.csv", "b=na3.xsp"], "all.csv: has 5 columns beside the energy; add @NAME"),
    ],
)
def test_a_wrong_source_is_one_line_with_advice(run, spectra, tmp_path, arguments, message):
    write_sdf(tmp_path, "stack")
    Path("notes.doc").write_text("no")
    code, text = run("references", *arguments)
    assert code in (1, 2)
    assert text.startswith("error: ")
    assert message in text
    assert not Path("references.csv").exists()


def test_a_file_is_not_replaced_unless_told(run, spectra, quick_pictures):
    Path("references.csv").write_text("mine")
    code, text = run("references", "all.csv")
    assert code == 1
    assert "references.csv exists; choose another name with --out, or --force" in text
    assert run("references", "all.csv", "--force")[0] == 0


def test_references_are_not_written_over_by_their_picture(run, spectra, tmp_path):
    code, text = run("references", "all.csv", "--out", "all.png")
    assert code == 2
    assert "let the name end in .csv" in text
    assert not (tmp_path / "all.png").exists()


def test_energies_are_chosen_on_the_axis_that_the_recipe_corrects(run, spectra, tmp_path):
    common = 'name = "own"\nreferences = "all.csv"\n'
    (tmp_path / "true.toml").write_text(common)
    (tmp_path / "off.toml").write_text(common + "energy_offset_ev = 0.25\n")
    chosen = {}
    for name, low_ev in (("true", 512), ("off", 511.75)):
        options = ["--n", 4, "--fewest", 4, "--keep", "", "--low", low_ev, "--high", low_ev + 18]
        run("choose-energies", "--recipe", f"{name}.toml", *options, "--out", f"{name}.txt")
        chosen[name] = np.array(
            tomllib.loads((tmp_path / f"{name}.txt").read_text())["energies_ev"]
        )
    # the monochromator says less than the true energy
    np.testing.assert_allclose(chosen["off"], chosen["true"] - 0.25, atol=1e-3)


def test_a_file_with_signs_in_its_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a@b=c.csv").write_text("x")
    assert parse_source("a@b=c.csv") == (None, "a@b=c.csv", None)
    assert parse_source("n=a@b=c.csv") == ("n", "a@b=c.csv", None)
    assert parse_source("n=run:3f@1,2,3,4").run == "3f"


def test_chosen_energies_are_a_line_for_a_recipe_and_fewer_cost_more(run):
    options = ["--n", 6, "--photons", 500, "--fewest", 4, "--keep", "505", "--out", "six.toml"]
    code, text = run("choose-energies", "--recipe", "nvpf", *options)
    assert code == 0, text
    chosen = tomllib.loads(Path("six.toml").read_text())["energies_ev"]
    assert len(chosen) == 6
    assert chosen[0] == 505
    rows = dict(re.findall(r"│ (\d+(?: \(recipe\))?) │ ([\d.]+) %", text))
    assert list(rows) == ["6", "5", "4", "13 (recipe)"]
    assert float(rows["6"]) > float(rows["4"])
    assert "the reference spectra are synthetic" in text
    assert Path("six.toml").read_text().startswith("# chosen from synthetic references")
    Recipe.load("nvpf").with_changes({"energies_ev": chosen})


def test_the_lowest_energy_of_the_range_is_kept_for_the_pre_edge(run):
    options = ["--n", 4, "--fewest", 4, "--low", 510.05, "--high", 535]
    assert "energies_ev = [510.1, " in run("choose-energies", "--recipe", "nvpf", *options)[1]
    code, text = run("choose-energies", "--recipe", "nvpf", *options, "--keep", "")
    assert code == 0
    assert "energies_ev = [510.1, " not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --references or --recipe"),
        (["--recipe", "nvpf", "--n", 700], "700 energies asked for, "),
        (["--recipe", "nvpf", "--keep", "499"], "references cover 500 to 560 eV"),
        (["--recipe", "nvpf", "--keep", "edge"], "--keep edge: expected energies in eV"),
        (["--recipe", "nvpf", "--photons", 0], "photons = 0: expected a number above 0"),
        (["--recipe", "nvpf", "--low", 600, "--high", 700], "0 are there to choose from"),
    ],
)
def test_energies_that_cannot_be_chosen_are_one_line_with_advice(run, options, message):
    code, text = run("choose-energies", *options)
    assert code in (1, 2)
    assert text.startswith("error: ")
    assert message in text


LINE = (
    "Na2.4VPF is 0.41 Na3VPF + 0.59 Na2VPF within 0.02 sigma at 1000 photons and OD 1.4: a layer of"
)


def test_a_recipe_is_shown_with_the_phases_that_layers_of_others_look_like(run):
    code, text = run("recipe", "show", "nvpf", "--od", 1.4)
    assert code == 0
    assert LINE in text
    assert "to separate Na2.4VPF: no further energy from 500 to 560 eV is enough" in text
    _, text = run("recipe", "show", "nvpf", "--photons", 1e7)
    assert "no reference is within 1 sigma of a mixture of others at 1e+07 photons and OD 1" in text


def test_chosen_energies_come_with_what_they_leave_mixed(run):
    _, text = run("choose-energies", "--recipe", "nvpf", "--n", 5, "--fewest", 5)
    assert "Na2.4VPF is 0.4" in text
    assert "at 1000 photons and OD 1: a layer of one over the other looks the same" in text


def test_references_are_made_with_a_note_on_mixtures_and_the_energy_that_separates_them(
    run, quick_pictures
):
    energies = np.linspace(500, 520, 101)
    a, c = (np.exp(-0.5 * (energies - centre) ** 2) for centre in (505, 512))
    b = 0.3 * a + 0.7 * c + 0.5 * np.exp(-0.5 * ((energies - 518) / 0.3) ** 2)
    table = np.column_stack([energies, 0.1 + a, 0.1 + b, 0.1 + c])
    np.savetxt("mixed.csv", table, delimiter=",", header="energy_ev,a,b,c", comments="")
    Path("few.toml").write_text(
        f'name = "few"\nreferences = "mixed.csv"\nenergies_ev = {list(range(501, 517))}\n'
    )
    code, text = run("references", "mixed.csv", "--recipe", "few.toml")
    assert code == 0, text
    assert "b is 0.30 a + 0.70 c within 0.0" in text
    assert re.search(r"to separate b: measure 518(\.\d)? eV in addition \(", text)
