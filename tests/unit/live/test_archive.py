"""Many stacks in one go: two tiny ones, a damaged one, and who does what."""

import csv
import json
import re

import made_up_maps as made_up
import pytest
import two_phases
from particles import particle_scan

from stxm_live.core.stack import Stack
from stxm_live.dashboard.offline_page.archive_page import write_archive_page
from stxm_live.io.files import read_stack, write_ncb
from stxm_live.io.results import read_nexus
from stxm_live.io.results.run_row import failed_row, run_row
from stxm_live.io.results.run_table import table_columns
from stxm_live.live.archive.choice import sources_of_files, sources_of_runs
from stxm_live.live.archive.kept import kept_rows, key_of, made_by
from stxm_live.live.archive.where import all_hold, conditions
from stxm_live.live.archive.workers import each_task
from stxm_live.phase_mapping.workflow import map_phases


def start(uid, **values):
    return {"uid": uid, "time": 1.0, **values}


def test_conditions_compare_texts_numbers_and_times():
    document = start("a", sample="NVPF 3", time=1_700_000_000.0, scan_id=7, stxm={"dwell_ms": 2.0})

    met = ("sample='NVPF 3'", "scan_id>=7", "time>2023-01-01", "stxm.dwell_ms<3", "operator!=me")
    not_met = ("sample=NVPF", "scan_id>7", "time>2026-01-01T10:00", "operator=me")

    assert [all_hold(conditions(text), document) for text in met] == [True] * len(met)
    assert [all_hold(conditions(text), document) for text in not_met] == [False] * len(not_met)
    assert not all_hold(conditions("scan_id=7 sample=other"), document)


@pytest.mark.parametrize("text", ["", "sample", "time>yesterday", "sample='open"])
def test_a_condition_that_is_none_is_an_error_that_shows_one(text):
    with pytest.raises(ValueError, match="--where"):
        conditions(text)


def test_runs_of_one_stack_are_one_source_and_others_are_their_own():
    joined = [
        start(uid, **particle_scan(stack_id="g", energy_index=k).metadata(), time=float(k))
        for k, uid in enumerate(["later", "last"])
    ]

    sources = sources_of_runs([(s, {}) for s in (*reversed(joined), start("alone", time=9.0))], "c")

    assert [source.places for source in sources] == [("later", "last"), ("alone",)]


def test_another_end_of_a_run_or_another_recipe_is_another_result(tmp_path):
    recipe = two_phases.recipe(tmp_path)
    made = made_by(recipe)
    whole, open_run = (
        sources_of_runs([(start("a"), stop)], "c")[0]
        for stop in ({"exit_status": "success", "num_events": {"primary": 8}}, {})
    )

    keys = {key_of(whole, made), key_of(open_run, made)}
    keys.add(key_of(whole, made_by(recipe.with_changes({"ambiguity_threshold": 0.01}))))

    assert len(keys) == 3
    assert key_of(whole, made_by(two_phases.recipe(tmp_path))) in keys


def test_odd_uids_and_numbers_have_folders_of_their_own_and_fit_a_table():
    uids = ["..", ".", "../a", "a" * 300, "a" * 301, "3f2a91bb-77d0", "a/b"]
    starts = [
        start(uid, scan_id=n)
        for uid, n in zip(uids, [True, 2**70, "7", 7, None, [], 0], strict=True)
    ]

    sources = sources_of_runs([(document, {}) for document in starts], "c")

    names = [source.name for source in sources]
    assert len(set(names)) == len(uids)
    assert "3f2a91bb-77d0" in names
    assert all("/" not in name and not name.startswith(".") and len(name) < 100 for name in names)
    numbers = [source.facts["scan_id"] for source in sources]
    assert sorted(n for n in numbers if n is not None) == [0, 7]
    assert not any(isinstance(n, bool) for n in numbers)


@pytest.fixture
def folder(tmp_path):
    """Two stacks and a damaged file, and a recipe for them."""
    files = tmp_path / "stacks"
    files.mkdir()
    for name, seed in (("first", 4), ("second", 5)):
        stack = Stack.from_arrays(two_phases.counts(seed), two_phases.ENERGIES)
        write_ncb(files / f"{name}.ncb", stack)
    (files / "damaged.hdr").write_text("not a header")
    two_phases.recipe(tmp_path)
    return files


def command(run, folder, *more):
    references = folder.parent / "two_phases.csv"
    settings = ("--set", "energy_fit=false", "--set", "alignment.enabled=false")
    return run("map", folder, "--all", "-r", references, "--out", "out", *settings, *more)


