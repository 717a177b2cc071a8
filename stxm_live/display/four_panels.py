"""Former home of the panels of a result."""

from stxm_live.display.result_panels import METHODS, SYNTHETIC, mean_spectrum

__all__ = ["METHODS", "SYNTHETIC", "mean_spectrum"]
