"""Bluesky documents turned into frames; other packages need no knowledge of documents."""

from stxm_live.io.documents.announced import Announced, DocumentShape, RunShape, announced
from stxm_live.io.documents.copies import Copied, copied, prepare_copies, snapshot
from stxm_live.io.documents.list_arrays import with_arrays
from stxm_live.io.documents.open_stacks import OpenStacks
from stxm_live.io.documents.paths import Roots
from stxm_live.io.documents.plan_energies import NoStackError
from stxm_live.io.documents.run import RunFrames
from stxm_live.io.documents.scan_order import ScanOrder
from stxm_live.io.documents.stack_frames import MAX_NOTES, StackFrames
from stxm_live.io.documents.streams import NewFrame

__all__ = [
    "MAX_NOTES",
    "Announced",
    "Copied",
    "DocumentShape",
    "NewFrame",
    "NoStackError",
    "OpenStacks",
    "Roots",
    "RunFrames",
    "RunShape",
    "ScanOrder",
    "StackFrames",
    "announced",
    "copied",
    "prepare_copies",
    "snapshot",
    "with_arrays",
]
