"""Open and close the catalogue in a folder: SQLite and zarr, no server, no socket."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stxm_live.io.catalog.door import Door, Doorkeeper
from stxm_live.io.catalog.index import DATABASE, TABLES
from stxm_live.io.catalog.locking import prepare_tables, require_writable
from stxm_live.io.catalog.relocation import relocate
from stxm_live.io.catalog.version import require_version, write_version

if TYPE_CHECKING:
    import databroker

logger = logging.getLogger("stxm_live")

_PACKAGES = ("bluesky_tiled_plugins.exporters", "databroker", "tiled.catalog", "tiled.server.app")

_CLOSE_STREAM = "/api/v1/stream/close/"
_DATA = "data"


def default_folder() -> Path:
    """Return the folder in the user's data directory where runs are kept by default."""
    from platformdirs import user_data_path

    return user_data_path("stxm_live") / "catalog"


def open_catalog(
    path: str | Path | None = None,
    *,
    image_roots: Sequence[str | Path] = (),
    create: bool = True,
) -> databroker.Broker:
    """Open the catalogue in a folder, or make it if there is none.

    Importing Tiled takes some seconds the first time in a process. Close the catalogue with
    `close_catalog` when done. The folder may have been copied or moved since it was written. If
    it cannot be written, the catalogue is opened for reading: its tables, without the arrays, are
    copied to a temporary folder, and every attempt to store or delete is an error.

    Parameters
    ----------
    path : path-like, optional
        The catalogue's folder; default is `default_folder`.
    image_roots : sequence of path-like
        Folders of image files that runs refer to; Tiled reads image files only in these.
    create : bool
        If False, a folder without a catalogue is an error, and nothing is created.

    Returns
    -------
    databroker.Broker
        ``broker[-1]``, ``broker[scan_id]``, ``broker["3f2a91"]``, ``broker(sample="NVPF")``;
        ``broker.v2`` is the Tiled client.

    Raises
    ------
    FileNotFoundError
        If there is no catalogue and ``create`` is False.
    OSError
        If there is no catalogue and the folder cannot be created or written.
    ImportError
        If the packages of the extra ``catalog`` are not installed.
    """
    _require_packages()
    folder = Path(path) if path is not None else default_folder()
    folder = folder.expanduser().resolve()
    exists = (folder / DATABASE).exists()
    require_version(folder)
    if not create and not exists:
        raise FileNotFoundError(f"no catalogue in {folder}; stxm-live import makes one")
    try:
        require_writable(folder)
    except OSError:
        if not exists:
            raise
        _import_packages()
        return _open_for_reading(_plain(folder), image_roots)
    _import_packages()
    folder = _plain(folder)
    if not exists:
        _create_database(folder)
    _prepare(folder, folder)
    write_version(folder)
    with damage_named(folder):
        return _connect(folder, image_roots)


def _require_packages() -> None:
    """Raise an ImportError that says what to install if there is no Tiled for a catalogue."""
    if find_spec("tiled") is None or find_spec("bluesky_tiled_plugins") is None:
        raise ImportError(
            "a catalogue in a folder needs Tiled and databroker 2; "
            'pip install "stxm-live[catalog]". '
            "Where databroker 1 has to stay, map_run takes its headers without this"
        )


def _import_packages() -> None:
    """Import Tiled and databroker without a search for garbage among half a million new objects.

    Python makes seven of them, a third of the time until a catalogue is open. It counts as enabled
    meanwhile: Dask asks for that when it is imported, and would leave it off at each later read.
    """
    thresholds = gc.get_threshold()
    if not thresholds[0] or all(name in sys.modules for name in _PACKAGES):
        return
    gc.set_threshold(0)
    try:
        for name in _PACKAGES:
            import_module(name)
    finally:
        if not gc.get_freeze_count():
            gc.freeze()  # the new objects count as old ones, without a look at them
            gc.unfreeze()
        gc.set_threshold(*thresholds)


