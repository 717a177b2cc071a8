"""A simulated microscope with a known truth: phantom, instrument and ophyd devices."""
