import made_up_maps as made_up
import numpy as np
from matplotlib.text import Text

from stxm_live.plotting.exploration import unidentified_plate


def test_the_picture_of_unidentified_pixels_speaks_of_nothing_else():
    maps = made_up.maps()
    strange = np.zeros_like(maps.specimen)
    strange[25:35, 35:45] = True
    plate = unidentified_plate(made_up.maps(unidentified=strange))
    said = " ".join(text.get_text() for text in plate.figure.findobj(Text))
    assert "Pixels that no reference describes" in said
    assert "ambiguous" not in said
    assert "correlate almost equally" not in said
    assert len(plate.table.rows) == len(maps.energies_ev)
