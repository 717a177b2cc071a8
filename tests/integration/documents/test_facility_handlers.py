"""Images in files of a facility's own kind, read by the handler that its package declares."""

import numpy as np
import pytest
from external_runs import datum_run
from shapes import small_counts

from stxm_live.io.documents import facility_handlers, file_reader
from stxm_live.live.replay import stack_of_run

MODULE = '''
"""Handlers of our lab: the images of a run in one text file."""
import numpy as np

class Texts:
    def __init__(self, path, shape, **_):
        self.images = np.loadtxt(path).reshape(-1, *shape)

    def __call__(self, point_number):
        return self.images[point_number]
'''


@pytest.fixture
def ourlab(tmp_path, monkeypatch):
    """A package with a handler for OURLAB_TEXT, and a reader process that sees it."""
    site = tmp_path / "site"
    info = site / "ourlab-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "ourlab_handlers.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ourlab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[databroker.handlers]\nOURLAB_TEXT = ourlab_handlers:Texts\n"
    )
    monkeypatch.syspath_prepend(site)
    process = file_reader.ReaderProcess()
    monkeypatch.setattr(file_reader, "_process", process)
    facility_handlers.facility_handlers.cache_clear()
    yield
    process.end()
    facility_handlers.facility_handlers.cache_clear()


def run_with(folder, spec="OURLAB_TEXT", **keywords):
    counts, _ = small_counts()
    np.savetxt(folder / "stack.h5", counts.reshape(-1))
    return list(datum_run(spec, folder, shape=list(counts.shape[1:]), **keywords))


def test_files_of_a_facility_are_read_by_its_handler(ourlab, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    stack = stack_of_run(run_with(images), roots=[images])
    np.testing.assert_array_equal(stack.intensity(), small_counts()[0])


@pytest.mark.parametrize("text", ["../secret", "/etc/%s", "~/x", "/etc/hostname"])
def test_a_document_cannot_lead_a_handler_out_of_the_folders(ourlab, tmp_path, text):
    images = tmp_path / "images"
    images.mkdir()
    stack = stack_of_run(run_with(images, template=text), roots=[images])
    assert not stack.frames
    assert any("lead out of the folder" in n or "lies outside" in n for n in stack.notes)


@pytest.mark.parametrize(
    ("spec", "advice"),
    [("XSP3", "pip install area-detector-handlers"), ("NOWHERE", "install the package of the fac")],
)
def test_an_unknown_kind_is_named_with_what_to_install(tmp_path, spec, advice):
    notes = stack_of_run(run_with(tmp_path, spec), roots=[tmp_path]).notes
    assert any(f"no handler for {spec!r} is installed; {advice}" in note for note in notes)
