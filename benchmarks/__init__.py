"""What accuracy, speed and robustness are, measured; run as ``python -m benchmarks.speed.live``."""
