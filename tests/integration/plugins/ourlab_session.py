"""Uses the installed plug-ins as their user would, and writes what came out to ``report.json``."""

import json
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
from particles import particle_counts
from run_engines import a_run_engine
from typer.testing import CliRunner

import stxm_live

assert "stxm_ourlab" not in sys.modules

X_UM, Y_UM = (0.0, 2.13), (1.77, 0.0)


class Lines:
    """A detector that sends the lines of all images one after the other, odd ones backwards."""

    name = "scan"
    parent = None
    hints: ClassVar[dict] = {}

    def __init__(self, counts, energies_ev):
        self.events = (
            (energy, line[::-1] if row % 2 else line)
            for energy, image in zip(energies_ev, counts, strict=True)
            for row, line in enumerate(image)
        )
        self.n_pixels = counts.shape[2]

    def read(self):
        energy, line = next(self.events)
        return {
            "mono": {"value": energy, "timestamp": time.time()},
            "apd": {"value": line, "timestamp": time.time()},
        }

    def describe(self):
        return {
            "mono": {"source": "test", "dtype": "number", "shape": [], "units": "eV"},
            "apd": {"source": "test", "dtype": "array", "shape": [self.n_pixels]},
        }

    def read_configuration(self):
        return {}

    def describe_configuration(self):
        return {}


def file_is_read(counts, energies_ev):
    from stxm_live.io.files import read_stack

    extent_um = (*X_UM, *Y_UM)
    values = {"counts": counts, "energies_ev": energies_ev, "extent_um": extent_um, "dwell_ms": 2.0}
    np.savez("particle.npz", **values)
    stack = read_stack("particle.npz")
    return {
        "counts": bool(np.array_equal(stack.intensity(), counts)),
        "extent_um": stack.scan.extent_um,
        "folder": read_stack(".").energies_ev == stack.energies_ev,
    }


def run_is_mapped(recipe, counts, energies_ev):
    """The documents go through JSON before they are replayed, as through a catalogue."""
    from event_model import NumpyEncoder

    from stxm_live import LivePhaseMapper, map_run
    from stxm_live.cli import app
    from stxm_live.live.replay import stack_of_run

    lines, documents = Lines(counts, energies_ev), []
    md = {
        "plan_name": "ourlab_lines",
        "photon_energies": energies_ev,
        "x_um": (*X_UM, counts.shape[2]),
        "y_um": (*Y_UM, counts.shape[1]),
    }

    def plan():
        import bluesky.plan_stubs as bps

        yield from bps.open_run(md)
        for _ in range(counts.shape[0] * counts.shape[1]):
            yield from bps.create()
            yield from bps.read(lines)
            yield from bps.save()
        yield from bps.close_run()

    def keep(*document):
        documents.append(document)

    with a_run_engine() as engine, LivePhaseMapper(recipe) as live:
        engine.subscribe(live)
        engine.subscribe(keep)
        (uid,) = engine(plan())
        maps = live.wait(uid, timeout_s=120)
    path = Path("run.jsonl")
    path.write_text("\n".join(json.dumps(pair, cls=NumpyEncoder) for pair in documents))
    stored = [tuple(json.loads(line)) for line in path.read_text().splitlines()]
    check = CliRunner().invoke(app, ["check", str(path)])
    return maps, {
        "status": maps.status,
        "replayed": maps.identical(map_run(stored, recipe)),
        "counts": bool(np.array_equal(stack_of_run(stored).intensity(), counts)),
        "check": " ".join(check.output.split()),
    }


def regions_are_suggested(maps):
    from stxm_live import suggest_regions

    thin, mixed = (
        suggest_regions(maps, 1, size_um=0.3, criterion=criterion)[0]
        for criterion in ("thin", {"thin": 1, "doubt": 1})
    )
    x = np.linspace(*X_UM, maps.specimen.shape[1])
    y = np.linspace(*Y_UM, maps.specimen.shape[0])
    inside = [
        (values > min(extent) - 0.01) & (values < max(extent) + 0.01)
        for values, extent in ((y, thin.y_extent_um), (x, thin.x_extent_um))
    ]
    transmission = np.where(maps.specimen, np.exp(-maps.od.max(axis=0)), 0)
    return {
        "criterion": thin.criterion,
        "reason": thin.reason,
        "in_region": float(transmission[np.ix_(*inside)].mean()),
        "in_specimen": float(transmission[maps.specimen].mean()),
        "mixed": mixed.criterion,
    }


if __name__ == "__main__":
    counts, energies_ev, _ = particle_counts()
    recipe = stxm_live.Recipe.load("nvpf").with_changes({"model": None})
    report = {"reader": file_is_read(counts, energies_ev)}
    maps, report["shape"] = run_is_mapped(recipe, counts, energies_ev)
    report["criterion"] = regions_are_suggested(maps)
    Path("report.json").write_text(json.dumps(report))
