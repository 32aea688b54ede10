"""Bounds know where they overlap."""

import pytest

from ewval.core.eyewire.records import Bounds

CUBE = Bounds((0, 0, 0), (256, 256, 256))


@pytest.mark.parametrize(
    ("offset", "expected"), [((0, 0, 224), True), ((0, 0, 256), False), ((224, 224, 0), True), ((-448, 0, 0), False)]
)
def test_neighbours_overlap_and_others_do_not(offset: tuple[int, int, int], expected: bool) -> None:
    z, y, x = offset
    other = Bounds(offset, (z + 256, y + 256, x + 256))
    assert CUBE.overlaps(other) is expected
    assert other.overlaps(CUBE) is expected


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ValueError, match="empty bounds"):
        Bounds((0, 0, 0), (0, 1, 1))
