"""One small bundle for a whole test session."""

from pathlib import Path

from typer.testing import CliRunner

from stxm_live.cli import app


def train_small_bundle(folder: Path) -> Path:
    """Train a bundle for the recipe nvpf by its command: a few epochs on a few spectra."""
    options = ["--simulated", "5000", "--epochs", "4", "--seed", "3", "--out", str(folder)]
    done = CliRunner().invoke(app, ["train", *options])
    assert done.exit_code == 0, done.output
    assert "training on 5000 spectra" in done.output
    return folder
