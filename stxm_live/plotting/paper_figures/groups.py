"""Figure S10 and the mixture: groups in latent space compared with phase and thickness."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.gmvae.components import effective_components, information_share
from stxm_live.plotting.paper_figures.architecture import model_in_words
from stxm_live.plotting.paper_figures.latent import (
    LatentView,
    draw_points,
    draw_references,
    frame,
    view_of_thickness,
)
from stxm_live.plotting.paper_figures.plate import Plate, Table, centred, sheet
from stxm_live.plotting.paper_figures.simulated_model import Model, draw_true_phases
from stxm_live.plotting.pictures import Panel
from stxm_live.plotting.style.lettering import PLAIN, set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, crameri, heat
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figure_s10(model: Model) -> Plate:
    """Draw K-means groups in latent space beside phases and thickness, and their spectra."""
    from sklearn.cluster import KMeans

    n_groups = len(model.bundle.mixture.weights)
    group = KMeans(n_groups, n_init=4, random_state=0).fit_predict(model.latent.astype(np.float64))
    # numbered from thin to thick
    order = np.argsort([model.thickness[group == k].mean() for k in range(n_groups)])
    group = np.argsort(order)[group]
    view = view_of_thickness(model.latent, model.thickness, model.phase_index)
    of_phase = information_share(group, model.phase_index)
    of_thickness = information_share(group, model.thickness_class)
    panels: list[Panel] = [
        partial(_draw_groups, model=model, group=group, view=view, title="a  K-means"),
        partial(_draw_thickness, model=model, view=view),
        partial(draw_true_phases, model=model, view=view, title="c  True phases"),
        partial(_draw_spectra, model=model, group=group, scaled=False),
        partial(_draw_spectra, model=model, group=group, scaled=True),
        partial(_draw_thickness_of_groups, model=model, group=group),
        partial(
            _draw_contents, model=model, group=group, n=n_groups, title="g  Phases in each group"
        ),
    ]
    figure = sheet(
        f"Fig. S10: {n_groups} K-means groups in latent space",
        f"The groups explain {100 * of_thickness:.0f} % of the thickness class and "
        f"{100 * of_phase:.0f} % of the phase (mutual information over entropy). Horizontal axis: "
        "the direction of growing thickness.",
        panels,
        3,
        synthetic=model.synthetic,
        identity=model_in_words(model.bundle),
    )
    return Plate("figS10-kmeans", figure, _group_table(model, group, n_groups, "group"))


def _draw_groups(
    ax: Axes, model: Model, group: NDArray[np.integer], view: LatentView, title: str
) -> None:
    from matplotlib.lines import Line2D

    n_groups = int(group.max()) + 1
    colors = _colors_of_groups(n_groups)
    seen = view.of(model.latent)
    draw_points(ax, seen, colors[group], view.labels)
    frame(ax, seen)
    set_titles(ax, title, f"{n_groups} groups, numbered from thin to thick")
    entries: list[tuple[Any, str]] = []
    for k, color in enumerate(colors):
        dot = Line2D([], [], linestyle="none", marker="o", markersize=6, color=color)
        rows = group == k
        mean = model.thickness[rows].mean() if rows.any() else np.nan
        entries.append((dot, f"{k + 1}: mean largest OD {mean:.2f}"))
    side_legend(ax, entries)


def _draw_thickness(ax: Axes, model: Model, view: LatentView) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    seen = view.of(model.latent)
    scale = Normalize(*np.percentile(model.thickness, [1, 99]))
    draw_points(ax, seen, np.asarray(heat()(scale(model.thickness))), view.labels)
    frame(ax, seen)
    fitted = np.corrcoef(seen[:, 0], model.thickness)[0, 1]
    set_titles(ax, "b  Thickness", f"its correlation with the horizontal axis is {fitted:.2f}")
    side = ax.inset_axes((1.04, 0.0, 0.04, 1.0))
    bar = ax.figure.colorbar(ScalarMappable(scale, heat()), cax=side, extend="both")
    bar.set_label("largest optical density", fontsize=8.5, **PLAIN)
    side.tick_params(labelsize=8)


def _colors_of_groups(n_groups: int) -> NDArray[np.float64]:
    colors = np.asarray(crameri("hawaii")(np.linspace(0.1, 0.95, n_groups)))
    return colors[:, :3]


def _draw_spectra(ax: Axes, model: Model, group: NDArray[np.integer], scaled: bool) -> None:
    """Draw the mean spectrum of each group, as it is or scaled to a largest OD of 1."""
    steps = np.arange(model.od.shape[1])
    entries: list[tuple[Any, str]] = []
    for k, color in enumerate(_colors_of_groups(int(group.max()) + 1)):
        if not (group == k).any():
            continue
        mean = model.od[group == k].mean(axis=0, dtype=np.float64)
        (line,) = ax.plot(steps, mean / np.abs(mean).max() if scaled else mean, color=color)
        line.set(linewidth=1.2, marker="o", markersize=2.5)
        entries.append((line, str(k + 1)))
    ax.set_xticks(steps, [f"{energy:g}" for energy in model.bundle.info.energies_ev], rotation=60)
    unit = "optical density / its largest" if scaled else "optical density"
    style_axes(ax, "photon energy (eV)", unit)
    title = "e  The same, scaled" if scaled else "d  Mean spectra of the groups"
    set_titles(ax, title, "to a largest OD of 1" if scaled else "one step per energy")
    side_legend(ax, entries, "group")


def _draw_thickness_of_groups(ax: Axes, model: Model, group: NDArray[np.integer]) -> None:
    """Draw median, quartiles and the middle 90 % of the largest OD in each group."""
    colors = _colors_of_groups(int(group.max()) + 1)
    for k, color in enumerate(colors):
        members = model.thickness[group == k]
        if not members.size:
            continue
        low, first, middle, third, high = np.percentile(members, [5, 25, 50, 75, 95])
        ax.plot([k, k], [low, high], color=color, linewidth=1.2)
        ax.bar(k, third - first, 0.5, bottom=first, color=color)
        ax.plot([k - 0.25, k + 0.25], [middle, middle], color="black", linewidth=1.4)
    style_axes(ax, "group", "largest optical density")
    ax.set_xticks(range(len(colors)), [str(k + 1) for k in range(len(colors))])
    set_titles(ax, "f  Thickness in each group", "median, quartiles and the middle 90 %")


def _group_table(model: Model, group: NDArray[np.integer], n_groups: int, word: str) -> Table:
    """Return size, thickness and phases of each group."""
    rows = []
    for k in range(n_groups):
        members = group == k
        phases = np.bincount(model.phase_index[members], minlength=len(model.colors))
        mean = float(model.thickness[members].mean()) if members.any() else float("nan")
        rows.append((k + 1, members.mean(), mean, *(phases / max(1, phases.sum()))))
    names = (f"share_{name}" for name in model.bundle.info.phase_names)
    return Table((word, "share_of_spectra", "mean_largest_od", *names), rows)


def figure_components(model: Model) -> Plate:
    """Draw the components in use, and the phases in each."""
    responsibilities = model.responsibilities
    component = responsibilities.argmax(axis=1)
    n = responsibilities.shape[1]
    of_phase = information_share(component, model.phase_index)
    of_thickness = information_share(component, model.thickness_class)
    table = _group_table(model, component, n, "component")
    view = view_of_thickness(model.latent, model.thickness, model.phase_index)
    panels: list[Panel] = [
        partial(_draw_components, model=model, mean=responsibilities.mean(axis=0)),
        partial(
            _draw_contents, model=model, group=component, n=n, title="Phases in each component"
        ),
        partial(_draw_mixture, model=model, view=view),
    ]
    figure = sheet(
        "Components of the mixture",
        f"{effective_components(responsibilities):.1f} of {n} in use (exponential of the "
        f"entropy). They explain {100 * of_thickness:.0f} % of the thickness class and "
        f"{100 * of_phase:.0f} % of the phase.",
        panels,
        3,
        synthetic=model.synthetic,
        identity=model_in_words(model.bundle),
    )
    rows = [
        (*row, mean, of_phase, of_thickness)
        for row, mean in zip(table.rows, responsibilities.mean(axis=0), strict=True)
    ]
    extra = ("mean_responsibility", "phase_information_share", "thickness_information_share")
    return Plate("components", figure, Table((*table.columns, *extra), rows))


def _draw_components(ax: Axes, model: Model, mean: NDArray[np.float64]) -> None:
    steps = np.arange(len(mean))
    used = ax.bar(steps - 0.2, 100 * mean, 0.38, color="#8ecae6")
    prior = ax.bar(steps + 0.2, 100 * model.bundle.mixture.weights, 0.38, color=AMBIGUOUS)
    style_axes(ax, "component", "share (%)")
    ax.set_xticks(steps, [str(k + 1) for k in steps])
    set_titles(ax, "Components in use", "mean responsibility for simulated spectra")
    side_legend(ax, [(used, "responsibility"), (prior, "learned weight pi")])


def _draw_contents(ax: Axes, model: Model, group: NDArray[np.integer], n: int, title: str) -> None:
    """Draw the shares of the true phases in each group or component."""
    from matplotlib.patches import Patch

    bottom = np.zeros(n)
    for k, color in enumerate(model.colors):
        members = [model.phase_index[group == c] == k for c in range(n)]
        share = np.array([100 * rows.mean() if rows.size else 0.0 for rows in members])
        ax.bar(range(n), share, 0.7, bottom=bottom, color=color)
        bottom += share
    style_axes(ax, title.split()[-1], "share of its spectra (%)")
    thickness = [model.thickness[group == c] for c in range(n)]
    labels = [
        f"{c + 1}\nOD {t.mean():.2f}" if t.size else f"{c + 1}" for c, t in enumerate(thickness)
    ]
    ax.set_xticks(range(n), labels)
    set_titles(ax, title, "below: mean largest optical density")
    names = model.bundle.info.phase_names
    side_legend(ax, [(Patch(color=c), name) for c, name in zip(model.colors, names, strict=True)])


def _draw_mixture(ax: Axes, model: Model, view: LatentView) -> None:
    from matplotlib.patches import Ellipse

    seen = view.of(model.latent)
    draw_points(ax, seen, model.colors[model.phase_index], view.labels, alpha=0.35)
    mixture = model.bundle.mixture
    for k, (mean, sigma) in enumerate(zip(view.of(mixture.mean), mixture.sigma, strict=True)):
        # covariance of the component along the two directions
        spread = (view.directions * sigma**2) @ view.directions.T
        values, vectors = np.linalg.eigh(spread)
        angle = np.degrees(np.arctan2(*vectors[::-1, 1]))
        width, height = 2 * np.sqrt(values[::-1])
        ax.add_patch(Ellipse(mean, width, height, angle=angle, fill=False, edgecolor="white"))
        centred(ax, mean[0], mean[1], str(k + 1), color="white")
    draw_references(ax, view.of(model.bundle.reference_latent), model.colors)
    frame(ax, np.concatenate([seen, view.of(mixture.mean)]))
    set_titles(ax, "The mixture in latent space", "ellipses: one standard deviation")
