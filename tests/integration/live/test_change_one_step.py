"""The how-to "Change one step": live, replayed and offline by the same functions."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from particles import documents, image_documents, particle_counts, particle_scan, particle_stack

from stxm_live import LivePhaseMapper, map_phases, map_run
from stxm_live.core.stack import Stack
from stxm_live.phase_mapping import Steps
from stxm_live.preprocessing.alignment.stack_alignment import Alignment
from stxm_live.preprocessing.workflow import align, register

HOWTO = Path(__file__).parents[3] / "docs" / "howto" / "change-one-step.md"


def steps_of_the_howto():
    """The steps of the page's first block of Python."""
    block = re.search(r"^```python\n(.*?)^```", HOWTO.read_text(), re.DOTALL | re.MULTILINE)
    names = {"__name__": "howto"}
    exec(block[1], names)
    return names["steps"]


def drifting_images():
    """Counts of the particle, moved by whole pixels, and their documents."""
    counts, energies_ev, _ = particle_counts()
    drift = np.cumsum(np.random.default_rng(3).integers(-1, 2, (len(counts), 2)), axis=0)
    moved = [np.roll(image, step, axis=(0, 1)) for image, step in zip(counts, drift, strict=True)]
    events = [(None, {"energy": e, "counts": m}) for e, m in zip(energies_ev, moved, strict=True)]
    return np.array(moved), energies_ev, list(documents(events, particle_scan()))


def live_maps(stream, recipe, steps, sink=None):
    with LivePhaseMapper(recipe, background=False, steps=steps) as live:
        if sink:
            live.add_sink(on_cube=sink)
        for name, doc in stream:
            live(name, doc)
        return live.wait(stream[0][1]["uid"], timeout_s=60)


def test_another_aligner_gives_the_same_maps_live_replayed_and_offline(nvpf):
    steps = steps_of_the_howto()
    recipe = nvpf.with_changes({"alignment.refine": False})
    counts, energies_ev, stream = drifting_images()
    views = []
    live = live_maps(stream, recipe, steps, views.append)
    replayed = map_run(stream, recipe, steps=steps)
    stack = Stack.from_arrays(counts, energies_ev, extent_um=(0.0, 2.13, 1.77, 0.0))
    offline = map_phases(stack, recipe, steps=steps)
    assert live.identical(replayed)
    assert live.identical(offline)
    assert not np.array_equal(live.shifts_px, map_run(stream, recipe).shifts_px)
    # the first image is what the others are laid on, and the growing cube shows the same shifts
    assert not live.shifts_px[0].any()
    np.testing.assert_array_equal(views[-1].shifts_px, live.shifts_px)


def test_the_provenance_names_what_was_replaced(nvpf):
    replaced = map_phases(particle_stack(), nvpf, steps=steps_of_the_howto(), quick=True)
    assert replaced.provenance["replaced_steps"] == {"align": "howto.by_phase_correlation"}
    assert map_phases(particle_stack(), nvpf, quick=True).provenance["replaced_steps"] == {}


class Recorded:
    """A step that counts how often it is taken."""

    def __init__(self, step):
        self.step, self.n_calls = step, 0

    def __call__(self, *arguments):
        self.n_calls += 1
        return self.step(*arguments)


NAMES = ("align", "refine", "i0", "optical_density", "correlate", "resolve", "energy_axis")


def test_every_step_is_taken_and_taken_again_by_redo(nvpf_with_axis):
    default = Steps()
    recorded = {name: Recorded(getattr(default, name)) for name in (*NAMES, "assess")}
    maps = map_phases(particle_stack(), nvpf_with_axis, steps=Steps(**recorded))
    assert {name: step.n_calls for name, step in recorded.items()} == dict.fromkeys(recorded, 1)
    assert maps.identical(map_phases(particle_stack(), nvpf_with_axis))
    assert set(maps.provenance["replaced_steps"].values()) == {f"{__name__}.Recorded"}
    maps.redo({"ambiguity_threshold": 0.004})
    again = {name: step.n_calls for name, step in recorded.items()}
    assert again == {name: 1 + (name not in ("align", "refine")) for name in recorded}


@pytest.mark.parametrize("name", [*NAMES, "assess"])
def test_a_step_that_fails_is_what_wait_raises(nvpf_with_axis, name):
    def fails(*_):
        raise ValueError(f"no {name} today")

    steps = replace(Steps(), **{name: fails})
    with pytest.raises(ValueError, match=f"no {name} today"):
        map_phases(particle_stack(), nvpf_with_axis, steps=steps)
    if name in ("align", "i0", "optical_density", "correlate", "resolve", "assess"):
        with pytest.raises(ValueError, match=f"no {name} today"):
            live_maps(list(image_documents()), nvpf_with_axis, steps)


def test_a_wrong_number_of_shifts_is_named(nvpf):
    def too_few(images, recipe):
        return Alignment.of_shifts(np.zeros((len(images.images) - 1, 2)))

    with pytest.raises(ValueError, match=r"shape \(12, 2\); expected .* for each of 13 images"):
        map_phases(particle_stack(), nvpf, steps=Steps(align=too_few))


def test_a_stack_at_some_energies_is_consistent(nvpf):
    stack = register(particle_stack(), nvpf)
    some = stack.at_energies([0, 3, 12])
    assert some.energies_ev == tuple(stack.energies_ev[k] for k in (0, 3, 12))
    for name in ("od", "intensity", "i0", "i0_std", "shifts_px", "shifts_before_px"):
        np.testing.assert_array_equal(getattr(some, name), getattr(stack, name)[[0, 3, 12]])
    assert len(some.shift_quality) == len(some.monitors) == 3
    np.testing.assert_array_equal(some.spectra, stack.spectra[[0, 3, 12]])


def test_the_default_aligner_may_be_called_by_another(nvpf):
    def whole_pixels(images, recipe):
        found = align(images, recipe)
        return found._replace(shifts_px=np.round(found.shifts_px))

    recipe = nvpf.with_changes({"alignment.refine": False})
    counts, energies_ev, _ = drifting_images()
    stack = Stack.from_arrays(counts, energies_ev)
    found, rounded = (
        map_phases(stack, recipe, steps=steps, quick=True)
        for steps in (Steps(), Steps(align=whole_pixels))
    )
    assert (found.shifts_px != np.round(found.shifts_px)).any()
    np.testing.assert_array_equal(rounded.shifts_px, np.round(found.shifts_px))
