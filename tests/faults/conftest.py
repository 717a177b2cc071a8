"""The streams of other tests, in a folder beside."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
