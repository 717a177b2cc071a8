"""Every shape of documents gives the maps of the plainest one: live, replayed and offline."""

import copy
import re
import time

import numpy as np
import pytest
import shapes
from shapes import cls_run, cls_runs, id_runs, image_run, small_counts, small_scan

from stxm_live import LivePhaseMapper, map_run
from stxm_live.core.scan import scans_of_start
from stxm_live.io.documents import RunFrames
from stxm_live.live.replay import stack_of_run, stacks_of_runs


@pytest.fixture(scope="module")
def plain(nvpf):
    """The maps of one event per image."""
    return map_run(image_run(), nvpf)


def feed(live, *runs):
    """Hand runs over, one after the other; the uid of the last."""
    for docs in runs:
        for name, doc in docs:
            live(name, doc)
    return docs[0][1]["uid"]


def same_products(one, other):
    """Equal but for the names of the runs and what was said of them."""
    a, b = one.to_xarray(), other.to_xarray()
    return set(a.data_vars) == set(b.data_vars) and all(
        a[name].equals(b[name]) for name in a.data_vars
    )


ONE_STACK = {
    "images": shapes.image_run,
    "lines": shapes.line_run,
    "pixels, snaking": shapes.pixel_run,
    "pixels, only x snaking": lambda again=False: shapes.pixel_run(
        again, snaking=(False, False, True)
    ),
}


STRAIGHT_OR_PAUSED = [
    (shape, again)
    for shape in ONE_STACK
    for again in (False, True)
    if again == (shape == "pixels, snaking") or not shape.startswith("pixels")
]
"""Grid scans have an event a pixel and take long: one of them is paused, the other is not."""


@pytest.mark.parametrize(("shape", "again"), STRAIGHT_OR_PAUSED)
def test_a_run_gives_the_same_maps_in_every_shape_live_and_offline(nvpf, plain, shape, again):
    docs = ONE_STACK[shape](again)
    before = copy.deepcopy(docs)
    with LivePhaseMapper(nvpf) as live:
        maps = live.wait(feed(live, docs), timeout_s=60)
    assert maps.status == "complete"
    assert maps.identical(map_run(docs, nvpf))
    assert same_products(maps, plain)
    assert bool(maps.warnings != plain.warnings) == again
    for (_, doc), (_, copied) in zip(docs, before, strict=True):
        np.testing.assert_equal(doc, copied)


# pixels


@pytest.mark.parametrize("snaking", [(False, False, False), (False, True, True)])
def test_a_grid_scan_of_bluesky_is_read_as_the_motors_moved(RE, snaking):
    from bluesky.plans import grid_scan
    from ophyd.sim import Signal, SynAxis, SynSignal

    energy, sy, sx = (SynAxis(name=name) for name in ("energy", "sy", "sx"))

    def count():
        return 100.0 * energy.position + 10.0 * sy.position + sx.position

    apd = SynSignal(func=count, name="apd")
    assert isinstance(apd, Signal)
    docs = []
    steps = (energy, 515, 517, 3, sy, 0, 2, 3, sx, 0, 3, 4)
    RE(
        grid_scan([apd], *steps, snake_axes=snaking[-1] or None),
        lambda name, doc: docs.append((name, doc)),
    )
    stack = stack_of_run(docs)
    assert stack.energies_ev == (515.0, 516.0, 517.0)
    assert stack.scan.x_extent_um == (0.0, 3.0)
    assert stack.scan.y_extent_um == (0.0, 2.0)
    expected = [
        [[100 * e + 10 * y + x for x in range(4)] for y in range(3)] for e in (515, 516, 517)
    ]
    np.testing.assert_array_equal(stack.intensity(), np.array(expected, dtype=np.float32))


def test_a_list_grid_scan_paused_by_hand_keeps_what_came_last(RE):
    import bluesky.plan_stubs as bps
    from bluesky.plans import list_grid_scan
    from bluesky.utils import RunEngineInterrupted
    from ophyd.sim import SynAxis, SynSignal

    energy, sy, sx = (SynAxis(name=name) for name in ("energy", "sy", "sx"))
    state = {"n": 0, "bad": -1000.0}

    def count():
        good = 100.0 * energy.position + 10.0 * sy.position + sx.position
        return state["bad"] if state["n"] == 8 else good

    apd = SynSignal(func=count, name="apd")

    def per_step(detectors, step, pos_cache):
        yield from bps.checkpoint()
        for motor, position in step.items():
            yield from bps.mv(motor, position)
        state["n"] += 1
        yield from bps.trigger_and_read([*detectors, energy, sy, sx])
        if state["n"] == 8:
            yield from bps.pause()

    docs = []
    plan = list_grid_scan(
        [apd],
        *(energy, [515.0, 516.5], sy, [0.0, 1.0, 2.0], sx, [0.0, 1.0]),
        snake_axes=[sx],
        per_step=per_step,
    )
    with pytest.raises(RunEngineInterrupted):
        RE(plan, lambda name, doc: docs.append((name, doc)))
    state["n"] = 100
    RE.resume()
    numbers = [doc["seq_num"] for name, doc in docs if name == "event"]
    assert numbers == [*range(1, 9), *range(8, 13)]
    stack = stack_of_run(docs)
    expected = [[[100 * e + 10 * y + x for x in range(2)] for y in range(3)] for e in (515, 516.5)]
    np.testing.assert_array_equal(stack.intensity(), np.array(expected, dtype=np.float32))


