"""A bundle with simulated spectra in its latent space, from which its figures are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.gmvae.components import thickness_class
from stxm_live.gmvae.simulated import simulated_spectra
from stxm_live.phase_mapping.latent_space.bundle import Bundle, BundleError, references_fingerprint
from stxm_live.plotting.paper_figures.latent import LatentView, draw_phases, frame
from stxm_live.plotting.style.palette import phase_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_SPECTRA = 6000


@dataclass(frozen=True, eq=False)
class Model:
    """A bundle, the references it was trained for, and simulated spectra in its latent space.

    Parameters
    ----------
    bundle : Bundle
    reference_od : ndarray of shape (n_phases, n_energies)
        At the bundle's energies.
    colors : ndarray of shape (n_phases, 3)
    od : ndarray of shape (n_spectra, n_energies)
        The simulated spectra.
    latent : ndarray of shape (n_spectra, n_latent)
    phase_index : ndarray of shape (n_spectra,)
        True phases of the simulated spectra.
    thickness : ndarray of shape (n_spectra,)
        Largest OD of each.
    thickness_class : ndarray of shape (n_spectra,)
    synthetic : bool
        True if the references are calculated.
    """

    bundle: Bundle
    reference_od: NDArray[np.float64]
    colors: NDArray[np.float64]
    od: NDArray[np.float32]
    latent: NDArray[np.float32]
    phase_index: NDArray[np.int8]
    thickness: NDArray[np.float32]
    thickness_class: NDArray[np.intp]
    synthetic: bool

    @classmethod
    def of(cls, bundle: Bundle, recipe: Recipe, rng: np.random.Generator) -> Model:
        """Simulate spectra of the recipe's references and encode them.

        Raises
        ------
        BundleError
            If the bundle was trained for other references than the recipe's.
        """
        references, energies = recipe.reference_spectra, bundle.info.energies_ev
        if references_fingerprint(references, energies) != bundle.info.references_sha256:
            raise BundleError(
                f"bundle {bundle.folder}: trained for other references than those of recipe "
                f"{recipe.name!r}; name the recipe it was trained for"
            )
        od, labels, _ = simulated_spectra(references, energies, N_SPECTRA, rng)
        return cls(
            bundle=bundle,
            reference_od=references.at(energies),
            colors=phase_colors(references.phase_names, recipe.colors),
            od=od,
            latent=bundle.encoder().encode(od),
            phase_index=labels,
            thickness=od.max(axis=1),
            thickness_class=thickness_class(od),
            synthetic=references.synthetic,
        )

    @property
    def responsibilities(self) -> NDArray[np.float64]:
        """Return each component's responsibility for each spectrum, (n_spectra, n_components)."""
        return self.bundle.mixture.responsibilities(self.latent)


def draw_true_phases(
    ax: Axes, model: Model, view: LatentView, *, title: str = "True phases"
) -> None:
    """Draw the simulated spectra in latent space, in the colors of their phases."""
    seen, references = view.of(model.latent), view.of(model.bundle.reference_latent)
    draw_phases(
        ax,
        seen,
        model.phase_index,
        references,
        model.bundle.info.phase_names,
        model.colors,
        view,
        title=title,
        subtitle=f"{len(seen)} simulated spectra",
    )
    frame(ax, np.concatenate([seen, references]))
