"""Pictures of an exploration without references, with their numbers as CSV files."""

from stxm_live.plotting.exploration.plates import exploration_plates, unidentified_plate

__all__ = ["exploration_plates", "unidentified_plate"]