def test_the_axis_of_the_energy_need_not_be_the_slowest():
    energies, y, x = (515.0, 516.0), (0.0, 1.0, 2.0), (0.0, 1.0, 2.0, 3.0)
    events = []
    for iy in range(3):
        for ix in range(4):
            for k, energy_ev in enumerate(energies):
                data = {"mono": energy_ev, "a": y[iy], "b": x[ix], "apd": 100 * k + 10 * iy + ix}
                events.append((len(events) + 1, data))
    args = ["a", list(y), "b", list(x), "mono", list(energies)]
    md = {
        "plan_name": "list_grid_scan",
        "motors": ["a", "b", "mono"],
        "shape": [3, 4, 2],
        "detectors": ["apd"],
        "plan_pattern_args": {"args": args},
    }
    keys = {name: shapes.number_key() for name in ("mono", "a", "b", "apd")}
    stack = stack_of_run(list(shapes.compose(md, events, keys=keys)))
    expected = [[[100 * k + 10 * iy + ix for ix in range(4)] for iy in range(3)] for k in range(2)]
    np.testing.assert_array_equal(stack.intensity(), np.array(expected, dtype=np.float32))


def test_a_grid_whose_energy_motor_has_another_name_says_how_to_name_it(nvpf):
    docs = shapes.pixel_run()
    docs[0] = ("start", docs[0][1] | {"motors": ("pgm", "sy", "sx")})
    with pytest.raises(ValueError, match=r"which of the motors pgm, sy, sx is the photon energy"):
        map_run(docs, nvpf)
    recipe = nvpf.with_changes({"fields.energy": "pgm"})
    stack = stack_of_run(docs, fields=recipe.fields)
    assert stack.scan.energy_motor == "pgm"
    assert stack.finished


# several stacks in a run


@pytest.mark.parametrize("again", [False, True], ids=["straight", "paused and rewound"])
@pytest.mark.parametrize("shape", [shapes.streams_run, shapes.fields_run])
def test_a_run_of_two_regions_becomes_two_stacks(nvpf, plain, shape, again):
    docs = list(shape(again))
    with LivePhaseMapper(nvpf) as live:
        seen = []
        live.add_sink(on_maps=seen.append)
        uid = feed(live, docs)
        maps = {region: live.wait(uid, region=region, timeout_s=60) for region in ("left", "right")}
        assert [key.region for key in live.stacks(uid)] == ["left", "right"]
        with pytest.raises(ValueError, match=r"there are 2 stacks; choose one.*region left.*right"):
            live.wait(uid, timeout_s=1)
        with pytest.raises(ValueError, match="no stack of region 'middle'"):
            live.wait(uid, region="middle", timeout_s=1)
        assert live.status(uid).n_announced == 26
    assert {m.key.region for m in seen} == {"left", "right"}
    for region, result in maps.items():
        assert result.status == "complete"
        assert result.identical(map_run(docs, nvpf, region=region))
    assert same_products(maps["left"], plain)
    stacks = stacks_of_runs(docs)
    np.testing.assert_array_equal(stacks[1].intensity(), small_counts()[0][:, ::-1])
    with pytest.raises(ValueError, match="there are 2 stacks"):
        map_run(docs, nvpf)


def test_two_polarizations_of_one_region_are_two_stacks(nvpf):
    first, second, _ = shapes.region_scans(polarization_field="pol")
    scans = [
        first.model_copy(update={"region": "1", "polarization": "0"}),
        second.model_copy(update={"region": "1", "polarization": "45"}),
    ]
    counts, energies_ev = small_counts()
    events = [
        (2 * k + j + 1, {"energy": energies_ev[k], "pol": pol, "counts": counts[k] + j})
        for k in range(13)
        for j, pol in enumerate((0, 45.0))
    ]
    keys = {
        "energy": shapes.number_key(),
        "pol": shapes.number_key(),
        "counts": shapes.array_key(counts.shape[1:]),
    }
    docs = list(shapes.compose(shapes.metadata_of_stacks(scans), events, keys=keys))
    stack = stack_of_run(docs, polarization="45")
    np.testing.assert_array_equal(stack.intensity(), counts + 1)


