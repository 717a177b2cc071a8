import csv
from dataclasses import replace

import made_up_maps as made_up
import numpy as np
import pytest

from stxm_live.io.results import write_csv


@pytest.fixture
def maps():
    return made_up.maps(shape=(12, 15))


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_the_tables_hold_fractions_spectra_and_images(maps, tmp_path):
    files = write_csv(maps, tmp_path / "new")
    assert [path.name for path in files] == ["fractions.csv", "spectra.csv", "images.csv"]

    fractions = rows_of(files[0])
    for row, (name, share, resolved) in zip(fractions, maps.summary(), strict=False):
        assert row["phase"] == name
        assert float(row["share_by_correlation"]) == pytest.approx(share, abs=1e-6)
        assert float(row["share_resolved"]) == pytest.approx(resolved, abs=1e-6)
    assert float(fractions[-1]["share_by_correlation"]) == pytest.approx(
        maps.ambiguous_share, abs=1e-6
    )
    x0, x1, y0, y1 = maps.extent_um
    pixel_um2 = abs((x1 - x0) / 14 * (y1 - y0) / 11)
    area_um2 = pixel_um2 * (maps.phase_index == 2).sum()
    assert float(fractions[2]["area_um2"]) == pytest.approx(area_um2)
    spectra = rows_of(files[1])
    assert [float(row["energy_ev"]) for row in spectra] == list(maps.energies_ev)
    mean = maps.od[:, maps.resolved_index == 3].mean(axis=1)
    got = [float(row["Na1VPF mean_od"]) for row in spectra]
    np.testing.assert_allclose(got, mean, rtol=1e-5)
    assert len(rows_of(files[2])) == 13


def test_what_was_not_identified_has_its_mean_and_errors_among_the_spectra(maps, tmp_path):
    unknown = maps.specimen & (np.arange(15) > 7)
    maps = replace(maps, unidentified=unknown, dispersion=1.0)
    rows = rows_of(write_csv(maps, tmp_path)[1])
    found = maps.unidentified_spectrum
    for column, values in (
        ("mean_od", maps.od[:, unknown].mean(axis=1)),
        ("std_error_od", found.od_std),
        ("scatter_od", found.od_scatter),
    ):
        got = [float(row[f"(not identified) {column}"]) for row in rows]
        np.testing.assert_allclose(got, values, rtol=1e-5)
    none = replace(maps, unidentified=np.zeros_like(unknown))
    assert not any("identified" in c for c in rows_of(write_csv(none, tmp_path)[1])[0])


def test_the_table_of_pixels_has_a_row_for_each_specimen_pixel(maps, tmp_path):
    rows = rows_of(write_csv(maps, tmp_path, pixels=True)[-1])
    assert len(rows) == maps.specimen.sum()
    row = rows[17]
    y, x = int(row["row"]), int(row["column"])
    assert (y, x) == tuple(np.argwhere(maps.specimen)[17])
    assert row["phase_index"] == maps.phase_names[maps.phase_index[y, x]]
    assert float(row["od 505 eV"]) == pytest.approx(float(maps.od[0, y, x]), rel=1e-5)
    assert float(row["correlation Na2VPF"]) == pytest.approx(float(maps.correlation[2, y, x]))
    assert float(row["y_um"]) == pytest.approx(-1.0 - 1.18 * y / 11)


def test_the_table_of_pixels_has_the_corrected_phase_where_there_is_one(maps, tmp_path):
    other = np.where(maps.specimen, 2, -1).astype(np.int8)
    rows = rows_of(write_csv(replace(maps, corrected_index=other), tmp_path, pixels=True)[-1])
    assert {row["corrected_index"] for row in rows} == {maps.phase_names[2]}
    assert "corrected_index" not in rows_of(write_csv(maps, tmp_path, pixels=True)[-1])[0]


def test_the_first_lines_tell_verdict_warnings_and_synthetic_references(maps, tmp_path):
    remarks = [
        line
        for line in write_csv(maps, tmp_path)[0].read_text().splitlines()
        if line.startswith("#")
    ]
    text = "\n".join(remarks)
    assert "quality limited: the closest references" in text
    assert "SYNTHETIC references" in text
    assert "note: 518.3 eV: 4 pixels without counts" in text


def test_names_cannot_become_formulas_lines_or_remarks(maps, tmp_path):
    names = ('=HYPERLINK("http://x")', "+A1", "a,b", 'q"uote', "two\nlines")
    hostile = replace(maps, phase_names=names, warnings=("one\nphase,1,2",))
    rows = rows_of(write_csv(hostile, tmp_path)[0])
    assert [row["phase"] for row in rows[:4]] == ['\'=HYPERLINK("http://x")', "'+A1", *names[2:4]]
    assert len(rows) == 6


def test_a_phase_nobody_has_gets_empty_fields(maps, tmp_path):
    without = replace(
        maps, resolved_index=np.where(maps.resolved_index == 2, 1, maps.resolved_index)
    )
    row = rows_of(write_csv(without, tmp_path)[1])[0]
    assert row["Na2VPF mean_od"] == ""
    assert row["Na2VPF reference_od"]