def read_table(folder):
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_a_folder_is_mapped_file_by_file_and_a_damaged_one_is_a_row(run, folder, tmp_path):
    code, text = command(run, folder)
    table = read_table(tmp_path / "out")

    assert code == 1, text
    assert "2 stacks mapped, 1 not" in text
    assert {name: row["outcome"] for name, row in table.items()} == {
        "damaged.hdr": "failed",
        "first.ncb": "mapped",
        "second.ncb": "mapped",
    }
    assert "expected" in table["damaged.hdr"]["reason"]
    assert 0 < float(table["first.ncb"]["share left"]) < 1
    assert float(table["first.ncb"]["amount_std left"]) > 0


def test_what_is_done_is_not_done_again_and_a_changed_file_is(run, folder, tmp_path):
    command(run, folder)
    notes = {path: path.read_bytes() for path in (tmp_path / "out").glob("*/done.json")}
    times = {path: path.stat().st_mtime_ns for path in notes}

    _, text = command(run, folder)
    assert "2 of 3 are done already" in text
    assert {path: path.stat().st_mtime_ns for path in notes} == times

    write_ncb(folder / "second.ncb", Stack.from_arrays(two_phases.counts(6), two_phases.ENERGIES))
    _, text = command(run, folder)
    assert "1 of 3 are done already" in text

    _, text = command(run, folder, "--set", "ambiguity_threshold=0.01")
    assert "are done already" not in text


def test_half_of_a_result_is_made_again(run, folder, tmp_path):
    command(run, folder)
    for path in (tmp_path / "out").glob("first*/maps.nxs"):
        path.unlink()
    for path in (tmp_path / "out").glob("second*/done.json"):
        path.write_text(path.read_text()[:40])

    _, text = command(run, folder)

    assert "are done already" not in text
    assert "2 stacks mapped" in text


