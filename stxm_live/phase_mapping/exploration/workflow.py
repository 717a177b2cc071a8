"""From a stack to a first look at it, without references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stxm_live.core.file_arrays import is_in_file
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack, StackKey
from stxm_live.phase_mapping.exploration.clusters import ClusterBy, Clusters, clusters_of
from stxm_live.phase_mapping.exploration.components import (
    NonNegative,
    Principal,
    non_negative_components,
    principal_components,
)
from stxm_live.phase_mapping.exploration.spectra import ExploredSpectra
from stxm_live.phase_mapping.steps import DEFAULT, Steps
from stxm_live.phase_mapping.workflow import align_images, od_stack
from stxm_live.preprocessing.reference_extraction import MeasuredSpectrum
from stxm_live.preprocessing.stack_images import ImageCache

_MOST_SHOWN = 5
"""Most clusters and non-negative components that nobody asked for."""


@dataclass(frozen=True, eq=False)
class Exploration:
    """Components and clusters of a stack that were found without references.

    Parameters
    ----------
    recipe : Recipe
        Settings it was made with.
    spectra : ExploredSpectra
        Optical density of the specimen.
    pca : Principal
    clusters : Clusters
    nmf : NonNegative
    notes : tuple of str
    """

    recipe: Recipe
    spectra: ExploredSpectra
    pca: Principal
    clusters: Clusters
    nmf: NonNegative
    notes: tuple[str, ...]

    def __str__(self) -> str:
        n_pixels, n_energies = self.spectra.od.shape
        shares = [
            f"{one.name} ({100 * share:.1f} %)"
            for one, share in zip(self.clusters.spectra, self.clusters.shares, strict=True)
        ]
        return (
            f"{self.spectra.key}: {n_pixels} specimen pixels, {n_energies} energies; "
            f"{self.pca.n_above_noise} principal components above the noise; "
            f"clusters {', '.join(shares)}"
        )

    @property
    def key(self) -> StackKey:
        """Return the key of the stack."""
        return self.spectra.key

    @property
    def measured_spectra(self) -> Mapping[str, MeasuredSpectrum]:
        """Return the spectra that may become references, by the names to choose them with.

        "0", "1", ... are the clusters' mean spectra, "nmf0", ... the non-negative components,
        which have no errors.
        """
        found = {spectrum.name: spectrum for spectrum in self.clusters.spectra}
        for k, od in enumerate(self.nmf.spectra):
            name = f"nmf{k}"
            source = f"{self.spectra.key}, non-negative component {k} of {len(self.nmf.spectra)}"
            found[name] = MeasuredSpectrum(name, self.spectra.energies_ev, od, source)
        return found


def explore_stack(
    stack: Stack,
    recipe: Recipe | None = None,
    *,
    n_clusters: int | None = None,
    n_components: int | None = None,
    cluster_by: ClusterBy = "shape",
    seed: int = 0,
    steps: Steps = DEFAULT,
    seen: ImageCache | None = None,
) -> Exploration:
    """Find components and clusters of the specimen's spectra, without references.

    The stack is aligned, and specimen, I0 and optical density are found as for maps, but without
    references. Principal components, non-negative components and k-means are scikit-learn's.

    Parameters
    ----------
    stack : Stack
    recipe : Recipe, optional
        Settings of alignment, I0, specimen and detector, and the energies to use; its references
        are not read. By default all energies, and default settings.
    n_clusters : int, optional
        Number of clusters; by default the number of principal components above the noise, one to
        five.
    n_components : int, optional
        Number of non-negative components; by default that of the clusters.
    cluster_by : {"shape", "od"}
        Compare the shape of spectra, whatever the thickness, or their optical density.
    seed : int
        Random seed of k-means, of the non-negative components and of the simulated noise.
    steps, seen : optional
        As for `map_phases`.

    Returns
    -------
    Exploration

    Raises
    ------
    ValueError
        If the stack is too large for memory, if there is one energy, no specimen, no I0, or more
        clusters or components than pixels or energies allow.
    """
    recipe = blank_recipe() if recipe is None else recipe
    if any(is_in_file(frame.intensity) for frame in stack.frames):
        raise ValueError(
            f"{stack.key}: too large for the memory: components and clusters need all spectra at "
            "once; explore a file of fewer energies or of a part of the field, or map the stack "
            "with references"
        )
    # references would help to find the specimen: without them it is the same before and after
    blank = recipe.model_copy(update={"references": None})
    images = (seen or ImageCache(blank)).usable(stack)
    spectra = ExploredSpectra.of(od_stack(align_images(images, blank, steps), blank, steps))
    pca = principal_components(spectra, seed=seed)
    return _grouped(recipe, spectra, pca, n_clusters, n_components, cluster_by, seed)


def regrouped(exploration: Exploration, n_clusters: int) -> Exploration:
    """Return an exploration with another number of clusters and of non-negative components.

    Raises
    ------
    ValueError
        If there are more than pixels or energies allow.
    """
    spectra, pca = exploration.spectra, exploration.pca
    return _grouped(exploration.recipe, spectra, pca, n_clusters, None, "shape", 0)


def _grouped(
    recipe: Recipe,
    spectra: ExploredSpectra,
    pca: Principal,
    n_clusters: int | None,
    n_components: int | None,
    cluster_by: ClusterBy,
    seed: int,
) -> Exploration:
    """Find clusters and non-negative components; arguments and errors as for `explore_stack`."""
    notes = list(spectra.notes)
    if cluster_by == "shape" and len(spectra.energies_ev) < 3:
        cluster_by = "od"
        notes.append("two energies show no shape of spectra: clusters are by optical density")
    wanted = min(max(pca.n_above_noise, 1), _MOST_SHOWN) if n_clusters is None else n_clusters
    clusters = clusters_of(spectra, pca, wanted, by=cluster_by, seed=seed)
    if len(clusters.spectra) < wanted:
        notes.append(f"only {len(clusters.spectra)} clusters are different, not {wanted}")
    most = min(spectra.od.shape)
    n_nmf = min(wanted, most) if n_components is None else n_components
    if not 1 <= n_nmf <= most:
        raise ValueError(
            f"{n_nmf} non-negative components of {spectra.n_pixels} spectra at "
            f"{len(spectra.energies_ev)} energies cannot be made; ask for 1 to {most}"
        )
    nmf, of_nmf = non_negative_components(spectra, n_nmf, seed=seed)
    return Exploration(recipe, spectra, pca, clusters, nmf, (*notes, *of_nmf))


def blank_recipe() -> Recipe:
    """Return the default settings for a stack that has no references yet, and all its energies."""
    return Recipe(name="exploration")