def test_events_that_do_not_say_their_region_are_left_out_with_advice():
    docs = [d for d in shapes.fields_run() if d[0] != "event"]
    counts, _ = small_counts()
    reader = RunFrames(docs[0][1])
    reader(*docs[1])
    event = {"seq_num": 1, "descriptor": docs[1][1]["uid"], "data": {"energy": 505.0}}
    reader("event", event | {"data": {"energy": 505.0, "counts": counts[0]}})
    assert "does not say which of 2 stacks" in " ".join(reader.stacks[0].notes)
    line = {"energy": 505.0, "roi": "left", "counts": counts[0][0]}
    reader("event", event | {"data": line})
    assert "give each a stream of its own" in " ".join(reader.stacks[0].notes)


def test_two_stacks_of_the_same_name_are_refused():
    left, _, _ = shapes.region_scans()
    with pytest.raises(ValueError, match="region 'left' with polarization '' is announced 2 times"):
        scans_of_start({"uid": "a", **shapes.metadata_of_stacks([left, left])})


# one run per energy


@pytest.mark.parametrize("again", [False, True], ids=["straight", "paused and rewound"])
@pytest.mark.parametrize("runs", [cls_runs, id_runs])
def test_runs_of_one_energy_each_become_one_stack(nvpf, plain, runs, again):
    documents = runs(again=again)
    with LivePhaseMapper(nvpf) as live:
        feed(live, *documents)
        uids = [docs[0][1]["uid"] for docs in documents]
        maps = live.wait(uids[3], timeout_s=60)
        assert live.wait(uids[-1], timeout_s=60) is maps
        assert live.wait(uids[0], timeout_s=60) is maps
        assert live.status(uids[0]).n_images == 13
    assert maps.status == "complete"
    assert maps.key.run_uids == tuple(uids)
    assert maps.identical(map_run(documents[::-1], nvpf))
    assert same_products(maps, plain)


def test_a_stack_of_runs_grows_run_by_run(nvpf):
    documents = cls_runs()
    cubes = []
    with LivePhaseMapper(nvpf) as live:
        live.add_sink(on_cube=cubes.append)
        uid = documents[0][0][1]["uid"]
        feed(live, *documents[:5])
        while live.status(uid).n_images < 5:
            time.sleep(0.01)
        with pytest.raises(TimeoutError, match="5 of 13 images are in, the stack is not whole"):
            live.wait(uid, timeout_s=0.1)
        assert not live.status(uid).is_done
    assert [int(view.measured.sum()) for view in cubes] == [1, 2, 3, 4, 5]


def test_a_failed_member_ends_the_stack_as_incomplete(nvpf):
    documents = [*cls_runs()[:5], cls_run(5, exit_status="abort")]
    with LivePhaseMapper(nvpf) as live:
        maps = live.wait(feed(live, *documents), timeout_s=60)
    assert maps.status == "incomplete"
    assert len(maps.key.run_uids) == 6
    assert any("ended by abort" in warning for warning in maps.warnings)
    assert maps.identical(map_run(documents, nvpf))


@pytest.mark.parametrize(
    "second",
    [
        lambda: cls_run(0, time_s=100),
        lambda: cls_run(7, entry="entry1", time_s=100),
    ],
    ids=["an energy again", "another entry"],
)
def test_another_stack_in_its_place_ends_an_unfinished_one(nvpf, second):
    documents = [*cls_runs()[:6], second()]
    with LivePhaseMapper(nvpf) as live:
        feed(live, *documents)
        maps = live.wait(documents[0][0][1]["uid"], timeout_s=60)
        uid = documents[-1][0][1]["uid"]
        assert live.stacks(uid)[0].run_uids == (uid,)
    assert maps.status == "incomplete"
    assert len(maps.key.run_uids) == 6
    first, later = stacks_of_runs(documents)
    assert (len(first.frames), len(later.frames)) == (6, 1)


def test_stacks_of_two_regions_come_in_turn_without_ending_one_another():
    documents = [cls_run(k, region=region) for k in range(13) for region in (0, 1)]
    stacks = stacks_of_runs(documents)
    assert [stack.key.region for stack in stacks] == ["0", "1"]
    assert all(stack.finished for stack in stacks)


def test_a_stack_that_no_run_joins_any_more_is_ended(nvpf):
    documents = cls_runs()[:4]
    with LivePhaseMapper(nvpf, idle_timeout_s=0.3) as live:
        maps = live.wait(feed(live, *documents), timeout_s=60)
    assert maps.status == "incomplete"


