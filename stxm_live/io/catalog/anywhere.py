"""A catalogue wherever it is: a folder, a Tiled server, or a profile of Tiled."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stxm_live.io.catalog.folder import default_folder, open_catalog
from stxm_live.io.catalog.index import DATABASE

if TYPE_CHECKING:
    import databroker

_SPEC = "CatalogOfBlueskyRuns"

_PROFILE_NAME = re.compile(r"[\w.-]+")


def is_url(where: str | Path | None) -> bool:
    """Return True for the address of a server."""
    return str(where).startswith(("http://", "https://"))


def is_server(where: str | Path | None) -> bool:
    """Return True for the address of a server or the name of a Tiled profile."""
    name = str(where)
    if where is None or is_url(where) or Path(name).exists() or not _PROFILE_NAME.fullmatch(name):
        return is_url(where)
    from tiled.profiles import list_profiles

    return name in list_profiles()


def folder_only(where: str | None) -> Path | None:
    """Return the folder of a catalogue that a command can keep only there.

    Raises
    ------
    ValueError
        For the address of a server.
    """
    if is_url(where):
        raise ValueError(f"--catalog {where}: this command keeps its catalogue in a folder")
    return None if where is None else Path(where)


def embedded_folder(where: str | Path | None) -> Path | None:
    """Return the folder if there is an embedded catalogue in it, and None for what is elsewhere."""
    folder = default_folder() if where is None else Path(where).expanduser()
    return folder if not is_url(where) and (folder / DATABASE).is_file() else None


def open_anywhere(
    where: str | Path | None = None,
    *,
    image_roots: Sequence[str | Path] = (),
    create: bool = False,
) -> databroker.Broker:
    """Open the catalogue in a folder, at an address or of a Tiled profile.

    The key of a server comes from TILED_API_KEY, or from the profile or an earlier login of Tiled.
    A server reads image files from its own folders; ``image_roots`` are for a folder.

    Raises
    ------
    FileNotFoundError
        If there is no catalogue in the folder, and no profile of that name.
    OSError
        If the server does not answer.
    ValueError
        If the address holds a key or a password, which others could read.
    """
    if is_url(where):
        return _at_address(str(where))
    if is_server(where):
        return _of_profile(str(where))
    return open_catalog(where, image_roots=image_roots, create=create)


def bluesky_catalog(client: Any) -> Any:
    """Return a Tiled client that finds runs by uid, scan_id and start document.

    Roots of a plain server do not say that they hold runs of Bluesky; those in it do.
    """
    from bluesky_tiled_plugins import CatalogOfBlueskyRuns

    if isinstance(client, CatalogOfBlueskyRuns):
        return client
    item = copy.deepcopy(client.item)
    item["attributes"].setdefault("specs", []).append({"name": _SPEC, "version": "3.0"})
    return CatalogOfBlueskyRuns(
        client.context, item=item, structure_clients=client.structure_clients
    )


def _at_address(url: str) -> databroker.Broker:
    from tiled.client import from_uri

    parts = urlsplit(url)
    if "api_key" in parts.query or parts.password or parts.username:
        raise ValueError(
            "an address with a key or a password is not opened, because others can read it; set "
            "TILED_API_KEY or use a profile of Tiled"
        )
    return _broker(url, lambda: from_uri(url))


def _of_profile(name: str) -> databroker.Broker:
    from tiled.client import from_profile

    return _broker(f"of profile {name!r}", lambda: from_profile(name))


def _broker(named: str, connect: Callable[[], Any]) -> databroker.Broker:
    from databroker import Broker

    try:
        client = connect()
    except Exception as error:  # noqa: BLE001  of several libraries, also for a login that fails
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OSError(
            f"the Tiled server {named} cannot be read ({reason}); is its address right, and "
            "TILED_API_KEY set?"
        ) from None
    return Broker(bluesky_catalog(client))
