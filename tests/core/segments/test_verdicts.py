"""Verdicts, reachability, agreement and every 0/0 rule."""

from itertools import pairwise

import numpy as np
import pytest

from ewval.core.segments.verdicts import (
    SegmentScore,
    SegmentTable,
    Thresholds,
    agreement,
    decide,
    expected_wrong_voxels,
    reachable,
    review_priority,
    segment_f1,
    touching_pairs,
)

THRESHOLDS = Thresholds(add=0.6, maybe=0.3)


def table(probabilities, *, voxels=100, spread=0.0):
    ids = np.array(sorted(probabilities), dtype=np.int64)
    return SegmentTable(
        ids=ids,
        voxels=np.full(len(ids), voxels, dtype=np.int64),
        probability=np.array([probabilities[i] for i in ids.tolist()], dtype=np.float64),
        spread=np.full(len(ids), spread),
        inside=np.zeros(len(ids)),
        dark=np.zeros(len(ids)),
    )


def chain(*ids):
    return np.array(list(pairwise(ids)), dtype=np.int64).reshape(-1, 2)


def verdicts(scores):
    return {score.id: score.verdict for score in scores}


def sizes(**voxels):
    column = np.zeros(65536, dtype=np.int64)
    for name, count in voxels.items():
        column[int(name[1:])] = count
    return column


def test_what_is_joined_to_the_seed_by_accepted_segments_is_added():
    scores = decide(table({1: 1.0, 2: 0.9, 3: 0.8, 4: 0.1}), chain(1, 2, 3, 4), seed=[1], thresholds=THRESHOLDS)
    assert verdicts(scores) == {2: "add", 3: "add", 4: "reject"}


def test_a_sure_segment_behind_an_unsure_one_is_only_maybe():
    scores = decide(table({1: 1.0, 2: 0.4, 3: 0.9}), chain(1, 2, 3), seed=[1], thresholds=THRESHOLDS)
    assert verdicts(scores) == {2: "maybe", 3: "maybe"}


def test_a_sure_segment_behind_a_rejected_one_is_no_candidate():
    scores = decide(table({1: 1.0, 2: 0.1, 3: 0.9}), chain(1, 2, 3), seed=[1], thresholds=THRESHOLDS)
    assert verdicts(scores) == {2: "reject"}


def test_seed_segments_are_never_candidates_however_improbable():
    scores = decide(table({1: 0.0, 2: 0.0, 3: 0.7}), chain(1, 2, 3), seed=[1, 2], thresholds=THRESHOLDS)
    assert verdicts(scores) == {3: "add"}


def test_candidates_come_most_probable_first_and_ties_by_id():
    pairs = np.array([[1, 2], [1, 3], [1, 4]])
    scores = decide(table({1: 1.0, 2: 0.5, 3: 0.9, 4: 0.5}), pairs, seed=[1], thresholds=THRESHOLDS)
    assert [score.id for score in scores] == [3, 2, 4]


def test_a_probability_at_the_threshold_is_accepted():
    scores = decide(table({1: 1.0, 2: 0.6, 3: 0.3}), np.array([[1, 2], [1, 3]]), seed=[1], thresholds=THRESHOLDS)
    assert verdicts(scores) == {2: "add", 3: "maybe"}


def test_without_a_seed_nothing_is_a_candidate():
    assert decide(table({1: 1.0, 2: 0.9}), chain(1, 2), seed=[], thresholds=THRESHOLDS) == ()


def test_without_neighbours_nothing_is_a_candidate():
    assert decide(table({1: 1.0, 2: 0.9}), chain(), seed=[1], thresholds=THRESHOLDS) == ()


def test_a_neighbour_that_is_not_scored_is_no_candidate():
    assert decide(table({1: 1.0}), chain(1, 2), seed=[1], thresholds=THRESHOLDS) == ()


@pytest.mark.parametrize(("add", "maybe"), [(0.3, 0.6), (1.2, 0.1), (0.5, -0.1)])
def test_thresholds_out_of_order_are_refused(add, maybe):
    with pytest.raises(ValueError, match="thresholds must be"):
        Thresholds(add=add, maybe=maybe)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="columns of different lengths"):
        SegmentTable(np.zeros(2, np.int64), np.zeros(1, np.int64), *[np.zeros(2)] * 4)


def test_uncertainty_is_twice_the_chance_to_be_wrong_and_grows_with_the_spread():
    assert table({2: 0.97}).uncertainty.tolist() == [0.06]
    assert table({2: 0.97}, spread=0.1).uncertainty.tolist() == [0.26]
    assert table({2: 0.5}, spread=0.4).uncertainty.tolist() == [1.0]


def test_what_is_not_scored_has_no_score():
    assert [score.id for score in table({2: 0.97}).scores({2: "add", 3: "add"})] == [2]


def test_reachable_stops_at_what_is_not_accepted():
    seed, accepted = np.zeros(65536, bool), np.zeros(65536, bool)
    seed[1] = True
    accepted[[2, 4]] = True
    assert np.flatnonzero(reachable(chain(1, 2, 3, 4), seed=seed, accepted=accepted)).tolist() == [1, 2]


def test_touching_pairs_are_those_that_share_a_face():
    labels = np.array([[[1, 2], [1, 3]], [[0, 2], [4, 3]]], dtype=np.uint16)
    assert touching_pairs(labels).tolist() == [[1, 2], [1, 3], [1, 4], [2, 3], [3, 4]]


def test_touching_pairs_of_boundary_alone_are_none():
    assert touching_pairs(np.zeros((2, 2, 2), np.uint16)).shape == (0, 2)


@pytest.mark.parametrize(
    ("chosen", "true", "expected"),
    [
        ([], [], 1.0),
        ([2], [], 0.0),
        ([], [2], 0.0),
        ([1], [1], 1.0),  # the seed alone on both sides
        ([1, 2], [1, 2], 1.0),
        ([2, 3], [2], 2 * 10 / (2 * 10 + 30)),
        ([2], [2, 3], 2 * 10 / (2 * 10 + 30)),
    ],
)
def test_segment_f1_leaves_the_seed_out_and_keeps_the_zero_rules(chosen, true, expected):
    assert segment_f1(chosen, true, [1], sizes(s1=1000, s2=10, s3=30)) == pytest.approx(expected)


def test_agreement_is_the_f1_by_volume():
    assert agreement([1, 2, 3], [3], seed=[1], sizes=sizes(s2=10, s3=30)) == pytest.approx(60 / 70)


def test_expected_wrong_voxels_counts_both_sides():
    scores = [SegmentScore(2, 100, 0.9, 0.2, "add"), SegmentScore(3, 1000, 0.2, 0.4, "reject")]
    assert expected_wrong_voxels([2], scores) == pytest.approx(10 + 200)
    assert expected_wrong_voxels([3], scores) == pytest.approx(90 + 800)


def test_review_priority_rises_with_what_may_be_wrong_and_stays_below_one():
    def of(voxels, probability):
        return review_priority([], [SegmentScore(2, voxels, probability, 0.5, "maybe")])

    assert review_priority([], []) == 0.0
    assert of(100_000, 1.0) == 0.5
    assert of(100, 0.4) < of(1000, 0.4) < of(1000, 0.9) < of(16_777_216, 1.0) < 1.0
