"""Files that are complete or absent, and places that are no files."""

import os
import threading

import pytest

from stxm_live.core.whole_file import whole_file


def test_an_error_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(TypeError), whole_file(path) as unfinished:
        unfinished.write_text(b"no text")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_pipe_gets_what_is_written_and_stays_a_pipe(tmp_path):
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()), daemon=True)
    reader.start()
    with whole_file(pipe) as place:
        place.write_text("all of it")
    reader.join(10)
    assert heard == ["all of it"]
    assert pipe.is_fifo()


def test_the_standard_output_is_written_to_also_where_it_is_a_file(tmp_path):
    with (tmp_path / "out.txt").open("w+") as file:
        with whole_file(f"/dev/fd/{file.fileno()}") as place:
            place.write_text("all of it")
        assert file.read() == "all of it"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
