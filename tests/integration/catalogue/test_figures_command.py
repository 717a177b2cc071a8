"""The commands figures and diagnose."""

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe


@pytest.mark.slow
def test_the_commands_draw_the_figures_of_runs_and_of_a_bundle(
    tmp_path, monkeypatch, RE, quick_pictures
):
    from typer.testing import CliRunner

    from stxm_live.cli import app
    from stxm_live.io.catalog import RawWriter, close_catalog, open_catalog
    from stxm_live.plans import stxm_stack
    from stxm_live.sim.instrument import SimulatedMicroscope

    monkeypatch.chdir(tmp_path)
    recipe = Recipe.load("nvpf")
    broker = open_catalog(tmp_path / "runs")
    writer = RawWriter(broker)
    RE.subscribe(writer)
    for seed, sample in enumerate(("first", "second")):
        microscope = SimulatedMicroscope.with_particle(
            recipe.reference_spectra, rng=np.random.default_rng(seed), shape=(48, 48)
        )
        plan = stxm_stack(
            microscope.camera,
            microscope.energy,
            recipe.energies_ev,
            microscope.field(),
            md={"sample": sample},
        )
        (uid,) = RE(plan)
        writer.wait(uid, timeout_s=60)
    writer.close()
    close_catalog(broker)
    done = CliRunner().invoke(app, ["figures", "-1", "-2", "--catalog", "runs", "--out", "f"])
    assert done.exit_code == 0, done.output
    assert {p.name for p in (tmp_path / "f").glob("*.png")} == {
        "fig5-particles.png",
        "figS6-latent-space.png",
        "figS7-reliability.png",
        "figS8-correlation.png",
        "states-of-charge.png",
    }
    assert len(list((tmp_path / "f").glob(f"{uid[:8]}/*.png"))) == 8
    assert "second" in (tmp_path / "f" / "fig5-particles.csv").read_text()
    settings = ["--set", "model=nowhere", "--out", "g"]
    done = CliRunner().invoke(app, ["figures", "-1", "--catalog", "runs", *settings])
    assert done.exit_code == 0, done.output
    assert (
        "figures 4 and S6, audit and strategies are left out: no map from the encoder"
        in done.output
    )
    assert len(list((tmp_path / "g").glob("*.png"))) == 4
    done = CliRunner().invoke(app, ["diagnose", "--out", "d"])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "d").glob("*.csv"))) == 5
    done = CliRunner().invoke(app, ["diagnose", "runs"])
    assert done.exit_code == 1
    assert "is no bundle" in done.output
