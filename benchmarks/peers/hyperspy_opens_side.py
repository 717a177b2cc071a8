"""Runs inside the environment of HyperSpy: open a result, and make a signal of keywords.

python hyperspy_opens_side.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import hyperspy.api as hs
import numpy as np


def main() -> None:
    """Print one line of JSON with what was opened."""
    folder = Path(sys.argv[1])
    signals = hs.load(folder / "maps.nxs")
    od = next(s for s in signals if s.metadata.General.title == "od")
    keywords, arrays = (
        json.loads((folder / "keywords.json").read_text()),
        np.load(folder / "keywords.npz"),
    )
    keywords["axes"][-1]["axis"] = arrays["ev"]
    signal = hs.signals.Signal1D(arrays["od"], **keywords)
    found = {
        "n_signals": len(signals),
        "title": signal.metadata.General.title,
        "sum_of_file": float(np.nansum(od.data, dtype=np.float64)),
        "sum_of_keywords": float(np.nansum(signal.data, dtype=np.float64)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
