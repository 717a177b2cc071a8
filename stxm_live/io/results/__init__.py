"""Result files in NeXus, CSV and TIFF, all made from `PhaseMaps.to_xarray`."""

from stxm_live.io.results.nexus import read_nexus, write_nexus
from stxm_live.io.results.tables import write_csv
from stxm_live.io.results.tiff import write_tiff

__all__ = ["read_nexus", "write_csv", "write_nexus", "write_tiff"]
