"""Parts of neurons as seeds: connected, inside the neuron, of all sizes; and what is numbered around them."""

import numpy as np
import pytest

from ewval.core.segments.seed_parts import draw_part, near, neighbours_of, number_touching

CHAIN = {i: np.array([j for j in (i - 1, i + 1) if 1 <= j <= 9]) for i in range(1, 10)}


def test_neighbours_are_those_that_share_a_face() -> None:
    labels = np.array([[[1, 2, 0], [1, 3, 4]]], np.uint16)
    found = {segment: others.tolist() for segment, others in neighbours_of(labels).items()}
    assert found == {1: [2, 3], 2: [1, 3], 3: [1, 2, 4], 4: [3]}


def test_a_part_is_connected_inside_the_neuron_and_of_any_size() -> None:
    sizes = set()
    for seed in range(200):
        part = sorted(draw_part(np.random.default_rng(seed), range(2, 9), CHAIN, seed=[5]))
        assert set(part) <= set(range(2, 9))
        assert part == list(range(part[0], part[0] + len(part)))  # no gap in a chain
        sizes.add(len(part))
    assert sizes >= {1, 2, 3, 4, 5, 6}


def test_the_tasks_own_seed_begins_a_good_part_of_the_draws() -> None:
    drawn = [draw_part(np.random.default_rng(seed), range(1, 10), CHAIN, seed=[1, 2]) for seed in range(300)]
    assert 100 < sum({1, 2} <= part for part in drawn) < 250
    assert any(1 not in part for part in drawn)


def test_the_same_generator_draws_the_same_part_and_nothing_from_nothing() -> None:
    one, other = (draw_part(np.random.default_rng(3), range(1, 10), CHAIN) for _ in range(2))
    assert one == other
    assert draw_part(np.random.default_rng(0), [], CHAIN, seed=[4]) == set()


def test_a_neuron_in_two_pieces_ends_where_its_piece_does() -> None:
    found = {tuple(sorted(draw_part(np.random.default_rng(seed), [1, 2, 8, 9], CHAIN))) for seed in range(100)}
    assert found == {(1,), (2,), (8,), (9,), (1, 2), (8, 9)}


@pytest.mark.parametrize("reach", [1, 2, 20])
def test_near_is_within_reach_along_each_axis(reach: int) -> None:
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 0, 7] = True
    z, y, x = np.indices(mask.shape)
    expected = (abs(z - 4) <= reach) & (y <= reach) & (abs(x - 7) <= reach)
    np.testing.assert_array_equal(near(mask, reach=reach), expected)
    assert mask.sum() == 1


def test_touching_segments_are_numbered_near_the_seed_alone() -> None:
    labels = np.repeat(np.array([7, 7, 30, 30, 30, 4], np.uint16), 2)[None, None, :]
    seed = np.isin(labels, 7)
    numbers = number_touching(labels, seed, [30], reach=3)
    assert numbers[0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]
    both = number_touching(labels, seed, [30, 4], reach=9)
    assert both[0, 0].tolist() == [0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 1, 1]
