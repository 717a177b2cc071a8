"""A bundle: one trained model in a folder, checked before it is believed."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from stxm_live.core.recipe import Recipe, shipped_recipes
from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.latent_space.clusters import Clusters, Landmarks, Members
from stxm_live.phase_mapping.latent_space.encoder import Encoder, Network

DESCRIPTION = "bundle.json"
FILES = ("encoder.tflite", "decoder.tflite", "clusters.npz")
ARRAYS = ("mean", "covariance", "counts", "pi", "mu", "sigma", "reference_latent")
MEMBERS = ("member_latent", "member_phase_index")
"""Arrays that bundles have since their training keeps labelled points."""

_MOST_TRIES, _PAUSE_S = 20, 0.05
"""Tries to read a bundle while it is replaced, and the time between them."""

TRAIN_AGAIN = "train it again with stxm-live train, or restore the folder from where it came from"


class BundleError(ValueError):
    """The bundle cannot be used; the message says why and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataDescription(_Part):
    """The training set of a model; ``synthetic``: simulated spectra or calculated references."""

    source: Literal["simulated", "measured"]
    synthetic: bool
    n_train: int
    n_validation: int
    n_test: int
    note: str = ""


class Parity(_Part):
    """Largest difference between LiteRT and Keras on some spectra.

    ``relative`` is the difference over the largest absolute output, or over 1 if that is smaller.
    """

    n_spectra: int
    encoder_absolute: float
    encoder_relative: float
    decoder_absolute: float
    decoder_relative: float


class BundleInfo(_Part):
    """Content of ``bundle.json``.

    ``references_sha256`` is `references_fingerprint` of the spectra the labels came from;
    ``history`` holds one value per epoch; ``scores`` are taken on the held-out test spectra,
    those of the components on the training spectra, whose number they need. ``head`` and a hash
    of ``head.tflite`` are in older bundles, which had one more network; neither is used.
    """

    format: Literal["stxm-live bundle"] = "stxm-live bundle"
    format_version: Literal[1] = 1
    energies_ev: tuple[float, ...] = Field(min_length=2)
    phase_names: tuple[str, ...] = Field(min_length=2)
    references_sha256: str
    ambiguity_threshold: float
    data: DataDescription
    options: dict[str, JsonValue]
    history: dict[str, tuple[float, ...]]
    scores: dict[str, float]
    parity: dict[str, Parity]
    versions: dict[str, str]
    sha256: dict[str, str]
    head: dict[str, JsonValue] | None = None

    def document(self) -> dict[str, JsonValue]:
        """Every value, as it is stored; ``head`` only where it was."""
        return self.model_dump(mode="json", exclude={"head"} if self.head is None else None)

    def fingerprint(self) -> str:
        """SHA-256 over every value, and so over the files by their hashes."""
        values = self.document()
        return _sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())


