"""Where each command looks for runs, and for the files of their images."""

import pytest
from typer.testing import CliRunner

from stxm_live.cli import app
from stxm_live.io.catalog import anywhere


@pytest.mark.parametrize(
    "command",
    [
        ["check", "-1"],
        ["replay", "-1"],
        ["export", "-1"],
        ["figures", "-1"],
        ["watch", "-1"],
        ["references", "A=run:-1@0,1,0,1"],
        ["train", "-1"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_opens_the_catalogue_where_it_is_with_the_folders_of_images(
    tmp_path, monkeypatch, command
):
    asked = []

    def open_anywhere(where, *, image_roots, create):
        asked.append((where, list(image_roots), create))
        raise FileNotFoundError("no catalogue")

    monkeypatch.setattr(anywhere, "open_anywhere", open_anywhere)
    monkeypatch.chdir(tmp_path)
    where = ["--catalog", "https://tiled.example.org", "--root", str(tmp_path)]
    done = CliRunner().invoke(app, [*command, *where])
    assert done.exit_code == 1
    assert asked == [("https://tiled.example.org", [tmp_path], False)]
