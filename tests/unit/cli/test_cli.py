import re
import tomllib
from pathlib import Path

import pytest

from stxm_live.cli import app
from stxm_live.cli.map_inputs import stem_of
from stxm_live.cli.recipes import TEMPLATE
from stxm_live.core.recipe import Recipe

COMMANDS = ["demo", "map", "import", "replay", "runs", "train", "recipe new", "recipe show"]
COMMANDS += ["figures", "diagnose", "export", "references", "choose-energies"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, command):
    code, text = run(*command.split(), "--help")
    assert code == 0
    assert re.search(rf"Examples?: stxm-live {command}", text)
    assert not re.findall(r"<(?:list|str|int|float|bool|Path)\b[^>]*>", text)  # but <text>


def test_brackets_in_a_help_are_not_taken_for_markup():
    from rich.text import Text
    from typer.main import get_command

    def helps(command):
        yield from (param.help for param in command.params if getattr(param, "help", None))
        for inner in getattr(command, "commands", {}).values():
            yield from (inner.help, *helps(inner))

    for text in helps(get_command(app)):
        assert Text.from_markup(text).plain == text


def test_a_new_recipe_is_valid_once_it_has_references(run, tmp_path):
    code, _ = run("recipe", "new", "lfp.toml")
    assert code == 0
    Path("references.csv").write_text("energy_ev,a,b\n1,0,1\n2,1,0\n3,1,1\n")
    recipe = Recipe.load("lfp.toml")
    assert recipe.name == "lfp"
    assert run("recipe", "show", "lfp.toml")[0] == 0
    code, text = run("recipe", "new", "lfp.toml")
    assert code == 1
    assert "error: lfp.toml exists" in text


def test_the_commented_lines_of_a_new_recipe_are_valid_too(tmp_path):
    text = TEMPLATE.format(name="x")
    setting = re.compile(r"^# (\[?[a-z0-9_]+(?:\]$| = .*)|Na3VPF = .*)", re.MULTILINE)
    values = tomllib.loads(setting.sub(r"\1", text))
    assert values["resolver"] == {
        "method": "likelihood",
        "model": "phases",
        "spatial": "potts",
        "audit": "list",
        "candidates": "pair",
        "statistics": "training",
        "baseline": "auto",
    }
    Recipe.from_values(values, folder=tmp_path)


def test_the_shipped_recipe_is_listed_and_shown_as_synthetic(run):
    assert "nvpf" in run("recipe", "list")[1]
    assert "5 synthetic references; on 13 energies" in run("recipe", "show", "nvpf")[1]


def test_errors_are_one_line_and_exit_with_1(run):
    code, text = run("recipe", "show", "lfp")
    assert code == 1
    assert text.startswith("error: no recipe 'lfp'")
    assert "nvpf" in text
    code, text = run("map", "nothing.hdr", "--recipe", "nvpf")
    assert code == 1
    assert text == "error: nothing.hdr: no such file "


def test_wrong_usage_exits_with_2(run, tmp_path):
    assert run("map")[0] == 2
    assert run("nonsense")[0] == 2
    code, text = run("map", ".")
    assert code == 2
    assert text == ("error: give either --references or --recipe; stxm-live explore needs neither ")
    assert run("map", ".", "--recipe", "nvpf", "--set", "min_correlation")[0] == 2


def test_files_that_are_not_there_are_named_without_words_of_python(run, tmp_path):
    (tmp_path / "stack.ncb").write_bytes(b"")
    code, text = run("map", "stack.ncb", "-r", "a.csv")
    assert code == 1
    assert text == f"error: {tmp_path / 'a.csv'}: no such file or directory "
    code, text = run("map", "stack.ncb", "--recipe", "nvpf", "--mask", "a.msk")  # before the stack
    assert code == 1
    assert text == "error: a.msk: no such file "


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("check no.jsonl", "no.jsonl: no such file or directory"),
        ("export no.dat", "no.dat: neither a run nor a NeXus file of this command"),
        ("regions no.hdr --size 1 --recipe nvpf", "no.hdr: no such file"),
        ("watch no/folder", "no/folder: no such folder, and not the name of a run"),
    ],
)
def test_a_file_that_is_not_there_is_not_looked_for_in_the_catalogue(run, command, said):
    code, text = run(*command.split())
    assert code == 1
    assert text.startswith(f"error: {said}")


@pytest.mark.parametrize("command", ["runs --limit 0", "train --simulated -5", "regions -1 --n 0"])
def test_a_number_that_is_too_small_is_wrong_usage(run, command):
    assert run(*command.split())[0] == 2


def test_a_folder_named_by_a_dot_has_its_own_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert stem_of(Path("a/stack.hdr")) == "stack"
    assert stem_of(Path()) == tmp_path.name
    assert stem_of(Path("..")) == tmp_path.parent.name


@pytest.mark.parametrize("command", ["runs", "replay", "export -1", "figures -1", "train -1"])
def test_commands_that_only_read_make_no_catalogue(run, tmp_path, command):
    code, text = run(*command.split(), "--catalog", "typo")
    assert code == 1
    assert text == f"error: no catalogue in {tmp_path / 'typo'}; stxm-live import makes one "
    assert list(tmp_path.iterdir()) == []


def test_train_wants_runs_or_simulated_spectra(run):
    code, text = run("train")
    assert code == 2
    assert "runs to train on, --simulated N, or both" in text
    for runs in ([], ["-1"]):
        code, text = run("train", *runs, "--simulated", 400, "--by-particle")
        assert code == 2
        assert "--" in text


def test_importing_what_is_not_there_makes_no_catalogue(run):
    code, text = run("import", "nothing.hdr", "--catalog", "runs")
    assert code == 1
    assert text == "error: nothing.hdr: no such file "
    assert not Path("runs").exists()


def test_the_command_refuses_an_address_others_reach(run):
    pytest.importorskip("zmq", reason="needs the extra stxm-live[zmq]")
    code, text = run("serve", "--zmq", "0.0.0.0:5578", "--catalog", "runs")
    assert code == 1
    assert "open to the network" in text
