"""Many runs of a real catalogue in one command, here and on workers of Dask."""

import csv
import os
import signal
from contextlib import suppress
from functools import partial

import pytest
import two_phases
from event_model import compose_run

from stxm_live.cli.archive import tasks_of, write_result
from stxm_live.core.stack import Stack
from stxm_live.io.catalog import store_documents
from stxm_live.io.catalog.folder import catalog_folder
from stxm_live.io.files import stack_documents
from stxm_live.io.results import read_nexus
from stxm_live.live.archive.choice import sources_of_runs
from stxm_live.live.archive.task import run_task
from stxm_live.live.archive.workers import on_dask
from stxm_live.live.replay import map_run


def without_images():
    run = compose_run(metadata={"plan_name": "count", "sample": "many"})
    yield "start", run.start_doc
    yield "stop", run.compose_stop()


@pytest.fixture(scope="module")
def runs(broker):
    """Two stacks, one at energies that the references do not have, and a run without images."""
    uids = []
    for seed, shift_ev in ((4, 0.0), (5, 0.0), (4, 60.0)):
        stack = Stack.from_arrays(two_phases.counts(seed), two_phases.ENERGIES + shift_ev)
        uids.append(store_documents(broker, stack_documents(stack, md={"sample": "many"})))
    return [*uids, store_documents(broker, without_images())]


def settings(tmp_path):
    two_phases.recipe(tmp_path)
    text = 'name = "two"\nreferences = "two_phases.csv"\nenergy_fit = false\n'
    (tmp_path / "two.toml").write_text(f"{text}[alignment]\nenabled = false\n")
    return tmp_path / "two.toml"


def test_runs_that_meet_a_condition_are_mapped_and_others_say_why_not(run, runs, broker, tmp_path):
    recipe = settings(tmp_path)
    chosen = ("--where", "sample=many", "--catalog", catalog_folder(broker))

    code, text = run("replay", *chosen, "--recipe", recipe, "--out", "out")
    with (tmp_path / "out" / "table.csv").open(newline="", encoding="utf-8") as file:
        table = {row["uid"]: row for row in csv.DictReader(file)}

    assert code == 1, text
    assert "2 stacks mapped, 2 not" in text
    assert set(table) == set(runs)
    assert [table[uid]["sample"] for uid in runs] == ["many"] * 4
    assert "cover" in table[runs[2]]["reason"]
    assert table[runs[3]]["reason"]
    for uid in runs[:2]:
        kept = read_nexus(tmp_path / "out" / uid / "maps.nxs")
        single = map_run(broker[uid], two_phases.recipe(tmp_path)).to_xarray()
        assert kept.drop_attrs().equals(single.drop_attrs())

    _, text = run("replay", *chosen, "--recipe", recipe, "--out", "out")
    assert "2 of 4 are done already" in text
    code, text = run("replay", "--where", "sample=none", *chosen[2:], "--recipe", recipe)
    assert (code, "no run meets" in text) == (1, True)
    code, text = run("replay", *runs[:2], *chosen[2:])
    assert (code, "--recipe" in text) == (2, True)


def write_and_die_once(maps, folder, marker):
    """Write a result, but end the process before it is noted, the first time."""
    files = write_result(maps, folder)
    with suppress(FileExistsError):
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)
    return files


def write_and_count_samples(maps, folder):
    """Leave a note of the samples of its calls that the worker keeps."""
    from distributed import get_worker

    files = write_result(maps, folder)
    worker = get_worker()
    kept = [worker.profile_recent, *(samples for _, samples in worker.profile_history)]
    (folder / "samples").write_text(str(sum(samples["count"] for samples in kept)))
    return files


@pytest.mark.slow
def test_a_worker_keeps_no_record_of_its_calls(runs, broker, tmp_path):
    pytest.importorskip("distributed")
    sources = sources_of_runs([({"uid": runs[0]}, {})], str(catalog_folder(broker)))
    tasks = tasks_of(sources, two_phases.recipe(tmp_path), tmp_path)

    [(task, _)] = on_dask(tasks, write_and_count_samples, 1, None)

    assert (task.folder / "samples").read_text() == "0"


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(runs, broker, tmp_path):
    pytest.importorskip("distributed")
    starts = [({"uid": uid}, {}) for uid in runs[:2]]
    sources = sources_of_runs(starts, str(catalog_folder(broker)))
    recipe = two_phases.recipe(tmp_path)
    here = tasks_of(sources, recipe, tmp_path / "here")
    there = tasks_of(sources, recipe, tmp_path / "there")
    finish = partial(write_and_die_once, marker=str(tmp_path / "died"))

    done = list(on_dask(there, finish, 1, None))
    for task in here:
        run_task(task.values(), write_result)

    outcomes = [(row["outcome"], row.get("reason")) for _, rows in done for row in rows]
    assert outcomes == [("mapped", None)] * 2
    assert (tmp_path / "died").exists()
    assert sorted(task.source.name for task, _ in done) == sorted(runs[:2])
    for task in there:
        a, b = (read_nexus(tmp_path / w / task.source.name / "maps.nxs") for w in ("here", "there"))
        assert a.drop_attrs().equals(b.drop_attrs())