def _plain(folder: Path) -> Path:
    """Return a folder, or a link to it without the signs that Tiled takes for parts of a URI."""
    if not any(sign in str(folder) for sign in "#?%"):
        return folder
    from platformdirs import user_cache_path

    name = sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    link = user_cache_path("stxm_live") / "catalogues" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        with suppress(FileExistsError):  # another process was first
            link.symlink_to(folder)
    return link


def close_catalog(broker: databroker.Broker) -> None:
    """End the catalogue's threads and close its files; the broker cannot be used afterwards."""
    broker.v2.context.close()
    copies = getattr(broker, "stxm_live_copies", None)
    if copies is not None:
        copies.cleanup()


def catalog_folder(broker: databroker.Broker) -> Path | None:
    """Return the folder of an open embedded catalogue, or None for one on a server."""
    folder = getattr(broker, "stxm_live_folder", None)
    return folder if isinstance(folder, Path) else None


def require_same(broker: databroker.Broker) -> None:
    """Raise OSError if the files of an embedded catalogue are no longer those that were opened.

    What is written then is in files without a name, or in a folder under the mount point.
    """
    for path, identity in getattr(broker, "stxm_live_files", {}).items():
        if _identities(path.parent).get(path) != identity:
            raise OSError(
                f"{path} is not the file that was opened: its folder was moved or unmounted, or "
                "it was replaced; put it back, and open the catalogue again if that fails"
            )


def _identities(databases: Path) -> dict[Path, tuple[int, int]]:
    """Return the numbers by which the system knows the files of a catalogue, of those there are."""
    found = {}
    for path in (databases / DATABASE, databases / TABLES):
        with suppress(OSError):
            state = path.stat()
            found[path] = (state.st_dev, state.st_ino)
    return found


def wait_before_closing(broker: databroker.Broker, is_done: Callable[[], bool]) -> None:
    """Let an embedded catalogue close only when this function returns True."""
    door = getattr(broker, "stxm_live_door", None)
    if isinstance(door, Door):
        door.wait_for(is_done)


def kept_open(broker: databroker.Broker) -> AbstractContextManager[None]:
    """Keep an embedded catalogue open for what is done within.

    Raises
    ------
    CatalogClosedError
        If it is closed, as at the end of the interpreter.
    """
    door = getattr(broker, "stxm_live_door", None)
    return door.inside() if isinstance(door, Door) else nullcontext()


def _prepare(folder: Path, databases: Path) -> None:
    """Make the databases fit for use, wherever the folder is now."""
    with damage_named(folder):
        prepare_tables(databases / TABLES)
        relocate(databases / DATABASE, data=folder / _DATA, tables=databases / TABLES)


@contextmanager
def damage_named(folder: Path | None) -> Iterator[None]:
    """Raise an error of a catalogue's database, or of Tiled's use of it, as one that says more.

    Raises
    ------
    OSError
        With the folder, and what to do.
    """
    try:
        yield
    except Exception as error:
        is_of_tiled = type(error).__module__.partition(".")[0] == "sqlalchemy"
        if not is_of_tiled and not isinstance(error, sqlite3.DatabaseError | JSONDecodeError):
            raise
        raise _damaged(folder, str(error).partition("\n")[0]) from error


def _damaged(folder: Path | None, reason: object) -> OSError:
    where = "on the server" if folder is None else f"in {folder}"
    return OSError(
        f"the catalogue {where} is damaged ({reason}): put back a copy of {DATABASE} and "
        f"{TABLES}, or name another folder and restore runs from their backup files"
    )


def _open_for_reading(folder: Path, image_roots: Sequence[str | Path]) -> databroker.Broker:
    """Open a catalogue that cannot be written, through a copy of its tables."""
    copies = tempfile.TemporaryDirectory(prefix="stxm-live-catalog-")
    here = Path(copies.name)
    for file in folder.glob("*.db*"):
        shutil.copyfile(file, here / file.name)
    _prepare(folder, here)
    logger.warning("%s cannot be written: its catalogue is opened for reading only", folder)
    with damage_named(folder):
        return _connect(folder, image_roots, copies)


