"""Files of other beamlines, as MANTiS 3.3 opens them and as stxm_live does.

python -m benchmarks.peers.beamline_files [FOLDER]

MANTiS is installed into an environment of its own (GPL: never imported by the package). It exits
with 1 if MANTiS opens a stack that stxm_live refuses. Where the numbers differ, a mark says so:
stxm_live takes the energies that the images of MAX IV note, and the axes of SSRF by its positions.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.peers.mantis_environment import mantis_python
from stxm_live.io.catalog.document_files import is_document_file, runs_in_file
from stxm_live.io.files import read_stack
from stxm_live.live.replay import stack_of_run

SIDE = Path(__file__).with_name("beamline_files_side.py")
BEAMLINES = Path(__file__).parents[3] / "shared" / "data" / "beamlines"
REFUSED = "  <- refused here"


def main() -> None:
    """Print a line for each file."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else BEAMLINES
    # images belong to their header
    files = [f for f in sorted(folder.iterdir()) if f.suffix not in (".md", ".xim")]
    done = subprocess.run(
        [str(mantis_python()), str(SIDE), *map(str, files)],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    theirs = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "{"]
    lacking = 0
    print(f"{'file':42} {'MANTiS 3.3':44} stxm_live")
    for file, their in zip(files, theirs, strict=True):
        our = ours(file)
        differ = difference(their, our)
        lacking += differ == REFUSED
        print(f"{file.name:42} {said(their):44} {said(our)}{differ}")
    print(f"stacks that MANTiS opens and stxm_live refuses: {lacking}")
    sys.exit(bool(lacking))


def ours(file: Path) -> dict[str, object]:
    """What stxm_live finds, as `beamline_files_side.py` says it."""
    try:
        is_documents = is_document_file(file)
        stack = stack_of_run(list(runs_in_file(file))) if is_documents else read_stack(file)
    except (ValueError, OSError) as error:
        return {"error": str(error).replace(str(file.parent) + "/", "")[:90]}
    counts = stack.intensity()
    return {
        "shape": list(counts.shape),
        "energies": list(stack.energies_ev),
        "means": [float(m) for m in np.nanmean(counts, axis=(1, 2), dtype=float)],
    }


def difference(their: dict[str, object], our: dict[str, object]) -> str:
    """What is worse here, or nothing."""
    if "error" in their or min(their["shape"]) < 2:  # an image or a line is no stack
        return ""
    if "error" in our:
        return REFUSED
    if their["shape"] != our["shape"]:
        return "  <- another shape"
    same = np.allclose(their["energies"], our["energies"], atol=0.01)
    ratio = np.divide(their["means"], our["means"])
    return "" if same and np.allclose(ratio, ratio[0], rtol=1e-3) else "  <- other numbers"


def said(answer: dict[str, object]) -> str:
    """An answer in a few words."""
    if "error" in answer:
        return f"no: {str(answer['error'])[:60]}"
    means = ", ".join(f"{m:.5g}" for m in answer["means"][:4])
    return f"{' x '.join(map(str, answer['shape']))}, means {means}"


if __name__ == "__main__":
    main()
