"""A first scan without references in a real browser: named there, and the next scan is mapped."""

import numpy as np
import pytest
from dashboard_page import Opened, launch
from run_engines import a_run_engine

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live import LivePhaseMapper, Recipe, Region
from stxm_live.dashboard import serve
from stxm_live.plans import stxm_stack
from stxm_live.sim.instrument import SimulatedMicroscope

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ENERGIES_EV = (505.0, 515.6, 517.5, 518.3, 519.2, 524.0, 530.3)


@pytest.fixture(scope="module")
def browser():
    yield from launch()


def test_two_clusters_are_named_in_the_page_and_the_next_scan_is_mapped_with_them(
    browser, nvpf, tmp_path
):
    scope = SimulatedMicroscope.with_particle(
        nvpf.reference_spectra, rng=np.random.default_rng(5), shape=(80, 80)
    )
    field = Region((-1.2, 1.2), (-1.2, 1.2), nx=41, ny=40)
    first = Recipe.load("first-look").with_changes({"energy_fit": False})
    with LivePhaseMapper(first) as live, a_run_engine() as engine:
        engine.subscribe(live)
        served = serve(live, folder=tmp_path)
        page = Opened(browser, served.url)
        plan = (scope.camera, scope.energy, ENERGIES_EV, field)
        (uid,) = engine(stxm_stack(*plan))
        found = live.explored(uid, timeout_s=120)
        page.says("verdict", f"No references yet: {len(found.clusters.spectra)} clusters")
        page.says("map-phases .legend", "cluster 0")
        for look in ((390, 844, "dark"), (1280, 800, "light")):
            page.look(*look)
            assert page.faults_of_texts() == []
        page.page.get_by_text("Save as references", exact=True).click()
        page.says("said", "at least two spectra")
        page.page.get_by_label("cluster 0").fill("first <b>")
        page.page.get_by_label("cluster 1").fill("second")
        page.page.get_by_text("Save as references", exact=True).click()
        page.says("said", "from now on are mapped with them")
        (folder,) = tmp_path.iterdir()
        (uid,) = engine(stxm_stack(*plan))
        maps = live.wait(uid, timeout_s=120)
        page.says("verdict", "map")
        page.says("map-phases .legend", "first <b>")
        assert maps.phase_names == ("first <b>", "second")
        assert maps.provenance["recipe_values"]["references"] == str(folder / "references.csv")
        assert page.complaints == []
        page.page.close()
        served.close()
