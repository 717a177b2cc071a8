"""What accuracy, speed and robustness are, measured; run as ``python -m benchmarks.speed.live``."""

import sys
from pathlib import Path

# simulated fields, streams and servers are those of the tests
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
