"""A first look as an xarray.Dataset: clusters and components with their maps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.plain_text import for_files
from stxm_live.phase_mapping.exploration.workflow import Exploration

if TYPE_CHECKING:
    import xarray


def exploration_dataset(
    found: Exploration, names: Mapping[str, str] | None = None
) -> xarray.Dataset:
    """Return clusters, non-negative and principal components, with their maps and spectra.

    Dimensions are cluster, nmf, pca, energy_ev, y and x; ``y`` and ``x`` are in um. NaN, or -1 in
    ``cluster_index``, is beside the specimen. Of principal components it has those above the noise,
    and as many as there are clusters.

    Parameters
    ----------
    found : Exploration
    names : mapping of str to str, optional
        Names that were given to spectra, as for `save_as_recipe`.
    """
    import xarray

    clusters, nmf, pca, spectra = found.clusters, found.nmf, found.pca, found.spectra
    kept = slice(max(pca.n_above_noise, len(clusters.spectra)))
    index = np.nan_to_num(spectra.image(clusters.index.astype(np.float64)), nan=-1).astype(np.int8)
    images = ("y", "x")
    variables = {
        "cluster_index": (images, index, _about("", "Cluster")),
        "cluster_share": ("cluster", clusters.shares, _about("", "Share of the specimen")),
        "cluster_od": _spectra("cluster", [s.od for s in clusters.spectra], "Mean OD"),
        "cluster_scatter": _spectra("cluster", clusters.scatter, "Scatter of single pixels"),
        "nmf_od": _spectra("nmf", nmf.spectra, "Non-negative component"),
        "nmf_amount": _images("nmf", found, nmf.amounts, "Amount of the component"),
        "mean_od": ("energy_ev", pca.mean, _about("", "Mean OD of the specimen")),
        "pca_spectrum": _spectra("pca", pca.components[kept], "Principal component"),
        "pca_score": _images("pca", found, pca.scores[:, kept], "Score of the component"),
        "pca_eigenvalue": ("pca", pca.eigenvalues[kept], _about("", "Variance of the scores")),
    }
    errors = [s.std for s in clusters.spectra if s.std is not None]
    if len(errors) == len(clusters.spectra):
        variables["cluster_od_std"] = _spectra("cluster", errors, "Standard error of the mean OD")
    (ny, nx), (x0, x1, y0, y1) = index.shape, spectra.extent_um
    coordinates = {
        "energy_ev": ("energy_ev", spectra.energies_ev, {"units": "eV"}),
        "y": ("y", np.linspace(y0, y1, ny), {"units": "um"}),
        "x": ("x", np.linspace(x0, x1, nx), {"units": "um"}),
    }
    return xarray.Dataset(variables, coordinates, _attributes(found, names or {}))


def _about(units: str, long_name: str) -> dict[str, str]:
    return {"units": units, "long_name": long_name}


def _spectra(dim: str, od: Any, long_name: str) -> tuple[Any, ...]:
    return (dim, "energy_ev"), np.asarray(od, dtype=np.float32), _about("", long_name)


def _images(
    dim: str, found: Exploration, values: NDArray[np.float64], long_name: str
) -> tuple[Any, ...]:
    images = [found.spectra.image(each).astype(np.float32) for each in values.T]
    return (dim, "y", "x"), np.stack(images), _about("", long_name)


def _attributes(found: Exploration, names: Mapping[str, str]) -> dict[str, Any]:
    key = found.key
    provenance = {"package": "stxm_live", "version": version("stxm-live")}
    provenance["recipe_sha256"] = found.recipe.fingerprint
    return {
        "content": "First look at",
        "run_uids": list(map(for_files, key.run_uids)),
        "region": for_files(key.region),
        "polarization": for_files(key.polarization),
        "source": for_files(key.source),
        "synthetic_references": 0,
        "names": json.dumps(dict(names)),
        "pca_noise_floor": found.pca.noise_floor,
        "warnings": list(map(for_files, found.notes)),
        "provenance": json.dumps(provenance, sort_keys=True),
    }
