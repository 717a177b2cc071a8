import made_up_maps as made_up
import numpy as np
import pytest

MAPS = made_up.maps(find_amounts=made_up.amounts)


def test_a_table_has_a_row_for_each_specimen_pixel_and_a_column_for_each_phase_and_energy():
    table = MAPS.to_dataframe()

    assert len(table) == (MAPS.specimen & MAPS.valid).sum()
    row, column = table.index[10]
    pixel = table.loc[row, column]
    assert pixel["resolved_index"] == MAPS.resolved_index[row, column]
    k = MAPS.phase_names.index("Na2VPF")
    assert pixel["correlation Na2VPF"] == MAPS.correlation[k, row, column]
    assert pixel["composition Na2VPF"] == MAPS.amounts.composition[k, row, column]
    first_ev = MAPS.energies_ev[0]
    assert pixel[f"od {first_ev:g} eV"] == MAPS.od[0, row, column]
    data = MAPS.to_xarray()
    assert (pixel["y_um"], pixel["x_um"]) == (data["y"][row], data["x"][column])


def test_the_values_of_an_index_are_named_as_climate_and_forecast_conventions_ask():
    index = MAPS.to_xarray()["resolved_index"]
    names = dict(zip(index.attrs["flag_values"], index.attrs["flag_meanings"].split(), strict=True))
    assert names == {-1: "none", **dict(enumerate(MAPS.phase_names))}
    assert "flag_values" not in MAPS.to_xarray()["reliability"].attrs


def test_a_signal_for_hyperspy_has_energy_as_its_last_axis():
    signal = MAPS.to_hyperspy()

    ny, nx = MAPS.specimen.shape
    assert signal["data"].shape == (ny, nx, len(MAPS.energies_ev))
    np.testing.assert_array_equal(signal["data"][3, 4], MAPS.od[:, 3, 4])
    y, x, energy = signal["axes"]
    assert (y["name"], x["name"], energy["name"]) == ("y", "x", "Energy")
    np.testing.assert_allclose(energy["axis"], MAPS.energies_ev)
    _, x1, *_ = MAPS.extent_um
    assert x["offset"] + x["scale"] * (nx - 1) == pytest.approx(x1)
