"""Files of other programs, read into stacks and documents and written from stacks."""

from stxm_live.io.files.documents import import_stack, stack_documents
from stxm_live.io.files.ncb import read_ncb, write_ncb
from stxm_live.io.files.nexus_export import write_nexus_stxm
from stxm_live.io.files.reading import read_mapped, read_nexus_stxm, read_stack
from stxm_live.io.files.sdf import read_sdf
from stxm_live.io.files.spectrum import read_spectrum

__all__ = [
    "import_stack",
    "read_mapped",
    "read_ncb",
    "read_nexus_stxm",
    "read_sdf",
    "read_spectrum",
    "read_stack",
    "stack_documents",
    "write_ncb",
    "write_nexus_stxm",
]
