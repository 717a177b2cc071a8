"""Sound files with something else in them; the long run is in `benchmarks.robustness.layouts`."""

from mutated_files import headers_gone_through, structures_gone_through


def test_a_file_with_something_else_in_it_is_read_right_or_refused_in_words(tmp_path):
    counts, faults = structures_gone_through(tmp_path, seed=11, n=40)
    assert faults == []
    assert min(counts["read"], counts["refused"]) > 5


def test_a_header_with_other_words_is_read_or_refused_in_words(tmp_path):
    counts, faults = headers_gone_through(tmp_path, seed=11, n=80)
    assert faults == []
    assert min(counts["read"], counts["refused"]) > 5
