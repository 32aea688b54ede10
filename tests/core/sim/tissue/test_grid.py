"""Between the grid of generated worlds and raw voxels."""

import numpy as np

from ewval.core.sim.tissue.grid import SCALE, doubled, repeated, shape_of


def test_labels_are_repeated_along_every_axis() -> None:
    labels = np.arange(8).reshape(2, 2, 2)
    raw = repeated(labels)
    assert shape_of(raw) == (2 * SCALE,) * 3
    assert np.array_equal(raw[::SCALE, ::SCALE, ::SCALE], labels)
    assert np.array_equal(raw[1::SCALE, 1::SCALE, 1::SCALE], labels)


def test_a_field_is_interpolated_between_voxel_centres_and_keeps_its_mean() -> None:
    field = np.arange(4, dtype=np.float32).reshape(4, 1, 1)
    finer = doubled(field, 0)
    assert finer.ravel().tolist() == [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]
    assert finer.mean() == field.mean()