@dataclass(frozen=True, eq=False)
class Mixture:
    """The learned prior: pi, mu and the diagonal standard deviations of its components.

    Parameters
    ----------
    weights : ndarray of shape (n_components,)
    mean, sigma : ndarray of shape (n_components, n_latent)
    """

    weights: NDArray[np.float64]
    mean: NDArray[np.float64]
    sigma: NDArray[np.float64]

    def responsibilities(self, latent: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability p(k|z) of each component, shape (n_spectra, n_components)."""
        scaled = (latent[:, None, :] - self.mean) / self.sigma
        log_density = np.log(self.weights) - np.log(self.sigma).sum(axis=1)
        log_density = log_density - 0.5 * (scaled**2).sum(axis=-1)
        density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        share: NDArray[np.float64] = density / density.sum(axis=1, keepdims=True)
        return share


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained GMVAE and what is needed to use it.

    Parameters
    ----------
    folder : Path
    info : BundleInfo
        Everything of ``bundle.json``.
    clusters : Clusters
        Latent clusters of the phases, from unambiguous training spectra.
    mixture : Mixture
    reference_latent : ndarray of shape (n_phases, n_latent)
        The references, scaled to a largest OD of 1, in latent space.
    sha256 : str
        One hash for all of it, for provenance.
    members : Members or None
        Labelled latent points of the training set, thinned; None in a bundle without them.
    """

    folder: Path
    info: BundleInfo
    clusters: Clusters
    mixture: Mixture
    reference_latent: NDArray[np.float64]
    sha256: str
    encoder_model: bytes
    decoder_model: bytes
    members: Members | None = None

    @classmethod
    def load(cls, folder: str | Path) -> Bundle:
        """Read a bundle and verify the SHA-256 of every file.

        One that is being replaced is read again a little later.

        Raises
        ------
        BundleError
            If a file is missing or not the one that was written, or if the format is unknown.
        """
        folder = Path(folder)
        for n_tries in range(_MOST_TRIES):
            try:
                return cls._read(folder)
            except (BundleError, OSError):
                if n_tries and not any(folder.parent.glob(f".{folder.name}-*")):
                    raise
                time.sleep(_PAUSE_S)
        return cls._read(folder)

    @classmethod
    def _read(cls, folder: Path) -> Bundle:
        info, sha256 = _read_info(folder)
        files = {name: _read_verified(folder / name, info.sha256[name]) for name in FILES}
        arrays = _read_arrays(folder / "clusters.npz", files["clusters.npz"])
        return cls(
            folder=folder,
            info=info,
            clusters=Clusters(arrays["mean"], arrays["covariance"], arrays["counts"]),
            mixture=Mixture(arrays["pi"], arrays["mu"], arrays["sigma"]),
            reference_latent=arrays["reference_latent"],
            sha256=sha256,
            encoder_model=files["encoder.tflite"],
            decoder_model=files["decoder.tflite"],
            members=Members(*(arrays[name] for name in MEMBERS)) if MEMBERS[0] in arrays else None,
        )

    def encoder(self, n_threads: int | None = None) -> Encoder:
        """Return a new encoder for this bundle's energies."""
        return Encoder(self.encoder_model, n_threads)

    def decoder(self, n_threads: int | None = None) -> Network:
        """Return a new decoder, from latent coordinates to optical densities."""
        return Network(self.decoder_model, n_threads)

    @property
    def landmarks(self) -> Landmarks:
        """Return the clusters, points and references that latent coordinates are compared with."""
        return Landmarks(self.clusters, self.reference_latent, self.members)

    def check_fits(
        self, energies_ev: Sequence[float], phase_names: Sequence[str], tolerance_ev: float
    ) -> None:
        """Refuse a scan whose energies or phases are not those the model was trained for.

        Raises
        ------
        BundleError
            Naming the energy or the phases, with what was expected.
        """
        if tuple(phase_names) != self.info.phase_names:
            raise BundleError(
                f"bundle {self.folder}: trained for the phases {_listed(self.info.phase_names)}, "
                f"the recipe has {_listed(phase_names)}; train one for this recipe"
            )
        trained = np.asarray(self.info.energies_ev)
        scanned = np.asarray(energies_ev, dtype=np.float64)
        problem = _energy_mismatch(trained, scanned, tolerance_ev)
        if problem:
            raise BundleError(
                f"bundle {self.folder}: {problem}; scan the bundle's energies, or write these into "
                "a recipe and train one"
            )


def references_fingerprint(references: ReferenceSpectra, energies_ev: Sequence[float]) -> str:
    """SHA-256 over phase names, energies and the references there, to six digits."""
    digest = hashlib.sha256(repr(tuple(references.phase_names)).encode())
    for table in (np.asarray(energies_ev, dtype=np.float64), references.at(energies_ev)):
        digest.update(",".join(f"{value:.6g}" for value in table.ravel()).encode())
    return digest.hexdigest()


def write_bundle(
    folder: str | Path,
    info: BundleInfo,
    models: Mapping[str, bytes],
    arrays: Mapping[str, NDArray[np.generic]],
    *,
    force: bool = False,
) -> Bundle:
    """Write a bundle at once: a reader finds the old folder or the new one, never a half.

    Parameters
    ----------
    info : BundleInfo
        Its ``sha256`` is filled in here.
    models : mapping of str to bytes
        ``encoder.tflite`` and ``decoder.tflite``.
    arrays : mapping of str to ndarray
        For ``clusters.npz``: all of `ARRAYS`, and perhaps `MEMBERS`.
    force : bool
        Replace a bundle that is there.

    Raises
    ------
    FileExistsError
        If there is something in the folder and ``force`` does not apply.
    """
    folder = Path(folder)
    refuse_to_overwrite(folder, force=force)
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    files = {**models, "clusters.npz": buffer.getvalue()}
    hashes = {name: _sha256(files[name]) for name in FILES}
    info = info.model_copy(update={"head": None, "sha256": hashes})
    document = {"fingerprint": info.fingerprint(), **info.document()}
    files[DESCRIPTION] = (json.dumps(document, indent=1) + "\n").encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    return Bundle.load(folder)


def refuse_to_overwrite(folder: str | Path, *, force: bool) -> None:
    """Raise FileExistsError if writing a bundle there would destroy something.

    Even with ``force`` only a bundle or an empty folder is replaced.
    """
    folder = Path(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / DESCRIPTION).is_file():
        raise FileExistsError(f"{folder} exists and is no bundle; choose another folder")
    if not force:
        raise FileExistsError(
            f"{folder} holds a bundle already; choose another folder, or replace it with --force"
        )


def training_advice(recipe: Recipe) -> str:
    """Return the command that trains a bundle for a recipe, and the time it takes."""
    name = recipe.name if recipe.name in shipped_recipes() else "RECIPE.toml"
    return (
        f"stxm-live train --recipe {name} --simulated 60000 --out bundle "
        "(about 5 minutes on two cores)"
    )


def _read_info(folder: Path) -> tuple[BundleInfo, str]:
    """Content and hash of ``bundle.json``."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise BundleError(f"{folder} is no bundle: {DESCRIPTION} is missing; {TRAIN_AGAIN}")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        claimed = document.pop("fingerprint")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise BundleError(f"{path} is not what stxm-live train writes; {TRAIN_AGAIN}") from None
    version = document.get("format_version")
    if version != 1:
        raise BundleError(
            f"{path}: format version {version!r} is unknown to this stxm_live (it reads 1); "
            "update stxm_live or train the bundle again with stxm-live train"
        )
    try:
        info = BundleInfo.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"{path}: {where}: {first['msg']}; {TRAIN_AGAIN}") from None
    if info.fingerprint() != claimed or not set(info.sha256) >= set(FILES):
        raise BundleError(f"{path} was changed after training; {TRAIN_AGAIN}")
    return info, claimed


def _read_verified(path: Path, sha256: str) -> bytes:
    if not path.is_file():
        raise BundleError(f"{path} is missing; {TRAIN_AGAIN}")
    content = path.read_bytes()
    if _sha256(content) != sha256:
        raise BundleError(
            f"{path} is not the file that was trained (SHA-256 differs); {TRAIN_AGAIN}"
        )
    return content


def _read_arrays(path: Path, content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``clusters.npz``; nothing in it is ever unpickled."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            names = (*ARRAYS, *(name for name in MEMBERS if name in stored))
            return {name: stored[name] for name in names}
    except (KeyError, ValueError, BadZipFile) as error:
        raise BundleError(f"{path} cannot be read ({error}); {TRAIN_AGAIN}") from None


def _energy_mismatch(
    trained: NDArray[np.float64], scanned: NDArray[np.float64], tolerance_ev: float
) -> str | None:
    """Return the first energy that does not fit, in words."""
    for energy in trained:
        nearest = scanned[np.abs(scanned - energy).argmin()] if scanned.size else np.inf
        if abs(nearest - energy) > 0.5:
            return f"trained with {energy:g} eV, the scan has no such energy"
        if abs(nearest - energy) > tolerance_ev:
            return (
                f"trained at {energy:g} eV, the scan is off by {nearest - energy:+.3g} eV "
                f"(tolerance {tolerance_ev:g} eV)"
            )
    if len(scanned) != len(trained):
        distance = np.abs(scanned[:, None] - trained).min(axis=1)
        extra = scanned[distance.argmax()]
        return (
            f"trained with {len(trained)} energies, the scan has {len(scanned)}, among them "
            f"{extra:g} eV"
        )
    if np.abs(scanned - trained).max() > tolerance_ev:
        return "the energies of the scan are in another order than the bundle's, which ascend"
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
