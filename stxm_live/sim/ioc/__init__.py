"""A simulated microscope behind EPICS Channel Access, with faults, for the devices."""

from stxm_live.sim.ioc.bench import Bench, Fault
from stxm_live.sim.ioc.records import MicroscopeRecords
from stxm_live.sim.ioc.server import ca_environment, run_server

__all__ = ["Bench", "Fault", "MicroscopeRecords", "ca_environment", "run_server"]
