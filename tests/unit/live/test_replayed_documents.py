import pytest
from particles import image_documents, line_documents, particle_stack

from stxm_live import map_phases, map_run


def test_a_run_maps_like_its_frames(nvpf):
    maps = map_run(image_documents(), nvpf)
    assert maps.identical(map_phases(particle_stack(), nvpf))


def test_two_runs_in_one_stream_are_refused(nvpf):
    with pytest.raises(ValueError, match="is followed by run"):
        map_run([*image_documents(), *line_documents()], nvpf)


def test_a_stream_that_does_not_begin_is_refused(nvpf):
    with pytest.raises(ValueError, match="first document is a descriptor"):
        map_run(list(image_documents())[1:], nvpf)


def test_an_empty_stream_is_refused(nvpf):
    with pytest.raises(ValueError, match="no documents"):
        map_run([], nvpf)