def test_more_runs_than_results_are_kept_are_one_stack(nvpf):
    with LivePhaseMapper(nvpf) as live:
        uids = []
        for _ in range(2):
            runs = cls_runs()
            feed(live, *runs)
            uids.append(runs[0][0][1]["uid"])
            live.wait(uids[-1], timeout_s=60)
        assert live.wait(uids[0], timeout_s=1).status == "complete"


def test_channels_that_take_turns_are_told_apart():
    docs = cls_run(2, n_channels=3)
    stack = stack_of_run(docs)
    np.testing.assert_array_equal(stack.frames[0].intensity, small_counts()[0][2])
    assert "holds 3 values for each of 18 pixels" in " ".join(stack.notes)
    from stxm_live.core.recipe_options import FieldOptions

    second = stack_of_run(docs, fields=FieldOptions(channel=1))
    assert (second.frames[0].intensity == 3).all()
    assert not any("values for each" in note for note in second.notes)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ('{"img_idx_map": "rois', "cannot be read"),
        ('{"img_idx_map": {"sp_id": 0}, "rois": {}}', "cannot be read"),
        ("[" * 100_000 + '"img_idx_map rois"', "cannot be read"),
    ],
)
def test_broken_metadata_of_pystxm_is_refused_in_words(metadata, words):
    with pytest.raises(ValueError, match=words):
        RunFrames({"uid": "3f2a91bb", "metadata": metadata})


def test_an_energy_index_beyond_the_list_is_refused():
    metadata = shapes.cls_metadata(2).replace('\\"e_idx\\": 2', '\\"e_idx\\": 40')
    with pytest.raises(ValueError, match="e_idx 40, but there are 13 energies"):
        RunFrames({"uid": "3f2a91bb", "metadata": metadata})


# energies


@pytest.mark.parametrize("offset_ev", [0.2, 0.7, -0.9, 3.0])
def test_a_readback_that_is_off_by_the_same_everywhere_is_matched_by_order(offset_ev):
    counts, energies_ev = small_counts()
    docs = image_run()
    for _, doc in docs:
        if "seq_num" in doc:
            doc["data"] = doc["data"] | {"energy": doc["data"]["energy"] + offset_ev}
    stack = stack_of_run(docs)
    assert stack.missing_ev == ()
    assert [frame.announced_ev for frame in stack.frames] == list(energies_ev)
    np.testing.assert_array_equal(stack.intensity(), counts)
    noted = any("matched by their order" in note for note in stack.notes)
    assert noted == (abs(offset_ev) > 0.3)


def test_images_sent_again_are_mapped_once_when_no_more_are_waiting(nvpf):
    docs = image_run()
    again = [(name, dict(doc)) for name, doc in docs if name == "event"] * 3
    with LivePhaseMapper(nvpf) as live:
        seen = []
        live.add_sink(on_maps=seen.append)
        live.wait(feed(live, [*docs[:-1], *again, docs[-1]]), timeout_s=60)
    assert 2 <= len(seen) <= 6


# fields of other names


def test_a_field_of_another_name_is_mapped_in_the_recipe(nvpf, plain):
    docs = image_run()
    for name, doc in docs:
        if name == "descriptor":
            doc["data_keys"] = {"sis3820": doc["data_keys"]["counts"], **doc["data_keys"]}
            del doc["data_keys"]["counts"]
        if "seq_num" in doc:
            doc["data"] = {"sis3820": doc["data"]["counts"], "energy": doc["data"]["energy"]}
    with pytest.raises(ValueError, match=re.escape("no usable image")):
        map_run(docs, nvpf)
    recipe = nvpf.with_changes({"fields.image": "sis3820"})
    with LivePhaseMapper(recipe) as live:
        maps = live.wait(feed(live, docs), timeout_s=60)
    assert maps.identical(map_run(docs, recipe))
    assert same_products(maps, plain)


def test_a_stack_scan_by_hand_may_be_a_grid():
    docs = shapes.pixel_run()
    scan = small_scan(data_field="apd", energy_motor="energy")
    np.testing.assert_array_equal(
        stack_of_run(docs, scan=scan).intensity(), stack_of_run(docs).intensity()
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [(3, "a focus scan of pyStxm"), ("1", "order sorting aperture"), ("OSA_FOCUS", "'OSA_FOCUS'")],
)
def test_scans_of_pystxm_of_another_kind_are_refused_by_name(kind, words):
    start = cls_run(0, scan_type=kind)[0][1]
    with pytest.raises(ValueError, match=words):
        RunFrames(start)
    assert RunFrames(cls_run(0, scan_type=7)[0][1]).stacks
