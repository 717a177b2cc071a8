import json

import pytest
from particles import documents, image_events, particle_counts, particle_scan
from typer.testing import CliRunner

from stxm_live import LivePhaseMapper, map_run
from stxm_live.cli import app
from stxm_live.core.scan import StackScan
from stxm_live.live.replay import stack_of_run

SKIPPED = (1, 3, 6, 9)
"""Places of the energies that the scan leaves out."""

MAY_SKIP = {"skipping": "in-order"}


def skipped_ev(places=SKIPPED):
    return [particle_counts()[1][k] for k in places]


def run(scan_changes=MAY_SKIP, *, skip=SKIPPED, **options):
    return list(documents(image_events(skip=skip), particle_scan(**scan_changes), **options))


def live_maps(recipe, docs):
    with LivePhaseMapper(recipe, background=False) as live:
        for name, doc in docs:
            live(name, doc)
        return live.wait(docs[0][1]["uid"], timeout_s=120)


@pytest.fixture(scope="module")
def recipe(nvpf):
    return nvpf.with_changes({"energy_fit": False})


@pytest.fixture(scope="module")
def early(recipe):
    docs = run()
    return docs, live_maps(recipe, docs)


def test_a_scan_that_may_skip_energies_and_ends_well_is_stopped_early_and_resolved(early):
    _, maps = early
    assert maps.status == "stopped-early"
    assert maps.energies_ev == tuple(e for e in particle_counts()[1] if e not in skipped_ev())
    assert maps.resolved_index is not None
    assert maps.quality.verdict != "poor"


def test_what_was_skipped_is_named(early):
    (note,) = [text for text in early[1].warnings if "ended early" in text]
    assert all(f"{energy:g}" in note for energy in skipped_ev())


def checked(tmp_path, docs):
    """What the command says of these documents."""
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(json.dumps(pair, cls=Jsonable) for pair in docs))
    return CliRunner().invoke(app, ["check", str(path)]).output


class Jsonable(json.JSONEncoder):
    def default(self, value):
        return value.tolist()


def test_check_names_what_was_skipped_apart_from_what_is_missing(early, tmp_path):
    skipped = ", ".join(f"{energy:g}" for energy in skipped_ev())
    told = checked(tmp_path, early[0])
    assert f"stopped early, skipped: {skipped} eV\n" in told
    assert "can be mapped with 9 energies\n" in told
    assert "missing" not in told
    told = checked(tmp_path, run({}))  # a scan that may not skip
    assert f"missing: {skipped} eV\n" in told
    assert "skipped:" not in told


def test_live_and_replayed_maps_of_a_scan_that_stopped_early_are_the_same(early, recipe):
    docs, maps = early
    assert maps.identical(map_run(docs, recipe))


def test_maps_of_a_scan_that_stopped_early_are_those_of_a_scan_of_its_energies_only(early, recipe):
    measured = [k for k in range(len(particle_counts()[1])) if k not in SKIPPED]
    energies_ev = tuple(particle_counts()[1][k] for k in measured)
    scan = particle_scan(energies_ev=energies_ev, shape=(len(measured), *particle_scan().shape[1:]))
    whole = map_run(list(documents(image_events(skip=SKIPPED), scan)), recipe)
    assert whole.status == "complete"
    assert early[1].differences(whole) == ["status"]


def test_maps_made_again_from_a_scan_that_stopped_early_still_say_so(early):
    again = early[1].redo({"resolver.spatial": "none"})
    assert again.status == "stopped-early"
    assert again.resolved_index is not None


@pytest.mark.parametrize(
    ("changes", "exit_status"), [({}, "success"), (MAY_SKIP, "abort"), (MAY_SKIP, "fail")]
)
def test_without_leave_to_skip_or_without_success_the_maps_are_incomplete(
    recipe, changes, exit_status
):
    maps = live_maps(recipe, run(changes, exit_status=exit_status))
    assert maps.status == "incomplete"
    assert maps.resolved_index is not None


def test_a_scan_that_may_skip_energies_and_skips_none_is_complete(recipe):
    assert live_maps(recipe, run(skip=())).status == "complete"


def test_an_image_that_was_lost_on_the_way_does_not_pass_for_one_that_was_skipped(recipe):
    docs = run()
    lost = next(doc for name, doc in docs if name == "event")
    maps = live_maps(recipe, [(name, doc) for name, doc in docs if doc is not lost])
    assert maps.status == "incomplete"
    assert any("1 events of stream 'primary' did not come" in text for text in maps.warnings)


def test_an_image_of_which_lines_are_missing_is_missing_and_not_skipped(recipe):
    def lines(docs_of):
        counts, energies_ev, _ = particle_counts()
        number = 0
        for k in docs_of:
            for row in range(counts.shape[1]):
                number += 1
                if (k, row) != (5, 7):
                    yield number, {"energy": energies_ev[k], "counts": counts[k, row]}

    measured = [k for k in range(13) if k not in SKIPPED]
    scan = particle_scan(**MAY_SKIP)
    docs = list(documents(lines(measured), scan, shape=(scan.shape[2],)))
    maps = live_maps(recipe, docs)
    assert maps.status == "incomplete"


@pytest.mark.parametrize("field", ["energy", "other"])
def test_without_an_energy_in_its_events_nobody_knows_what_was_skipped(recipe, field):
    events = [
        (number, {field: data["energy"], "counts": data["counts"]})
        for number, data in image_events(skip=SKIPPED)
    ]
    docs = list(documents(events, particle_scan(**MAY_SKIP), fields=(field, "counts")))
    stack = stack_of_run(docs)
    assert len(stack.frames) == (9 if field == "energy" else 0)
    if field == "other":
        assert "image 2 came without an energy, 13 were announced; left out" in stack.notes[2]


def test_the_start_document_says_that_energies_may_be_skipped():
    scan = particle_scan(**MAY_SKIP)
    assert scan.metadata()["stxm_live"]["skipping"] == "in-order"
    assert StackScan.from_start(scan.metadata()) == scan
    with pytest.raises(ValueError, match="skipping"):
        StackScan.from_start({"stxm": scan.metadata()["stxm"], "stxm_live": {"skipping": "yes"}})
