"""Slices show the planes they say, and colours where the masks are."""

import numpy as np

from ewval.core.show.slices import CAPTION, COLOURS, GAP, PANEL, Overlay, centre_of, draw_slices


def test_a_panel_shows_its_plane_and_its_mask():
    image = np.zeros((64, 64, 64), np.uint8)
    image[10] = 200
    mask = np.zeros((64, 64, 64), bool)
    mask[10, 32:, :] = True
    picture = np.asarray(
        draw_slices(image, [Overlay("image"), Overlay("seed", [("seed", mask)])], centre=(10 / 64, 0.75, 0.5))
    )
    assert picture.shape == (CAPTION + 3 * (PANEL + GAP), GAP + 2 * (PANEL + GAP), 3)
    plain = picture[CAPTION + 60 : CAPTION + PANEL, GAP : GAP + PANEL]
    assert (plain == 200).all()  # xy at z = 10
    left = GAP + PANEL + GAP
    masked = picture[CAPTION + 200, left + 100]
    assert masked[2] > masked[0]  # bluish, as the seed's colour is
    assert (picture[CAPTION + 60, left + 100] == 200).all()
    assert COLOURS["seed"][2] > COLOURS["seed"][0]


def test_heat_is_drawn_where_it_is():
    heat = np.zeros((64, 64, 64), np.float32)
    heat[:, :, 32:] = 1
    image = np.zeros((64, 64, 64), np.uint8)
    picture = np.asarray(draw_slices(image, [Overlay("doubt", heat=heat)], centre=(0.5, 0.5, 0.5)))
    row = picture[CAPTION + 100, GAP : GAP + PANEL].astype(int)
    assert row[20].sum() == 0
    assert row[230].sum() > 300


def test_the_centre_lies_in_the_mask():
    mask = np.zeros((10, 10, 10), bool)
    mask[2, 3, [1, 8, 9]] = True
    z, y, x = centre_of(mask)
    assert mask[int(z * 10), int(y * 10), int(x * 10)]
    assert centre_of(np.zeros((4, 4, 4), bool)) == (0.5, 0.5, 0.5)
