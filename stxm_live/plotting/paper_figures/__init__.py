"""The figures of arXiv:2603.07666 for one's own runs and bundles, as PNG and CSV."""

from stxm_live.plotting.paper_figures.model import model_plates
from stxm_live.plotting.paper_figures.particles import ParticleMaps
from stxm_live.plotting.paper_figures.plate import Plate, Table, write_plates
from stxm_live.plotting.paper_figures.run import particle_plates, run_plates

__all__ = [
    "ParticleMaps",
    "Plate",
    "Table",
    "model_plates",
    "particle_plates",
    "run_plates",
    "write_plates",
]
