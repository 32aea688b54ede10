"""Which segments of a trace are doubted, and why."""

import numpy as np
import pytest

from ewval.core.segments.doubts import Doubt, doubts
from ewval.core.segments.verdicts import SegmentTable, Thresholds

THRESHOLDS = Thresholds(add=0.6, maybe=0.3)


def table(*, probability=0.9, inside=1.0, dark=0.0, voxels=10_000, ids=(2,)):
    column = np.ones(len(ids))
    return SegmentTable(
        ids=np.array(ids, np.int64),
        voxels=np.full(len(ids), voxels, np.int64),
        probability=column * probability,
        spread=column * 0,
        inside=column * inside,
        dark=column * dark,
    )


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({}, None),
        ({"probability": 0.29}, "unlikely"),
        ({"probability": 0.3}, None),
        ({"inside": 0.5}, "merger"),
        ({"inside": 0.5, "voxels": 1_500}, None),  # the rim of a small segment is no second cell
        ({"inside": 0.85}, None),
        ({"dark": 0.4}, "black spill"),
        ({"probability": 0.1, "inside": 0.5}, "unlikely"),
    ],
)
def test_a_segment_of_the_trace_is_doubted_for_a_reason(scores, reason):
    found = doubts([1, 2], table(**scores), seed=[1], thresholds=THRESHOLDS)
    assert found == (() if reason is None else (Doubt(2, reason),))


def test_the_seed_is_never_unlikely_but_may_be_a_merger():
    assert doubts([2], table(probability=0.0), seed=[2], thresholds=THRESHOLDS) == ()
    assert doubts([], table(inside=0.4), seed=[2], thresholds=THRESHOLDS) == (Doubt(2, "merger"),)


def test_what_is_not_scored_or_not_in_the_trace_is_not_doubted():
    assert doubts([99], table(probability=0.0), seed=[1], thresholds=THRESHOLDS) == ()
    assert doubts([], table(probability=0.0), seed=[1], thresholds=THRESHOLDS) == ()
