"""Files of other programs, in and out of stacks and documents."""

from stxm_live.files.documents import import_stack, stack_documents
from stxm_live.files.nexus_stxm import read_nexus_stxm
from stxm_live.files.reading import read_stack, ring_current
from stxm_live.files.sdf import read_sdf, read_spectrum

__all__ = [
    "import_stack",
    "read_nexus_stxm",
    "read_sdf",
    "read_spectrum",
    "read_stack",
    "ring_current",
    "stack_documents",
]
