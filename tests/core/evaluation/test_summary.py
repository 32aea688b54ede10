"""The figures are those of the rows, however the rows came in parts."""

import numpy as np
import pytest

from ewval.core.evaluation.gathered import Gathered
from ewval.core.evaluation.parts import Part
from ewval.core.evaluation.report.pictures import SCATTERS
from ewval.core.evaluation.scoring import COLUMN, COLUMNS, COUNT_COLUMNS
from ewval.core.evaluation.summary import differences, summarize
from ewval.core.evaluation.totals import Totals


def part_of(rng, *, begin, count, shift=0.0):
    rows = rng.random((count, len(COLUMNS)))
    rows[:, COLUMN["extend"]] = rng.random(count) < 0.7
    rows[:, COLUMN["volume_f1"]] = rows[:, COLUMN["volume_f1"]] / 2 + shift
    guesses, gt = rng.integers(10, 500, (2, count))
    for kind in ("", "seedless_"):
        both = rng.integers(0, np.minimum(guesses, gt))
        values = (guesses, gt, both, guesses + gt - both)
        for name, value in zip(("guesses", "gt", "intersection", "union"), values, strict=True):
            rows[:, COLUMN[f"count_{kind}{name}"]] = value
    gathered = Gathered()
    gathered.undefined[0] += count // 2
    gathered.interior.add(rng.random(40), rng.random(40) < 0.5)
    ids = np.arange(begin, begin + count)
    return Part(ids, ids % 7, ids % 7, ids, {"a": rows}, {"a": gathered})


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return [part_of(rng, begin=begin, count=count) for begin, count in ((0, 12), (12, 1), (13, 30))]


def totals_of(parts):
    totals = Totals()
    for part in parts:
        totals.add(part, "a")
    return totals


def test_means_counts_and_aggregates_are_those_of_all_rows(parts):
    figures = summarize(totals_of(parts))
    rows = np.concatenate([part.rows["a"] for part in parts])
    for name in ("iou", "seedless_recall", "tolerant_precision", "loss"):
        assert figures[name] == pytest.approx(rows[:, COLUMN[name]].mean(), abs=1e-12)
    for name in COUNT_COLUMNS:
        assert figures[name] == rows[:, COLUMN[name]].sum()
    both, gt = rows[:, COLUMN["count_intersection"]].sum(), rows[:, COLUMN["count_gt"]].sum()
    assert figures["agg_recall"] == pytest.approx(both / gt, abs=1e-12)
    extend = rows[:, COLUMN["extend"]] > 0
    assert figures["segment"]["extend"]["tasks"] == extend.sum()
    expected = rows[extend, COLUMN["volume_f1"]].mean()
    assert figures["segment"]["extend"]["volume_f1"] == pytest.approx(expected, abs=1e-12)
    assert figures["undefined"] == {"precision": 6 + 0 + 15}


def test_merging_totals_is_adding_their_parts(parts):
    whole, first = totals_of(parts), totals_of(parts[:1])
    first.merge(totals_of(parts[1:]))
    assert _close(summarize(first), summarize(whole))
    for scatter in SCATTERS:
        assert np.array_equal(first.pictures.scatters[scatter], whole.pictures.scatters[scatter])
    assert first.tasks.tolist() == whole.tasks.tolist()


def _close(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return all(map(_close, one, other))
    return one == other or abs(one - other) < 1e-9


def test_intervals_hold_the_mean_and_resample_cells(parts):
    figures = summarize(totals_of(parts))
    for name in ("iou", "agg_iou", "loss"):
        low, high = figures["ci95"][name]
        assert low < figures[name] < high
    low, high = figures["ci95"]["segment.extend.volume_f1"]
    assert low < figures["segment"]["extend"]["volume_f1"] < high


def test_a_constant_lead_is_a_difference_without_spread():
    ours, theirs = (
        totals_of([part_of(np.random.default_rng(5), begin=0, count=20, shift=shift)]) for shift in (0.25, 0.0)
    )
    assert differences(ours, {"them": theirs}) == {"them": {"segment.extend.volume_f1": pytest.approx([0.25] * 3)}}


def test_every_task_is_drawn_once_in_each_picture(parts):
    pictures = totals_of(parts).pictures
    assert all(counts.sum() == 43 for counts in pictures.ratios.values())
    assert all(counts.sum() == 43 for counts in pictures.scatters.values())
