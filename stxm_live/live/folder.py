"""`LiveFolder`: maps of stacks that another program writes into a folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from stxm_live.core.recipe import Recipe
from stxm_live.io.files.growing import Document, GrowingStack, Signature
from stxm_live.io.files.growing_series import SingleImages
from stxm_live.io.files.reading import stack_files
from stxm_live.live.mapper import LivePhaseMapper
from stxm_live.live.polling import Polling

logger = logging.getLogger("stxm_live")

POLL_S = 0.5
"""Seconds between two looks into the folder: shared drives do not report their changes."""


class LiveFolder:
    """Map the stacks that are written into a folder, as a RunEngine's are mapped.

    Files that are there already are left alone until they change. What is only half written is
    waited for. Each stack is a run: the first images appear when they are complete, and the final
    maps are those of the finished file. Single images of one field at several energies are a
    stack, too; it ends with an image at an energy that it has.

    Parameters
    ----------
    folder : path-like
    recipe : Recipe
    pattern : str
        Pattern of the names of files to watch.
    region, detector, quantity : str, optional
        For files of several, as for `read_stack`.
    idle_timeout_s : float
        A stack without a new image for so long has ended.
    poll_s : float
        Seconds between two looks. With 0, nothing happens but in `look`.

    Attributes
    ----------
    live : LivePhaseMapper
        For sinks, `wait` and the dashboard.

    Examples
    --------
    >>> from stxm_live import Recipe
    >>> from stxm_live.live.folder import LiveFolder
    >>> watching = LiveFolder("/data/today", Recipe.load("nvpf"))  # doctest: +SKIP
    >>> watching.live.add_sink(on_maps=lambda maps: print(maps.quality))  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | Path,
        recipe: Recipe,
        *,
        pattern: str = "*",
        region: str | None = None,
        detector: str | None = None,
        quantity: str | None = None,
        idle_timeout_s: float = 900.0,
        poll_s: float = POLL_S,
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise NotADirectoryError(f"{folder}: not a folder")
        self.live = LivePhaseMapper(recipe, background=poll_s > 0)
        self._pattern, self._idle_timeout_s = pattern, idle_timeout_s
        self._options = {"region": region, "detector": detector, "quantity": quantity}
        self._before = {path: Signature.of(path) for path in self._files()}
        self._growing: dict[Path, GrowingStack] = {}
        self._single_images = SingleImages()
        self._single_s = time.monotonic()
        self._changed_s: dict[Path, float] = {}
        self._said: dict[Path, str] = {}
        self._polling = Polling(
            self.look, poll_s=poll_s, name="stxm-live-folder", on_error=self._report
        )
        self._polling.start()

    def look(self) -> None:
        """Look once for what is new in the folder, and pass it on."""
        for path in self._files():
            if path not in self._growing and Signature.of(path) == self._before.get(path):
                continue
            stack = self._growing.setdefault(path, GrowingStack(path, **self._options))
            now_s = time.monotonic()
            for document in stack.look():
                self._changed_s[path] = now_s
                self.live(*document)
            if stack.single is not None:
                self._single_s = now_s
                self._pass_on(self._single_images.add(path, stack.single))
            self._changed_s.setdefault(path, now_s)
            idle_s = now_s - self._changed_s[path]
            if stack.problem and idle_s > 10 and self._said.get(path) != stack.problem:
                self._said[path] = stack.problem
                logger.warning("not mapped: %s", stack.problem)
            if stack.is_open and idle_s > self._idle_timeout_s:
                self._pass_on(stack.end())
        if time.monotonic() - self._single_s > self._idle_timeout_s:
            self._pass_on(self._single_images.end())

    def close(self) -> None:
        """End what is still being written, finish its maps, and stop."""
        self._polling.stop()
        for stack in self._growing.values():
            self._pass_on(stack.end())
        self._pass_on(self._single_images.end())
        self.live.close()

    def __enter__(self) -> LiveFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pass_on(self, documents: Iterator[Document]) -> None:
        for document in documents:
            self.live(*document)

    def _files(self) -> list[Path]:
        try:
            return stack_files(self.folder, self._pattern)
        except OSError as error:
            logger.warning("%s cannot be looked into (%s)", self.folder, error)
            return []

    def _report(self, error: Exception) -> None:
        logger.error("the files in %s could not be followed", self.folder, exc_info=error)
