"""Precision, recall, IoU and F1 of an overlap, and the rules for 0/0."""

import pytest

from ewval.core.segments.overlap import Overlap


@pytest.mark.parametrize(
    ("guesses", "gt", "expected", "undefined"),
    [
        (0, 0, (1.0, 1.0, 1.0, 1.0), ("precision", "recall", "iou", "f1")),
        (0, 5, (0.0, 0.0, 0.0, 0.0), ("precision",)),
        (5, 0, (0.0, 1.0, 0.0, 0.0), ("recall",)),
        (5, 5, (0.0, 0.0, 0.0, 0.0), ()),
    ],
)
def test_every_empty_case_follows_its_rule(guesses, gt, expected, undefined):
    value = Overlap(guesses, gt, 0)
    assert (value.precision, value.recall, value.iou, value.f1) == expected
    assert value.undefined == undefined


def test_an_overlap_larger_than_its_parts_is_refused():
    with pytest.raises(ValueError, match="impossible overlap: 3 of 2 guessed and 5 true"):
        Overlap(2, 5, 3)