def test_the_table_has_the_same_values_as_parquet(run, folder, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    command(run, folder)

    columns = parquet.read_table(tmp_path / "out" / "table.parquet").to_pydict()

    for k, row in enumerate(read_table(tmp_path / "out").values()):
        assert columns["name"][k] == row["name"]
        share = columns["share left"][k]
        assert ("" if share is None else f"{share:.7g}") == row["share left"]


def test_results_are_those_of_a_single_map(run, folder, tmp_path):
    command(run, folder)
    [kept] = (tmp_path / "out").glob("first*/maps.nxs")
    made = map_phases(read_stack(folder / "first.ncb"), two_phases.recipe(tmp_path)).to_xarray()

    assert read_nexus(kept).drop_attrs().equals(made.drop_attrs())


def test_the_page_shows_names_as_text_and_links_to_each_result(run, folder, tmp_path):
    (folder / "first.ncb").rename(folder / "<b>&first.ncb")
    (folder / "first.dat").rename(folder / "<b>&first.dat")

    command(run, folder)
    page = (tmp_path / "out" / "table.html").read_text()

    assert "&lt;b&gt;&amp;first.ncb" in page
    assert "<b>&first" not in page
    for result in (tmp_path / "out").glob("*.ncb-*"):
        assert f'<a href="{result.name}/map.png"><img loading="lazy"' in page
        assert (result / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "http" not in page.replace("http-equiv", "")


def test_ctrl_c_keeps_what_is_done_and_the_table_has_it(run, folder, tmp_path, monkeypatch):
    from stxm_live.cli import archive

    def one_only(maps, place, write=archive.write_result, **options):
        if maps.key.source != "first.ncb":
            raise KeyboardInterrupt
        return write(maps, place, **options)

    monkeypatch.setattr(archive, "write_result", one_only)
    code, text = command(run, folder)

    assert code == 130
    assert "the same command goes on" in text
    assert list(read_table(tmp_path / "out")) == ["damaged.hdr", "first.ncb"]


def test_several_workers_without_dask_say_what_to_install(run, folder, monkeypatch):
    monkeypatch.setattr("stxm_live.live.archive.workers.find_spec", lambda name: None)

    code, text = command(run, folder, "--workers", "2")

    assert code == 1
    assert "pip install 'stxm-live[archive]'" in text


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("stxm_live.live.archive.workers._CONNECT_S", 0.2)

    with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:9"):
        list(each_task([], print, scheduler="tcp://127.0.0.1:9"))


def test_a_second_process_waits_for_the_first_and_takes_its_result(folder, tmp_path):
    from threading import Thread

    from stxm_live.cli.archive import tasks_of
    from stxm_live.live.archive.task import run_task

    [task] = tasks_of(
        sources_of_files([folder / "first.ncb"]), two_phases.recipe(tmp_path), tmp_path / "out"
    )
    written, found = [], []

    def finish(maps, place):
        written.append(place)
        (place / "maps.txt").write_text("made")
        return [place / "maps.txt"]

    both = [Thread(target=lambda: found.append(run_task(task.values(), finish))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()

    assert len(written) == 1
    assert found[0] == found[1] == kept_rows(task.folder, task.key)


def test_a_full_disk_is_a_row_and_a_table_that_cannot_be_written_an_error(
    run, folder, tmp_path, monkeypatch
):
    from stxm_live.cli import archive

    def full(maps, place, **_):
        raise OSError(28, "No space left on device", str(place))

    monkeypatch.setattr(archive, "write_result", full)
    code, text = command(run, folder)
    assert code == 1
    assert "no space left on device" in text
    assert "Errno" not in text
    assert read_table(tmp_path / "out")["first.ncb"]["outcome"] == "failed"

    (tmp_path / "out" / "table.csv").unlink()
    (tmp_path / "out" / "table.csv").mkdir()
    code, text = command(run, folder)
    assert code == 1
    assert "table.csv cannot be written" in text


def test_tasks_are_json():
    [source] = sources_of_runs([(start("a", sample={"name": "x"}), {})], "c", roots=("/r",))
    from stxm_live.live.archive.task import Task

    task = Task(source, "recipe", "out", "key")

    assert Task.of_values(json.loads(json.dumps(task.values()))) == task
    assert source.facts["sample"] == "x"


def test_an_imported_run_has_the_name_of_its_file_in_the_table_and_on_the_page(tmp_path):
    [source] = sources_of_runs([(start("0a2f3748", source_file="<7>.hdr"), {})], "c")
    rows = [failed_row(ValueError("no images"), source.facts, places=source.places)]

    assert table_columns(rows)["file"] == ["<7>.hdr"]
    page = write_archive_page(rows, tmp_path / "table.html", title="one").read_text()
    assert "&lt;7&gt;.hdr</td>" in page


def test_a_phase_that_others_look_like_has_an_interval_on_the_page(tmp_path):
    maps = made_up.maps(find_amounts=made_up.amounts, twins=(("Na3VPF", "Na2.4VPF"),))
    row = run_row(maps, {}, places=["0a2f3748"], result="a", files=[])
    failed = failed_row(ValueError("no images"), {}, places=["1b"])

    path = write_archive_page([row, failed], tmp_path / "table.html", title="two")

    lines = re.findall(r"<span>(Na[^<]*(?: to | ± )[^<]*)</span>", path.read_text())
    assert [line.split()[0] for line in lines if " to " in line] == ["Na3VPF", "Na2.4VPF"]
    assert [line.split()[0] for line in lines if "±" in line] == list(maps.phase_names[2:])
    assert "2 stacks: 1 " in path.read_text()


def test_two_recipes_are_compared_by_the_names_of_labels(run, folder, tmp_path):
    text = (tmp_path / "two_phases.csv").read_text()
    (tmp_path / "swapped.csv").write_text(text.replace("left,right", "right,left"))
    for name in ("two_phases", "swapped"):
        (tmp_path / f"{name}.toml").write_text(
            f'name = "{name}"\nreferences = "{name}.csv"\nenergy_fit = false\n'
            "[alignment]\nenabled = false\n"
        )
    recipes = ("--recipe", tmp_path / "two_phases.toml", "--recipe", tmp_path / "swapped.toml")
    (folder / "second.ncb").unlink()

    code, said = run("compare", folder, *recipes, "--out", "c")
    table = read_table(tmp_path / "c")

    assert code == 1, said  # one of the files is damaged
    assert float(table["first.ncb"]["changed_share"]) == 1.0  # the indices are the same
    assert table["first.ncb"]["share left 1"] == table["first.ncb"]["share right 2"]
    assert table["damaged.hdr"]["outcome 1"] == table["damaged.hdr"]["outcome 2"] == "failed"
    assert table["damaged.hdr"]["changed_share"] == ""
    assert "first.ncb: 100.0 % of the labels changed" in said
    assert 'src="second/' in (tmp_path / "c" / "table.html").read_text()

    code, said = run("compare", folder, *recipes[:2])
    assert (code, "two recipes" in said) == (2, True)

    (tmp_path / "swapped.csv").unlink()
    code, said = run("compare", folder, *recipes, "--out", "d")
    assert (code, "swapped.csv" in said) == (1, True)
    assert not (tmp_path / "d").exists()  # both recipes are read before anything is mapped
