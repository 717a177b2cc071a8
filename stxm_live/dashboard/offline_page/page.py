"""`write_page`: a result as one interactive HTML file that opens offline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.whole_file import whole_file
from stxm_live.dashboard.offline_page.page_amounts import (
    MAPS,
    distinguished,
    has_amounts,
    map_ranges,
)
from stxm_live.dashboard.offline_page.page_data import (
    Packed,
    Precision,
    packed_maps,
    packed_spectra,
)
from stxm_live.dashboard.offline_page.page_figures import (
    map_figures,
    spectrum_figure,
    unidentified_figure,
)
from stxm_live.dashboard.offline_page.page_text import page_text, unidentified_share
from stxm_live.io.results.dataset import as_dataset
from stxm_live.phase_mapping.quality import MENTIONED
from stxm_live.plotting.panels.result import brightest_energy, spectrum_over
from stxm_live.plotting.style.palette import (
    AMBIGUOUS,
    GROUND,
    INVALID,
    NO_DATA,
    SPECIMEN,
    UNIDENTIFIED,
    heat,
    hex_of,
    phase_colors,
)
from stxm_live.plotting.style.raster import FieldOfView, field_of_view
from stxm_live.plotting.style.value_range import value_range

if TYPE_CHECKING:
    import xarray

MOST_BYTES = 5_000_000
"""Largest size of a page in bytes, small enough for e-mail."""


def write_page(maps: PhaseMaps | xarray.Dataset, path: str | Path) -> Path:
    """Write a result as one self-contained HTML file.

    The page shows the maps with legends and scale bar, the phase fractions, verdict, warnings
    and provenance. The pixel under the mouse is shown with its spectrum over the references,
    coefficients, probabilities and counts. The file loads nothing from the network. To stay
    below `MOST_BYTES`, spectra are rounded and, if needed, averaged over blocks of pixels; the
    page states the rounding.

    Parameters
    ----------
    maps : PhaseMaps or xarray.Dataset
        A dataset as made by `PhaseMaps.to_xarray`.
    path : path
        File to write; an existing one is replaced.

    Raises
    ------
    ImportError
        If Bokeh is not installed.
    OSError
        If the file cannot be written; an existing file is kept.
    """
    check_bokeh("the page")
    dataset = as_dataset(maps)
    with whole_file(path) as unfinished:
        unfinished.write_text(page(dataset), encoding="utf-8", errors="replace")
    return Path(path)


def page(dataset: xarray.Dataset) -> str:
    """Return the HTML of a page."""
    x, y = dataset["x"].values, dataset["y"].values
    field = field_of_view((x[0], x[-1], y[0], y[-1]), (y.size, x.size))
    colors = hex_of(phase_colors(dataset["phase"].values.tolist(), _recipe_colors(dataset)))
    arrays, maps_precision = packed_maps(dataset, MOST_BYTES // 2)
    shown = tuple(name for name in _shown(dataset) if name not in MAPS or name in arrays)
    energies = dataset["energy_ev"].values
    plots = {**map_figures(shown, field), "spectrum": spectrum_figure(energies.tolist(), colors)}
    if unidentified_share(dataset) >= MENTIONED:
        plots["unidentified"] = unidentified_figure(dataset, colors)
    library, figures_script, figures = _bokeh_parts(plots)
    fixed = len(library) + sum(len(data.text) for data in arrays.values()) + 60_000
    fixed += 4 * sum(
        len(text) for text in (*dataset.attrs["warnings"], dataset.attrs["provenance"])
    )
    arrays["od"], precision = packed_spectra(
        dataset["od"].values, dataset["specimen"].values, MOST_BYTES - fixed
    )
    header = _header(dataset, field, colors, shown, arrays, precision)
    return Template(_asset("page.html")).substitute(
        page_text(dataset, shown, figures, f"{precision}; {maps_precision}"),
        style=_asset("page.css"),
        library=library,
        header=_json(header),
        data="\n".join(
            f'<script type="text/plain" id="data-{name}">{data.text}</script>'
            for name, data in arrays.items()
        ),
        script=_asset("page.js"),
        figures_script=figures_script,
    )


def check_bokeh(what: str) -> None:
    """Raise an ImportError that says what to install if there is no Bokeh for ``what``."""
    if find_spec("bokeh") is None:
        raise ImportError(
            f'{what} needs Bokeh, which is not installed; pip install "stxm-live[web]", '
            "in a clone: .venv/bin/pip install -e '.[web]'"
        )


def _shown(dataset: xarray.Dataset) -> tuple[str, ...]:
    """Return the maps of a page in reading order."""
    names = (
        *("resolved_index", "corrected_index", "phase_index"),
        *("ambiguous", "wrong_probability", "reliability", "od"),
    )
    shown = tuple(name for name in names if name in dataset)
    return (*shown, *(name for name in MAPS if name in dataset and has_amounts(dataset)))


def _header(
    dataset: xarray.Dataset,
    field: FieldOfView,
    colors: list[str],
    shown: tuple[str, ...],
    arrays: Mapping[str, Packed],
    precision: Precision,
) -> dict[str, Any]:
    """Return everything that the page's script needs apart from the arrays."""
    counted = (dataset["specimen"] & dataset["valid"]).values
    return {
        "maps": shown,
        "phases": dataset["phase"].values.tolist(),
        "colors": colors,
        "neutral": {
            "ground": GROUND,
            "no_data": NO_DATA,
            "specimen": SPECIMEN,
            "ambiguous": AMBIGUOUS,
            "unidentified": UNIDENTIFIED,
            "invalid": INVALID,
        },
        "heat": hex_of(heat()(np.arange(256))[:, :3]),
        "energies_ev": dataset["energy_ev"].values.tolist(),
        "references": np.asarray(dataset["reference_od"].values).tolist(),
        "shape": [dataset.sizes["y"], dataset.sizes["x"]],
        "field": field._asdict(),
        "block_px": precision.block_px,
        "ranges": map_ranges(dataset) if has_amounts(dataset) else {},
        "distinguished": distinguished(dataset),
        "top_reliability": value_range("reliability", dataset["reliability"].values)[1],
        "od_energy": brightest_energy(spectrum_over(dataset["od"].values, counted)),
        "arrays": {name: data.describe() for name, data in arrays.items()},
    }


def _recipe_colors(dataset: xarray.Dataset) -> Mapping[str, str]:
    values = json.loads(dataset.attrs["provenance"]).get("recipe_values") or {}
    return values.get("colors") or {}


def _bokeh_parts(figures: dict[str, Any]) -> tuple[str, str, dict[str, str]]:
    """Return Bokeh's script, the script that draws the figures, and an element per figure."""
    from bokeh.document import Document
    from bokeh.embed import components
    from bokeh.resources import Resources

    from stxm_live.dashboard.figures import PATIENT_MOUSE

    document = Document()
    with document.models.freeze():  # or Bokeh collects all models again for each figure
        for figure in figures.values():
            document.add_root(figure)
    script, places = components(figures, wrap_script=False)
    library = "\n".join([*Resources(mode="inline", components=["bokeh"]).js_raw, PATIENT_MOUSE])
    return library.replace("</script", r"<\/script"), script, places


def _json(value: Any) -> str:
    """Return JSON that cannot close the script element around it."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _asset(name: str) -> str:
    return files("stxm_live.dashboard.offline_page").joinpath(name).read_text(encoding="utf-8")
