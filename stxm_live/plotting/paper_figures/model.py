"""Figures S9 and S11, and all figures of a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping import correlation
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.paper_figures.architecture import figure_s5, model_in_words
from stxm_live.plotting.paper_figures.groups import figure_components, figure_s10
from stxm_live.plotting.paper_figures.latent import LatentView, view_of_phases
from stxm_live.plotting.paper_figures.plate import Plate, Table, sheet
from stxm_live.plotting.paper_figures.simulated_model import Model, draw_true_phases
from stxm_live.plotting.pictures import Panel
from stxm_live.plotting.style.lettering import set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, crameri
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_STEPS = 41
"""Number of points on the decoder path; every fifth is drawn as a spectrum."""


def model_plates(
    bundle: Bundle, recipe: Recipe, *, rng: np.random.Generator | None = None
) -> Iterator[Plate]:
    """Draw figures S5, S9, S10, S11 and the components of a bundle.

    Parameters
    ----------
    bundle : Bundle
    recipe : Recipe
        The recipe it was trained for.
    rng : numpy.random.Generator, optional
        Random numbers for the simulated spectra.
    """
    model = Model.of(bundle, recipe, rng or np.random.default_rng(0))
    yield figure_s5(bundle)
    yield figure_s9(model)
    yield figure_s10(model)
    yield figure_s11(bundle)
    yield figure_components(model)


def decoder_path(
    bundle: Bundle, n_steps: int = N_STEPS
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return latent points on the straight line from the first to the last reference, decoded.

    Returns
    -------
    latent : ndarray of shape (n_steps, n_latent)
    od : ndarray of shape (n_steps, n_energies)
    """
    first, last = bundle.reference_latent[0], bundle.reference_latent[-1]
    share = np.linspace(0, 1, n_steps)[:, None]
    latent = (1 - share) * first + share * last
    return latent, bundle.decoder()(latent.astype(np.float32))


def figure_s9(model: Model) -> Plate:
    """Draw spectra decoded along a line from the first reference to the last."""
    latent, od = decoder_path(model.bundle)
    names = model.bundle.info.phase_names
    coefficients = correlation.pearson(od.T, model.reference_od)
    view = view_of_phases(model.latent, model.phase_index)
    panels: list[Panel] = [
        partial(_draw_path_spectra, model=model, od=od),
        partial(_draw_path_correlation, model=model, coefficients=coefficients),
        partial(_draw_path, model=model, path=latent, view=view),
    ]
    figure = sheet(
        f"Fig. S9: decoder path from {names[0]} to {names[-1]}",
        "Spectra that the decoder makes along the straight line between the two projected "
        "references.",
        panels,
        3,
        synthetic=model.synthetic,
        identity=model_in_words(model.bundle),
    )
    share = np.linspace(0, 1, len(latent))
    header = (
        "path",
        *(f"z{k + 1}" for k in range(latent.shape[1])),
        *(f"od_{energy:g}_ev" for energy in model.bundle.info.energies_ev),
        *(f"pearson_{name}" for name in names),
    )
    rows = np.column_stack([share, latent, od, coefficients.T]).tolist()
    return Plate("figS9-decoder-path", figure, Table(header, rows))


def _draw_path_spectra(ax: Axes, model: Model, od: NDArray[np.float32]) -> None:
    chosen = np.linspace(0, len(od) - 1, 9).astype(int)
    colors = crameri("roma")(np.linspace(0.1, 0.9, len(chosen)))
    steps = np.arange(od.shape[1])
    entries: list[tuple[Any, str]] = []
    for k, color in zip(chosen, colors, strict=True):
        (line,) = ax.plot(steps, od[k], color=color, linewidth=1.2, marker="o", markersize=2.5)
        entries.append((line, f"{100 * k / (len(od) - 1):.0f} % of the path"))
    energies = model.bundle.info.energies_ev
    style_axes(ax, "photon energy (eV)", "decoded optical density")
    ax.set_xticks(steps, [f"{energy:g}" for energy in energies], rotation=60)
    set_titles(ax, "Decoded spectra", "one step per energy")
    names = model.bundle.info.phase_names
    entries[0] = (entries[0][0], f"0 %: {names[0]}")
    entries[-1] = (entries[-1][0], f"100 %: {names[-1]}")
    side_legend(ax, entries)


