"""Curves of a picture on a light ground: dark enough to be seen, while maps stay as they are."""

import made_up_maps as made_up
import numpy as np
from matplotlib.colors import to_hex, to_rgba_array

from stxm_live.plotting.panels.maps import draw_od_image
from stxm_live.plotting.panels.spectra import draw_spectra
from stxm_live.plotting.pictures import agg_figure
from stxm_live.plotting.style.lighten import lighten
from stxm_live.plotting.style.palette import GROUND, INK, phase_colors


def luminance(colors):
    rgb = to_rgba_array(colors)[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def test_curves_are_light_and_seen_and_maps_stay_dark():
    maps = made_up.maps()
    figure = agg_figure((8, 4))
    over_map, curves = figure.subplots(1, 2)
    draw_od_image(over_map, maps.od[4], maps.extent_um, maps.energies_ev[4])
    mean = np.nanmean(maps.od[:, maps.specimen], axis=1)
    colors = phase_colors(maps.phase_names)
    draw_spectra(
        curves, maps.energies_ev, mean, maps.reference_od, maps.phase_names, colors, latest=2
    )
    lighten(figure)
    assert to_hex(over_map.get_facecolor()) == GROUND
    assert to_hex(curves.get_facecolor()) == "#ffffff"
    drawn = [line.get_color() for line in curves.lines]
    assert (luminance(drawn) <= 0.31).all()  # 3 to 1 with white
    assert INK in map(to_hex, drawn)  # the specimen's own, white on the dark ground
    legend = [handle.get_color() for handle in curves.get_legend().legend_handles]
    assert (luminance(legend) <= 0.31).all()
    lighten(figure)
    assert [line.get_color() for line in curves.lines] == drawn
