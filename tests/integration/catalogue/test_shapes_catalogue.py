"""Every shape of documents comes back from the catalogue as it was measured."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import shapes
from external_runs import datum_run, h5_file, stream_run, write_for, written_images
from typer.testing import CliRunner

from stxm_live.cli import app
from stxm_live.io.catalog import close_catalog, open_catalog, store_documents
from stxm_live.io.catalog.document_files import runs_in_file
from stxm_live.live.replay import stack_of_run, stacks_of_runs

GOLDEN = Path(__file__).parents[2] / "golden"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "shape", [shapes.image_run, shapes.line_run, shapes.streams_run, shapes.fields_run]
)
def test_a_stored_run_that_was_paused_and_rewound_gives_the_counts_it_gave_live(broker, shape):
    docs = list(shape(True))
    uid = store_documents(broker, docs)
    live, stored = stacks_of_runs(docs), stacks_of_runs(broker[uid])
    assert len(stored) == len(live)
    for one, other in zip(stored, live, strict=True):
        assert one.key == other.key
        np.testing.assert_array_equal(one.intensity(), other.intensity())


@pytest.fixture(scope="module")
def cls_runs(broker):
    """The recorded runs of one energy each, and their uids in the catalogue."""
    recorded = [_new(run) for run in runs_in_file(GOLDEN / "cls_runs_paused.json")]
    return recorded, [store_documents(broker, docs) for docs in recorded]


def test_a_recorded_run_of_pixels_comes_back_from_the_catalogue(broker):
    (recorded,) = map(_new, runs_in_file(GOLDEN / "grid_scan_snaking_paused.jsonl"))
    stored = stack_of_run(broker[store_documents(broker, recorded)])
    live = stack_of_run(recorded)
    assert stored.energies_ev == live.energies_ev
    np.testing.assert_array_equal(stored.intensity(), live.intensity())


def test_recorded_runs_of_one_energy_each_come_back_from_the_catalogue(broker, cls_runs):
    recorded, uids = cls_runs
    stored = stack_of_run([broker[uid] for uid in reversed(uids)])
    live = stack_of_run(recorded)
    assert stored.key == live.key
    assert stored.energies_ev == live.energies_ev
    np.testing.assert_array_equal(stored.intensity(), live.intensity())


def _new(docs):
    """The same run under a uid that the catalogue does not have yet."""
    uid, new = docs[0][1]["uid"], str(uuid4())
    return [
        (name, {key: new if value == uid else value for key, value in doc.items()})
        for name, doc in docs
    ]


def test_images_in_files_are_read_through_the_catalogue(tmp_path):
    again = True  # paused and rewound
    images = tmp_path / "images"
    images.mkdir()
    catalog = open_catalog(tmp_path / "catalog", image_roots=[images])
    path = h5_file(images / "stack.h5", written_images(again))
    uid = store_documents(catalog, stream_run(path, again))
    expected = shapes.small_counts()[0]
    np.testing.assert_array_equal(stack_of_run(catalog[uid]).intensity(), expected)
    options = write_for("AD_HDF5", images, again)
    uid = store_documents(catalog, datum_run("AD_HDF5", images, again, **options))
    stack = stack_of_run(catalog[uid])
    np.testing.assert_array_equal(stack.intensity(), expected)
    close_catalog(catalog)


def test_the_command_line_maps_one_region_of_a_run_or_several_runs(broker, cls_runs):
    folder = str(broker.stxm_live_folder)
    first = store_documents(broker, list(shapes.fields_run()))
    _, uids = cls_runs

    def run(command, *arguments):
        done = CliRunner().invoke(app, [command, "--catalog", folder, *arguments])
        return done.exit_code, " ".join(done.output.split())

    code, text = run("replay", first)
    assert code == 1
    assert "left" in text
    assert "right" in text
    code, text = run("replay", "--region", "right", "--no-store", first)
    assert code == 0, text
    assert "region right" in text
    code, text = run("replay", "--set", "i0.region=[-100,100,-100,100]", *uids)
    assert code == 3, text  # two energies distinguish no phases
    assert "stored as run" in text
    assert "not a stack" not in run("runs", "--limit", "2")[1]
