"""Damaged files of every reader; the long run is `python -m benchmarks.robustness.files`."""

import h5py
import numpy as np
import pytest
from spoilt_files import gone_through

from stxm_live.io.files import read_stack


def test_no_damaged_file_ends_the_process_or_a_command_with_a_traceback(tmp_path):
    counts, faults, _ = gone_through(tmp_path, seed=3, n_files=96)
    assert faults == []
    assert counts["read"] > 0
    assert counts["refused"] > 0


def test_a_truncated_file_of_the_latest_format_is_refused_at_once(tmp_path):
    path = tmp_path / "s.hdf5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_group("entry0")["definition"] = [b"NXstxm"]
        file["entry0/counts"] = np.zeros(1000)
    path.write_bytes(path.read_bytes()[:1200])
    with pytest.raises(ValueError, match="truncated file"):
        read_stack(path)
