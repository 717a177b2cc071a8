"""Explorations under a real RunEngine: a plan asks, a person or a rule answers."""

import threading
import time

import numpy as np
import pytest
from run_engines import a_run_engine

from stxm_live.chooser import RegionChooser
from stxm_live.live import LivePhaseMapper
from stxm_live.plans import explore
from stxm_live.region import Region
from stxm_live.scan import StackScan
from stxm_live.sim.instrument import SimulatedMicroscope

OVERVIEW = Region((-1.2, 1.2), (-1.2, 1.2), nx=25, ny=24, name="all")
THIRDS = tuple(
    Region((x, x + 0.6), (-0.3, 0.3), nx=21, ny=20, dwell_ms=2.0, criterion="doubt", reason="why")
    for x in (-0.9, -0.3, 0.3)
)


def thirds(maps, scanned):
    """Suggest the three regions that are not scanned yet."""
    taken = {region.x_extent_um for region in scanned}
    return [region for region in THIRDS if region.x_extent_um not in taken]


class Shutter:
    """Remembers what it was set to."""

    name = "shutter"
    parent = None

    def __init__(self):
        self.settings = []

    def set(self, value):
        from ophyd.status import Status

        self.settings.append(value)
        status = Status()
        status.set_finished()
        return status


class Session:
    """A RunEngine, a microscope, a mapper and a chooser, as in a beamline's session."""

    def __init__(self, engine, recipe, suggest):
        self.engine = engine
        self.docs = []
        self.scope = SimulatedMicroscope.with_particle(
            recipe.reference_spectra, rng=np.random.default_rng(5), shape=(80, 80)
        )
        self.energies_ev = recipe.energies_ev
        self.shutter = Shutter()
        self.live = LivePhaseMapper(recipe)
        self.chooser = RegionChooser(self.live, suggest=suggest)
        engine.subscribe(lambda name, doc: self.docs.append((name, doc)))
        engine.subscribe(self.live)

    def plan(self, **options):
        return explore(
            self.scope.camera,
            self.scope.energy,
            chooser=self.chooser,
            live=self.live,
            energies_ev=self.energies_ev,
            overview=OVERVIEW,
            shutter=self.shutter,
            **options,
        )

    @property
    def starts(self):
        return [doc for name, doc in self.docs if name == "start"]

    def when_asked(self, act, times=1):
        """Act on another thread, as a person does, once the plan asks."""

        def person():
            for _ in range(times):
                while not self.chooser.question:
                    time.sleep(0.02)
                act(self.chooser)
                while self.chooser.question:
                    time.sleep(0.02)

        thread = threading.Thread(target=person)
        thread.start()
        return thread


@pytest.fixture
def session(nvpf):
    with a_run_engine() as engine:
        session = Session(engine, nvpf, thirds)
        yield session
        session.chooser.close()
        session.live.close()


def test_three_zooms_follow_the_best_suggestions_by_themselves(session):
    where_it_was = session.scope.energy.position
    session.engine(session.plan(auto=True))
    scans = [StackScan.from_start(start) for start in session.starts]
    assert [scan.region for scan in scans] == ["overview", "zoom 1", "zoom 2", "zoom 3"]
    assert [scan.x_extent_um for scan in scans[1:]] == [r.x_extent_um for r in THIRDS]
    assert {scan.dwell_ms for scan in scans[1:]} == {2.0}
    assert {scan.image_shape for scan in scans[1:]} == {(20, 21)}
    overview = session.starts[0]["uid"]
    assert [scan.parent for scan in scans] == [None, overview, overview, overview]
    assert len({scan.group_uid for scan in scans}) == 1
    assert scans[0].group_uid
    assert session.shutter.settings == ["open", "close"] * 4
    assert session.scope.energy.position == pytest.approx(where_it_was)
    assert session.starts[1]["chosen"] == {
        "by": "suggestion",
        "criterion": "doubt",
        "reason": "why",
    }
