"""The paper's strategies for ambiguous pixels, side by side."""

from __future__ import annotations

import numpy as np

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.phase_mapping.latent_space.assignment import (
    CANDIDATES,
    STRATEGIES,
    distance_by,
    resolve,
)
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.paper_figures.maps import (
    LATENT_RULES,
    aspect_of,
    index_panel,
    pixels_of,
    resolver_of,
    shares,
)
from stxm_live.plotting.paper_figures.plate import Plate, Table, sheet
from stxm_live.plotting.pictures import Panel


def strategies_plate(maps: PhaseMaps, bundle: Bundle) -> Plate:
    """Draw the same ambiguous pixels resolved by each of the paper's strategies."""
    pixels = pixels_of(maps)
    landmarks = bundle.landmarks.beside(
        pixels.latent,
        pixels.phase_index,
        ~pixels.ambiguous,
        of_scan=resolver_of(maps).get("statistics") == "scan",
    )
    panels: list[Panel] = []
    rows = []
    n_ambiguous = max(1, int(pixels.ambiguous.sum()))
    for candidates in CANDIDATES:
        for strategy in STRATEGIES:
            index = resolve(
                pixels.latent,
                pixels.phase_index,
                pixels.ambiguous,
                pixels.pair,
                distance_by(strategy, landmarks),
                candidates,
            )
            changed = int((index != pixels.phase_index).sum()) / n_ambiguous
            image = np.full(pixels.mask.shape, -1, dtype=np.int8)
            image[pixels.mask] = index
            among = "of the two best" if candidates == "pair" else "of all phases"
            title = LATENT_RULES[strategy][:1].upper() + LATENT_RULES[strategy][1:]
            note = f"{among}; {100 * changed:.0f} % of the ambiguous pixels change"
            panels.append(index_panel(maps, image, title, note))
            rows.append((strategy, candidates, changed, *shares(index, len(maps.phase_names))))
    figure = sheet(
        f"Strategies for ambiguous pixels, {maps.key}",
        f"{100 * pixels.ambiguous.mean():.1f} % of the pixels are ambiguous; clear ones are the "
        "same in all maps.",
        panels,
        len(STRATEGIES),
        aspect=aspect_of(maps),
        synthetic=maps.synthetic_references,
        identity=maps.identity,
    )
    header = ("strategy", "candidates", "changed_share_of_ambiguous")
    names = tuple(f"share_{name}" for name in maps.phase_names)
    return Plate("strategies", figure, Table((*header, *names), rows))
