"""The metrics equal plain counting, and every 0/0 follows its stated rule."""

import numpy as np
import pytest

from ewval.core.evaluation.metrics import (
    aggregate_metrics,
    near_surface,
    overlap,
    segment_metrics,
    voxel_metrics,
)
from ewval.core.segments.overlap import Overlap


def plain_ratios(guess, truth):
    """The rules of the contract, written out over sets of voxels."""
    guess, truth = set(np.flatnonzero(guess)), set(np.flatnonzero(truth))
    both, either = len(guess & truth), len(guess | truth)
    precision = both / len(guess) if guess else (1.0 if not truth else 0.0)
    recall = both / len(truth) if truth else 1.0
    iou = both / either if either else 1.0
    return {"precision": precision, "recall": recall, "iou": iou}, (len(guess), len(truth), both, either)


def plain_surface(mask):
    marked = np.zeros_like(mask)
    for index in np.ndindex(mask.shape):
        for axis in range(3):
            for step in (-1, 1):
                other = list(index)
                other[axis] += step
                if 0 <= other[axis] < mask.shape[axis] and mask[tuple(other)] != mask[index]:
                    marked[index] = True
    return marked


def masks(kind, rng, shape=(6, 7, 8)):
    random = rng.random(shape) < rng.random()
    return {"random": random, "empty": np.zeros(shape, bool), "full": np.ones(shape, bool)}[kind]


@pytest.mark.parametrize("seed_kind", ["random", "empty", "full"])
@pytest.mark.parametrize("target_kind", ["random", "empty", "full"])
@pytest.mark.parametrize("guess_kind", ["random", "empty", "full"])
def test_voxel_metrics_equal_plain_counting(guess_kind, target_kind, seed_kind):
    rng = np.random.default_rng([ord(kind[0]) for kind in (guess_kind, target_kind, seed_kind)])
    for _ in range(5):
        guess, target, seed = masks(guess_kind, rng), masks(target_kind, rng), masks(seed_kind, rng)
        metrics, _ = voxel_metrics(guess, target, seed)
        firm = ~plain_surface(target)
        cases = {
            "": (guess, target),
            "seedless_": (guess & ~seed, target & ~seed),
            "tolerant_": (guess & firm, target & firm),
            "tolerant_seedless_": (guess & firm & ~seed, target & firm & ~seed),
        }
        for prefix, (said, true) in cases.items():
            ratios, counts = plain_ratios(said, true)
            for name, value in ratios.items():
                assert metrics[prefix + name] == pytest.approx(value, abs=1e-12)
            if not prefix.startswith("tolerant"):
                names = ("guesses", "gt", "intersection", "union")
                assert tuple(metrics[f"count_{prefix}{name}"] for name in names) == counts


def test_undefined_names_say_which_rule_decided():
    empty, full = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    assert voxel_metrics(full, full, full)[1] == ["seedless_precision", "seedless_recall", "seedless_iou"]
    assert voxel_metrics(empty, full, empty)[1] == ["precision", "seedless_precision"]


def test_the_surface_is_one_voxel_on_either_side():
    rng = np.random.default_rng(0)
    mask = rng.random((5, 6, 7)) < 0.5
    assert (near_surface(mask) == plain_surface(mask)).all()
    assert not near_surface(np.ones((4, 4, 4), bool)).any()


def test_tolerance_forgives_a_shift_by_one_voxel():
    target = np.zeros((12, 12, 12), bool)
    target[3:9, 3:9, 3:9] = True
    metrics, _ = voxel_metrics(np.roll(target, 1, axis=0), target, np.zeros_like(target))
    assert metrics["iou"] < 0.75
    assert metrics["tolerant_iou"] == 1.0


def test_segment_metrics_weigh_by_volume_and_by_count():
    size = np.array([0, 10, 20, 70, 5])
    metrics = segment_metrics({1, 3}, {1, 2}, size=size)
    assert metrics["count_precision"] == metrics["count_recall"] == metrics["count_f1"] == 0.5
    assert metrics["volume_precision"] == pytest.approx(10 / 80)
    assert metrics["volume_recall"] == pytest.approx(10 / 30)
    assert metrics["volume_f1"] == pytest.approx(2 * 10 / (80 + 30))
    assert metrics["wrong_voxels"] == 90
    assert segment_metrics(set(), set(), size=size)["volume_f1"] == 1.0
    assert segment_metrics(set(), {4}, size=size)["count_f1"] == 0.0


def test_aggregate_metrics_are_ratios_of_summed_counts():
    rng = np.random.default_rng(1)
    pairs = [(rng.random((4, 4, 4)) < 0.4, rng.random((4, 4, 4)) < 0.4, rng.random((4, 4, 4)) < 0.2) for _ in range(9)]
    rows = [voxel_metrics(*pair)[0] for pair in pairs]
    totals = {name: sum(row[name] for row in rows) for name in rows[0] if name.startswith("count_")}
    joined = [np.concatenate(parts) for parts in zip(*pairs, strict=True)]
    expected, _ = plain_ratios(joined[0], joined[1])
    seedless, _ = plain_ratios(joined[0] & ~joined[2], joined[1] & ~joined[2])
    aggregate = aggregate_metrics(totals)
    for name, value in expected.items():
        assert aggregate[f"agg_{name}"] == pytest.approx(value, abs=1e-12)
        assert aggregate[f"agg_seedless_{name}"] == pytest.approx(seedless[name], abs=1e-12)


def test_overlap_counts_only_where_it_is_told_to():
    ones = np.ones((2, 2, 2), bool)
    half = ones.copy()
    half[0] = False
    assert overlap(ones, ones, where=half) == Overlap(4, 4, 4)
