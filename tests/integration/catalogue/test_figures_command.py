"""The commands figures and diagnose."""

import numpy as np
import pytest
from particles import documents, image_events, particle_scan

from stxm_live.io.catalog import store_documents
from stxm_live.io.catalog.folder import catalog_folder


@pytest.mark.slow
def test_the_commands_draw_the_figures_of_runs_and_of_a_bundle(
    tmp_path, broker, run, quick_pictures
):
    scan = particle_scan()
    for sample, step in (("first", 1), ("second", -1)):
        events = image_events(
            change=lambda k, image, step=step: np.ascontiguousarray(image[::step])
        )
        md = {**scan.metadata(), "sample": sample}
        uid = store_documents(broker, documents(events, scan, md=md))
    catalog = ["--catalog", str(catalog_folder(broker)), "--set", "energy_fit=false"]
    code, text = run("figures", "-1", "-2", *catalog, "--out", "f")
    assert code == 0, text
    assert {p.name for p in (tmp_path / "f").glob("*.png")} == {
        "fig5-particles.png",
        "figS6-latent-space.png",
        "figS7-reliability.png",
        "figS8-correlation.png",
        "states-of-charge.png",
    }
    assert len(list((tmp_path / "f").glob(f"{uid[:8]}/*.png"))) == 8
    assert "second" in (tmp_path / "f" / "fig5-particles.csv").read_text()
    code, text = run("figures", "-1", *catalog, "--set", "model=nowhere", "--out", "g")
    assert code == 0, text
    assert "figures 4 and S6, audit and strategies are left out: no map from the encoder" in text
    assert len(list((tmp_path / "g").glob("*.png"))) == 4
    code, text = run("diagnose", "--out", "d")
    assert code == 0, text
    assert len(list((tmp_path / "d").glob("*.csv"))) == 5
    code, text = run("diagnose", "runs")
    assert code == 1
    assert "is no bundle" in text