def _draw_path_correlation(ax: Axes, model: Model, coefficients: NDArray[np.float32]) -> None:
    path = np.linspace(0, 100, coefficients.shape[1])
    entries: list[tuple[Any, str]] = []
    for row, name, color in zip(
        coefficients, model.bundle.info.phase_names, model.colors, strict=True
    ):
        (line,) = ax.plot(path, row, color=color, linewidth=1.5)
        entries.append((line, name))
    best = coefficients.argmax(axis=0)
    for k in np.flatnonzero(np.diff(best)):
        ax.axvline((path[k] + path[k + 1]) / 2, color=AMBIGUOUS, linewidth=0.8, linestyle="--")
    style_axes(ax, "path (%)", "Pearson coefficient")
    set_titles(ax, "Correlation with each reference", "amber: the best reference changes")
    side_legend(ax, entries, "correlation with")


def _draw_path(ax: Axes, model: Model, path: NDArray[np.float64], view: LatentView) -> None:
    draw_true_phases(ax, model, view, title="The path in latent space")
    ax.plot(*view.of(path).T, color=AMBIGUOUS, linewidth=1.6, zorder=3)


def figure_s11(bundle: Bundle) -> Plate:
    """Draw the losses of the training for each epoch."""
    history = {name: np.asarray(values) for name, values in bundle.info.history.items()}
    panels: list[Panel] = [
        partial(_draw_losses, history=history),
        partial(_draw_divergence, history=history),
    ]
    data = bundle.info.data
    figure = sheet(
        "Fig. S11: losses of the training",
        f"{data.n_train} {data.source} spectra, {data.n_validation} for validation; "
        f"beta = {bundle.info.options.get('beta')}, {len(history['epoch'])} epochs.",
        panels,
        2,
        synthetic=data.synthetic,
        identity=model_in_words(bundle),
    )
    rows = np.column_stack(list(history.values())).tolist()
    return Plate("figS11-losses", figure, Table(tuple(history), rows))


_CURVES = (("", "training", "#8ecae6"), ("validation_", "validation", AMBIGUOUS))
"""Beginning of a curve's names in the history, label and color."""


def _draw_losses(ax: Axes, history: dict[str, NDArray[np.float64]]) -> None:
    from matplotlib.ticker import FormatStrFormatter

    _draw_curves(ax, history, "loss")
    best = int(np.argmin(history["validation_loss"]))
    ax.plot(history["epoch"][best], history["validation_loss"][best], "o", color=AMBIGUOUS)
    ax.set_yscale("log")
    for which in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        which(FormatStrFormatter("%.2g"))
    style_axes(ax, "epoch", "squared error summed over energies")
    ax.tick_params(axis="y", which="minor", labelsize=7)
    set_titles(ax, "Losses", f"dot: the smallest, epoch {history['epoch'][best]:.0f}")


def _draw_divergence(ax: Axes, history: dict[str, NDArray[np.float64]]) -> None:
    _draw_curves(ax, history, "divergence")
    style_axes(ax, "epoch", "Kullback-Leibler divergence (nat)")
    set_titles(ax, "Divergence from the mixture", "before it is multiplied by beta")


def _draw_curves(ax: Axes, history: dict[str, NDArray[np.float64]], quantity: str) -> None:
    """Draw a quantity of training and validation; earlier bundles lack some of validation."""
    entries: list[tuple[Any, str]] = []
    for beginning, label, color in _CURVES:
        values = history.get(beginning + quantity)
        if values is not None:
            (line,) = ax.plot(history["epoch"], values, color=color, linewidth=1.4)
            entries.append((line, label))
    side_legend(ax, entries)