def _create_database(folder: Path) -> None:
    """Make an empty catalogue under another name, then rename it, so that no half-made one stays.

    Tiled's own ``init_if_not_exists`` starts a second Python for the same steps (14 s).
    The event loop runs on a thread of its own since a notebook has one already.
    """
    unfinished = folder / f"{DATABASE}.unfinished"
    unfinished.unlink(missing_ok=True)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(lambda: asyncio.run(_initialise(unfinished))).result()
    unfinished.replace(folder / DATABASE)


async def _initialise(database: Path) -> None:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy.ext.asyncio import create_async_engine
    from tiled.catalog.alembic_constants import ALEMBIC_DIR
    from tiled.catalog.core import initialize_database

    def stamp(connection: Any) -> None:
        MigrationContext.configure(connection).stamp(ScriptDirectory(ALEMBIC_DIR), "head")

    engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
    try:
        await initialize_database(engine)
        async with engine.begin() as connection:
            await connection.run_sync(stamp)
    finally:
        await engine.dispose()


class _NobodySubscribes:
    """Answer at once that a stream of writes is closed; Tiled takes a quarter of a store for it.

    Nobody can subscribe to the streams of a catalogue in this process, so there is nothing to end.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("method") == "DELETE" and scope["path"].startswith(_CLOSE_STREAM):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)


def _connected(app: Any, folder: Path) -> Any:
    """Return Tiled's connection to a catalogue in this process."""
    from tiled.alembic_utils import (
        DatabaseUpgradeNeeded,
        UninitializedDatabase,
        UnrecognizedDatabase,
    )
    from tiled.client import Context

    try:
        return Context.from_app(app, show_progress=False)
    except UninitializedDatabase as error:
        raise _damaged(folder, "it does not say its version") from error
    except (DatabaseUpgradeNeeded, UnrecognizedDatabase) as error:
        raise OSError(
            f"the catalogue in {folder} was written by another version of Tiled; copy it, and use "
            f'that version, or "tiled catalog upgrade-database sqlite+aiosqlite:///'
            f'{folder / DATABASE}" for an older one'
        ) from error


def _analyse_once(app: Any, context: Any) -> None:
    """Let FastAPI answer requests by what it found of Tiled's functions when it started.

    While there are overrides it looks at every function again at each request, a third of the time
    of a store. Tiled's only override gives the settings of this process, which it has changed
    already; it asks for it once more when it closes.
    """
    overrides = dict(app.dependency_overrides)
    app.dependency_overrides.clear()
    context.http_client.exit_stack.callback(app.dependency_overrides.update, overrides)


def _connect(
    folder: Path,
    image_roots: Sequence[str | Path],
    copies: tempfile.TemporaryDirectory[str] | None = None,
) -> databroker.Broker:
    from bluesky_tiled_plugins.exporters import json_seq_exporter
    from databroker import Broker
    from tiled.catalog import from_uri
    from tiled.client import from_context
    from tiled.media_type_registration import default_serialization_registry
    from tiled.server.app import build_app

    databases = folder if copies is None else Path(copies.name)
    # it greets on stderr as a server does; here it is a library
    logging.getLogger("tiled.server.app").setLevel(logging.WARNING)
    registry = copy.deepcopy(default_serialization_registry)
    registry.register("BlueskyRun", "application/json-seq", json_seq_exporter)
    door = Door()
    tree = from_uri(
        databases / DATABASE,
        specs=[{"name": "CatalogOfBlueskyRuns", "version": "3.0"}],
        writable_storage=[str(folder / _DATA), f"sqlite:///{databases / TABLES}"],
        readable_storage=[str(Path(root).expanduser().absolute()) for root in image_roots],
    )
    with warnings.catch_warnings():
        # starlette wants httpx2 for its test client, which Tiled talks to the catalogue with
        warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
        app = build_app(tree, serialization_registry=registry)
        app.add_middleware(_NobodySubscribes)
        app.add_middleware(Doorkeeper, door=door)
        context = _connected(app, folder)
    _analyse_once(app, context)
    context.http_client.exit_stack.callback(door.shut)  # the last one that is added is called first
    broker = Broker(from_context(context))
    broker.stxm_live_folder = folder
    broker.stxm_live_copies = copies
    broker.stxm_live_door = door
    broker.stxm_live_files = _identities(databases)
    return broker
