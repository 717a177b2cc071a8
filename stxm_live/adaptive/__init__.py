"""Choice of the next measurement: energies that a scan may skip, and regions worth a scan."""
