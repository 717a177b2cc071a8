"""A plan that measures some of the rows, its documents, and the stack that they are read as."""

import event_model
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from run_engines import pause_soon

from stxm_live.adaptive.energies.rows import interleaved_rows
from stxm_live.core.recipe import Recipe
from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan
from stxm_live.live.replay import stack_of_run
from stxm_live.plans import stxm_sparse_stack
from stxm_live.sim.instrument import SimulatedMicroscope

ENERGIES_EV = (505.0, 517.5, 530.3, 524.0)
NY, NX = 6, 9
FIELD = Region((-0.4, 0.4), (0.3, -0.3), nx=NX, ny=NY, dwell_ms=2.0)


def simulated(**options):
    references = Recipe.load("nvpf").reference_spectra
    rng = np.random.default_rng(3)
    return SimulatedMicroscope.with_particle(references, rng=rng, shape=(40, 50), **options)


@pytest.fixture
def documents(RE):
    collected = []
    RE.subscribe(lambda name, doc: collected.append((name, doc)))
    return collected


def plan(scope, **options):
    return stxm_sparse_stack(
        scope.line, scope.energy, ENERGIES_EV, FIELD, y_axis=scope.y, **options
    )


def start_of(documents):
    return next(doc for name, doc in documents if name == "start")


def lines_of(documents):
    return [doc["data"]["line"] for name, doc in documents if name == "event"]


def check_rows(documents, stack):
    """Every measured line is where the start document says, and nothing elsewhere."""
    scan = StackScan.from_start(start_of(documents))
    lines = iter(lines_of(documents))
    frames = {frame.announced_ev: frame for frame in stack.frames}
    for energy_ev, rows in zip(scan.energies_ev, scan.rows, strict=True):
        image = frames[energy_ev].intensity
        for row in rows:
            np.testing.assert_array_equal(image[row], next(lines))
        others = np.setdiff1d(np.arange(NY), rows)
        assert np.isnan(image[others]).all()
        assert frames[energy_ev].is_whole
        assert frames[energy_ev].rows == rows
    assert stack.finished
    assert stack.missing_ev == ()


def test_the_rows_are_announced_and_read_where_they_are(RE, documents):
    RE(plan(simulated(), share=0.5))
    for name, doc in documents:
        plain = event_model.sanitize_doc(doc)
        event_model.schema_validators[event_model.DocumentNames[name]].validate(plain)
    scan = StackScan.from_start(start_of(documents))
    assert scan.rows == interleaved_rows(NY, [0.5] * 4)
    assert len(lines_of(documents)) == 12
    check_rows(documents, stack_of_run(documents))


def test_with_references_rows_are_those_of_the_telling_energies(RE, documents):
    references = Recipe.load("nvpf").reference_spectra
    RE(plan(simulated(), share=0.9, references=references))
    scan = StackScan.from_start(start_of(documents))
    assert scan.energies_ev == ENERGIES_EV
    assert sorted(map(len, scan.rows)) == [4, 6, 6, 6]
    check_rows(documents, stack_of_run(documents))


def test_a_pause_repeats_a_line_and_leaves_none_out(RE, documents):
    scope = simulated(frame_time_s=0.1)

    def pause(name, doc):
        if name == "event" and doc["seq_num"] == 5:
            pause_soon(RE)

    RE.subscribe(pause)
    with pytest.raises(RunEngineInterrupted):
        RE(plan(scope, share=0.5))
    assert len(lines_of(documents)) < 12
    RE.resume()
    last = {doc["seq_num"]: doc for name, doc in documents if name == "event"}
    kept = [(name, doc) for name, doc in documents if name != "event"]
    kept[2:2] = [("event", last[k]) for k in sorted(last)]
    check_rows(kept, stack_of_run(documents))


@pytest.mark.parametrize("share", [0.0, 1.5, -1.0])
def test_a_share_that_is_none_is_refused_before_anything_moves(RE, documents, share):
    with pytest.raises(ValueError, match=r"share of the rows is .*; expected above 0 and up to 1"):
        RE(plan(simulated(), share=share))
    assert documents == []
