"""Figure S5: the layers of the GMVAE."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stxm_live.gmvae.options import DROPOUT, N_LATENT, WIDTHS
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.paper_figures.plate import Plate, Table, centred, sheet
from stxm_live.plotting.style.lettering import PLAIN, set_titles
from stxm_live.plotting.style.palette import AMBIGUOUS, FAINT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ENCODER, _DECODER = "#8ecae6", "#b9a6e0"


class _Layer(NamedTuple):
    part: str
    width: int
    operation: str
    color: str


def figure_s5(bundle: Bundle) -> Plate:
    """Draw the layers from spectrum to latent space and back, with their widths."""
    info = bundle.info
    found = _layers(len(info.energies_ev), len(bundle.mixture.weights))
    figure = sheet(
        "Fig. S5: architecture of the GMVAE",
        f"{len(info.energies_ev)} energies; the live maps use the encoder's mean z. Prior: "
        f"a mixture of {len(bundle.mixture.weights)} Gaussians; beta = {info.options.get('beta')}.",
        [partial(_draw_layers, found=found)],
        1,
        aspect=0.42,
        synthetic=info.data.synthetic,
        identity=model_in_words(bundle),
    )
    rows = [(layer.part, layer.width, layer.operation) for layer in found]
    return Plate("figS5-architecture", figure, Table(("part", "width", "operation"), rows))


def model_in_words(bundle: Bundle) -> str:
    """Return the fingerprint of a model, and the version, for the foot of its figures."""
    return f"model {bundle.sha256[:8]}, stxm_live {version('stxm-live')}"


def _layers(n_energies: int, n_components: int) -> list[_Layer]:
    last = f"ReLU, batch normalization, dropout {DROPOUT:g}"
    return [
        _Layer("spectrum", n_energies, "", FAINT),
        *(_Layer("encoder", width, "ReLU", _ENCODER) for width in WIDTHS[:-1]),
        _Layer("encoder", WIDTHS[-1], last, _ENCODER),
        _Layer("z", N_LATENT, f"{n_components} Gaussians", AMBIGUOUS),
        *(_Layer("decoder", width, "ReLU", _DECODER) for width in reversed(WIDTHS)),
        _Layer("decoded", n_energies, "linear", FAINT),
    ]


def _draw_layers(ax: Axes, found: list[_Layer]) -> None:
    """Draw a bar for each layer, as high as the logarithm of its width."""
    ax.set_axis_off()
    height = 0.25 + 0.75 * np.log([layer.width for layer in found]) / np.log(max(WIDTHS))
    for x, (layer, high) in enumerate(zip(found, height, strict=True)):
        ax.bar(x, high, 0.84, bottom=-high / 2, color=layer.color)
        centred(ax, x, 0.0, str(layer.width), color="black")
    for part in dict.fromkeys(layer.part for layer in found):
        places = [x for x, layer in enumerate(found) if layer.part == part]
        words = found[places[-1]].operation.replace(", ", ",\n")
        text = f"{part}\n{words}"
        ax.text(sum(places) / len(places), -0.57, text, ha="center", va="top", fontsize=8, **PLAIN)
    ax.set_xlim(-0.9, len(found) - 0.1)
    ax.set_ylim(-0.95, 0.55)
    set_titles(ax, "From spectrum to spectrum", "height of a bar: logarithm of the layer's width")
