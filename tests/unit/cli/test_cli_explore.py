from pathlib import Path

import numpy as np
import pytest
from particles import write_sdf

from stxm_live.core.references import ReferenceSpectra
from stxm_live.io.results import read_nexus

PICTURES = {f"{n}{s}" for n in ("clusters", "pca", "nmf", "maps") for s in (".png", ".csv")}
NUMBERS = "exploration.nxs"


@pytest.fixture
def stack(tmp_path):
    write_sdf(tmp_path, "stack")


def test_a_first_look_writes_pictures_with_their_numbers_and_named_references(
    run, stack, coarse_pictures
):
    naming = ("--save-references", "found.csv", "--name", "0=one", "--name", "1=other")
    code, text = run("explore", "stack.hdr", "--clusters", "2", *naming)
    assert code == 0, text
    assert "principal components above the noise" in text
    assert {path.name for path in Path("stack-explored").iterdir()} == {*PICTURES, NUMBERS}
    table = np.genfromtxt("stack-explored/clusters.csv", delimiter=",", names=True)
    assert {"energy_ev", "cluster_0_od", "cluster_0_std"} <= set(table.dtype.names)
    assert len(table) == 13
    assert "next: stxm-live map STACK --references found.csv" in text
    assert ReferenceSpectra.from_csv("found.csv").phase_names == ("one", "other")


def test_a_recipe_keeps_its_references_and_gets_a_new_one(run, stack, nvpf, monkeypatch):
    monkeypatch.setattr("stxm_live.plotting.exploration.exploration_plates", lambda *_, **__: ())
    nvpf.reference_spectra.to_csv("references.csv")
    Path("own.toml").write_text('name = "own"\nreferences = "references.csv"\n')
    naming = ("--save-references", "more.csv", "--name", "0=new")
    code, text = run("explore", "stack.hdr", "--recipe", "own.toml", *naming)
    assert code == 0, text
    assert ReferenceSpectra.from_csv("more.csv").phase_names == (
        *nvpf.reference_spectra.phase_names,
        "new",
    )


def test_a_run_of_the_catalogue_is_explored_as_its_file_is(run, stack, monkeypatch):
    monkeypatch.setattr("stxm_live.plotting.exploration.exploration_plates", lambda *_, **__: ())
    assert run("import", "stack.hdr", "--catalog", "runs")[0] == 0
    for arguments in (["stack.hdr", "--out", "of-file"], ["-1", "--catalog", "runs"]):
        code, text = run("explore", *arguments)
        assert code == 0, text
    (of_run,) = Path().glob("????????-explored")
    first, second = (read_nexus(folder / NUMBERS) for folder in (Path("of-file"), of_run))
    assert set(first) == set(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert "no run abcdef in the catalogue" in run("explore", "abcdef", "--catalog", "runs")[1]
    assert "abcdef.hdr: no such file" in run("explore", "abcdef.hdr", "--catalog", "runs")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "0=a"], "give the file to write as well, --save-references"),
        (["--save-references", "a.csv"], "say which spectra, as --name 0=Na1VPF"),
        (["--save-references", "a.txt", "--name", "0=a"], "let the name end in .csv"),
        (["--save-references", "a.csv", "--name", "a"], "--name a: expected SPECTRUM=PHASE"),
        (["--save-references", "a.csv", "--name", "0=a"], "references need at least two phases"),
        (["--save-references", "stack.hdr", "--name", "0=a"], "let the name end in .csv"),
        (["--rgb", "515,517"], "--rgb 515,517: expected three images"),
        (["--map", "900"], "no image was recorded at 900 eV"),
        (["--clusters", "5000"], "5000 clusters of"),
    ],
)
def test_a_wrong_option_is_one_line(run, stack, arguments, message):
    code, text = run("explore", "stack.hdr", *arguments)
    assert code in (1, 2)
    assert message in text
    assert not Path("a.csv").exists()
