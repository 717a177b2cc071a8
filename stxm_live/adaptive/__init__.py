"""What to measure next: energies that a scan may skip, regions that are worth a scan."""
