import numpy as np
import pytest

from stxm_live.core.references import ReferenceSpectra

ENERGIES = np.array([510.0, 512.0, 514.0])
OD = np.array([[0.1, 1.0, 0.2], [0.1, 0.3, 0.9]])
STD = np.array([[0.01, 0.02, 0.04], [np.nan, np.nan, np.nan]])


def test_standard_errors_are_columns_of_the_file_and_no_phases(tmp_path):
    path = tmp_path / "references.csv"
    ReferenceSpectra(("a", "b"), ENERGIES, OD, od_std=STD).to_csv(path)
    assert path.read_text().splitlines()[0] == "energy_ev,a,b,a_std"
    found = ReferenceSpectra.from_csv(path)
    assert found.phase_names == ("a", "b")
    np.testing.assert_array_equal(found.od, OD)
    np.testing.assert_array_equal(found.od_std, STD)


def test_a_phase_may_end_in_std_if_it_is_nobodys_error(tmp_path):
    path = tmp_path / "references.csv"
    path.write_text("energy_ev,iron_std,b\n510,1,2\n512,3,1\n")
    found = ReferenceSpectra.from_csv(path)
    assert found.phase_names == ("iron_std", "b")
    assert found.od_std is None
    assert found.std_at([511.0]) is None


def test_errors_at_other_energies_are_interpolated_and_zero_where_not_known():
    found = ReferenceSpectra(("a", "b"), ENERGIES, OD, od_std=STD)
    np.testing.assert_allclose(found.std_at([511.0, 514.0]), [[0.015, 0.04], [0.0, 0.0]])
    np.testing.assert_allclose(found.corrected(1.0, 0.0).std_at([510.0]), [[0.015], [0.0]])


@pytest.mark.parametrize("std", [-STD, STD[:1], np.full_like(STD, np.inf)])
def test_errors_that_are_none_are_refused(std):
    with pytest.raises(ValueError, match="standard error"):
        ReferenceSpectra(("a", "b"), ENERGIES, OD, od_std=std)
