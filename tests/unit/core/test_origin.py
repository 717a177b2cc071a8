import pytest

from stxm_live.core.origin import Origin, identity, iso_of_seconds, origin_of_start

LFP = Origin("LFP 3", "2007-12-14T18:52:00", "71214078.hdr", "ab" * 32)


def test_a_run_is_of_the_day_when_its_file_was_measured():
    start = {"time": 1.8e9, "sample": "LFP 3", "measured": LFP.measured, "source_file": LFP.file}
    origin = origin_of_start(start)
    assert (origin.sample, origin.when, origin.file) == ("LFP 3", "2007-12-14 18:52", LFP.file)


def test_the_day_of_the_import_is_no_day_of_a_measurement():
    assert origin_of_start({"time": 1.8e9, "plan_name": "import"}) == Origin()


def test_a_live_run_is_of_the_time_of_its_start():
    assert origin_of_start({"time": 1.2e9}).measured == iso_of_seconds(1.2e9) != ""


@pytest.mark.parametrize(
    ("start", "sample"),
    [
        ({"sample": {"name": "LFP 3"}}, "LFP 3"),
        ({"sample_name": "LFP 3"}, "LFP 3"),
        ({"sample": "LFP\n\x1b[31m3"}, "LFP \\x1b[31m3"),
        ({"sample": ["LFP"], "time": "yesterday"}, ""),
        ({"sample": "x" * 1000, "time": float("nan")}, "x" * 80),
    ],
)
def test_a_sample_is_one_printable_line_whatever_the_document_holds(start, sample):
    assert origin_of_start(start) == Origin(sample)


def test_a_result_names_sample_time_dwell_recipe_and_version():
    provenance = {
        "origin": {"sample": "LFP 3", "measured": LFP.measured, "file": LFP.file, "other": 1},
        "recipe": "fe",
        "recipe_sha256": "7cd2ca85" * 8,
        "version": "0.1.0",
    }
    words = "sample LFP 3, measured 2007-12-14 18:52, 1 ms a pixel, recipe fe 7cd2ca85, "
    assert identity(provenance, dwell_ms=1.0, source=LFP.file) == f"{words}stxm_live 0.1.0"
    assert LFP.file in identity(provenance, dwell_ms=1.0)


def test_a_result_of_an_earlier_version_that_names_nothing_has_no_identity():
    assert identity({}, dwell_ms=None) == ""
