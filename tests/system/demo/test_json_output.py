"""What programs get from the commands: JSON and exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from particles import particle_counts, write_sdf

from stxm_live.core.stack import Stack
from stxm_live.io.files import write_nexus_stxm

pytestmark = pytest.mark.slow

QUICK = ("--set", "energy_fit=false")


def document_of(done, kind):
    """The exit code of a command, and the one JSON document that it printed."""
    code, text = done
    document = json.loads(text)
    assert (document["kind"], document["version"]) == (kind, 1)
    return code, document


def test_a_map_is_one_json_document(run, quick_pictures):
    write_sdf(Path(), "stack")
    code, maps = document_of(
        run("map", "stack.hdr", "--recipe", "nvpf", *QUICK, "--json", "--format", "svg"), "maps"
    )
    assert code == 0
    assert (maps["source"], maps["status"], maps["verdict"]) == ("stack.hdr", "complete", "good")
    assert sum(phase["share"] for phase in maps["phases"]) == pytest.approx(1, abs=1e-6)
    assert all(Path(file).is_file() for file in maps["files"])
    assert {Path(file).suffix for file in maps["files"]} == {".svg"}
    assert maps["origin"]["measured"] == "2007-12-14T18:52:00"


def test_a_map_of_half_a_stack_ends_with_3(run, quick_pictures):
    counts, energies_ev, _ = particle_counts()
    counts = counts[::-1].copy()
    counts[8:] = np.nan
    write_nexus_stxm(Path("half.hdf5"), Stack.from_arrays(counts, energies_ev[::-1]))
    code, maps = document_of(run("map", "half.hdf5", "--recipe", "nvpf", *QUICK, "--json"), "maps")
    assert code == 3
    assert maps["status"] == "incomplete"


def test_runs_checks_replays_and_exports_are_json_documents(run):
    write_sdf(Path(), "stack")
    assert run("import", "stack.hdr", "--catalog", "runs")[0] == 0
    _, listed = document_of(run("runs", "--catalog", "runs", "--json"), "runs")
    (uid,) = [item["uid"] for item in listed["runs"]]
    assert listed["runs"][0]["shape"] == [13, 60, 72]
    assert not listed["runs"][0]["has_maps"]
    code, checked = document_of(run("check", uid, "--catalog", "runs", "--json"), "check")
    assert code == 0
    assert [stack["can_be_mapped"] for stack in checked["stacks"]] == [True]
    _, maps = document_of(run("replay", uid, "--catalog", "runs", *QUICK, "--json"), "maps")
    assert maps["run_uids"] == [uid]
    assert maps["differs_from_stored_in"] is None
    assert maps["stored_as"]
    command = ("export", uid, "--catalog", "runs", "--format", "nexus", "--json")
    _, exported = document_of(run(*command), "export")
    assert [Path(file).name for file in exported["results"][0]["files"]] == ["maps.nxs"]
    assert "error: " in run("replay", "0000000", "--catalog", "runs", "--json")[1]
