"""Every command and every piece of Python that the documentation shows is run, page by page."""

import re
import shlex
import shutil
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from particles import write_sdf
from typer.testing import CliRunner

from stxm_live.cli import app
from stxm_live.cli.recipes import TEMPLATE
from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.sim.instrument import SimulatedMicroscope

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)

PAGES = sorted(
    page
    for page in DOCS.rglob("*.md")
    if not {"_build", "decisions", "generated", "auto_gallery"} & set(page.relative_to(DOCS).parts)
    and {kind for kind, _ in BLOCK.findall(page.read_text(encoding="utf-8"))}
    & {"console", "python"}
)


def blocks(page):
    """Kind, text and line of every block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield found[1], found[2], text.count("\n", 0, found.start(2))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the pages suppose that their reader has: a stack and references."""
    monkeypatch.chdir(tmp_path)
    write_sdf(tmp_path, "stack")
    references = Recipe.load("nvpf").reference_spectra
    references.to_csv("references.csv")
    for name, od in {"charged": references.od[-1], "discharged": references.od[0]}.items():
        np.savetxt(f"{name}.csv", np.column_stack([references.energies_ev, od]), delimiter=",")
    return tmp_path


@pytest.fixture
def quick_maps(monkeypatch):
    """Recipes without the fit of the energy axis, which takes half of the time of a small map."""
    load = Recipe.load
    monkeypatch.setattr(
        Recipe, "load", lambda *source: load(*source).with_changes({"energy_fit": False})
    )


@pytest.fixture
def no_training(monkeypatch, shipped_bundle):
    """A training gives the shipped bundle, of the same energies, in place of its own.

    test_gmvae_training trains by the same command.
    """
    from stxm_live import gmvae

    arguments = signature(gmvae.train_bundle)

    def give(*given, **options):
        recipe, spectra, *_ = arguments.bind(*given, **options).args
        assert recipe.energies_ev == Bundle.load(shipped_bundle).info.energies_ev
        assert spectra.shape[1] == len(recipe.energies_ev)
        return Bundle.load(shutil.copytree(shipped_bundle, options["out"]))

    monkeypatch.setattr(gmvae, "train_bundle", give)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.usefixtures("no_pictures", "one_plate", "no_pages", "quick_maps", "no_training")
def test_what_a_page_shows_works(page, folder, RE):
    text = page.read_text(encoding="utf-8")
    if "mine.toml" in text and "recipe new mine.toml" not in text:
        Path("mine.toml").write_text(TEMPLATE.format(name="mine"))
    microscope = SimulatedMicroscope.with_particle(
        Recipe.load("nvpf").reference_spectra, rng=np.random.default_rng(1), shape=(60, 64)
    )
    names = {"RE": RE, "camera": microscope.camera, "energy": microscope.energy}
    printed = []
    for kind, block, line in blocks(page):
        if kind == "console":
            printed += run_commands(block)
        elif kind == "toml":
            name = re.match(r"# (\w+\.toml)\n", block)
            assert name, f"line {line}: the block does not say which file it is"
            Path(name[1]).write_text(block)
        elif kind == "python":
            # padded, so that an error names the line of the page
            exec(compile("\n" * line + block, str(page), "exec"), names)
    shown = [block for _, block, _ in blocks(page) if block.startswith("┃")]
    assert len(shown) == (page.stem == "tutorial")
    assert [line for block in shown for line in block.splitlines() if line not in printed] == []


def run_commands(block):
    """Run the commands of a block; the lines that they print."""
    printed = []
    for line in block.strip().splitlines():
        command = line.removeprefix("$ ")
        assert command != line, f"not a command: {line}"
        if command.startswith("make "):
            target = command.split()[1]
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            continue
        name, *arguments = shlex.split(command)
        assert name in ("stxm-live", ".venv/bin/stxm-live")
        done = CliRunner().invoke(app, quicker(arguments))
        assert done.exit_code == 0, f"{command}\n{done.output}"
        printed += done.output.splitlines()
    return printed


def quicker(arguments):
    """Few spectra for a training: the command is tested, not the model."""
    return [a.replace("60000", "1000") for a in arguments]


def test_every_option_the_documentation_names_exists():
    known = set()

    def collect(command):
        known.update(option for p in command.params for option in p.opts + p.secondary_opts)
        for child in getattr(command, "commands", {}).values():
            collect(child)

    import typer

    collect(typer.main.get_command(app))
    shown = {
        option
        for page in [*PAGES, ROOT / "README.md"]
        for line in re.findall(r"stxm-live [^\n`]*", page.read_text(encoding="utf-8"))
        for option in re.findall(r"(?<=\s)--[a-z-]+", line)
    }
    assert shown
    assert shown <= known


def test_every_public_name_is_in_the_reference():
    import stxm_live

    text = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^   stxm_live\.(\w+)$", text, re.MULTILINE)) >= set(stxm_live.__all__)


def test_no_word_of_a_help_is_lost_on_the_page_of_commands(monkeypatch):
    import typer
    from markdown_it import MarkdownIt

    monkeypatch.syspath_prepend(DOCS / "_ext")
    from schemas import command_pages

    page = "\n".join(command_pages(typer.main.get_command(app), "stxm-live"))
    html = MarkdownIt().enable("table").render(page)
    assert "CSV energy_ev,&lt;phase&gt;,..." in html
    assert "<phase>" not in html
    assert "With <code>--zmq</code>" in html  # not a dash
    assert "a pattern such as 'e*.h5'" in html
