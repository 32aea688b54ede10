"""Segments that join an object loop by loop, and the rule that says which."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ewval.core.graph.graph import SegmentGraph, build_graph
from ewval.core.segments.views import GraphView, view_volume
from ewval.nn.joining.fit import Observed, fit_rule
from ewval.nn.joining.joining import Scene, candidates, join
from ewval.nn.joining.rule import JoinRule
from ewval.nn.looks import VoxelMaps

SLABS = np.array([1, 2, 3, 4], np.uint16)
NETWORK = JoinRule(network=1.0, contact=0.0, offset=0.0)


def scene() -> Scene:
    """Four slabs along z, each touching the next; the seed is the first."""
    labels = np.repeat(SLABS, 16)[:, None, None] * np.ones((64, 64), np.uint16)
    image = np.random.default_rng(0).integers(90, 110, labels.shape).astype(np.uint8)
    graph = GraphView(build_graph(image, labels), "packed", 4)
    return Scene(view_volume(5, labels, full=None), graph, labels, labels == 1)


def looker(log_odds: Callable[[NDArray[np.bool_]], NDArray[np.float64]]) -> Callable[..., VoxelMaps]:
    """Look that says `log_odds` of the mask it is shown, and remembers the masks."""

    def look(mask: NDArray[np.bool_], confidence: NDArray[np.float32]) -> VoxelMaps:
        assert np.array_equal(confidence == 1, mask)
        look.masks.append(mask)  # type: ignore[attr-defined]
        chance = 1 / (1 + np.exp(-log_odds(mask)))
        return VoxelMaps(chance[None].astype(np.float32), np.ones((1, *mask.shape), np.float32))

    look.masks = []  # type: ignore[attr-defined]
    return look


def everywhere(value: float) -> Callable[[NDArray[np.bool_]], NDArray[np.float64]]:
    return lambda mask: np.full(mask.shape, value)


def test_each_loop_takes_the_object_one_segment_further() -> None:
    look = looker(everywhere(2.0))
    joined = join(look, scene(), [1], rule=NETWORK, least=0.5, loops=2)
    assert joined.ids[joined.added].tolist() == [2, 3]
    assert [int(mask[:, 0, 0].sum()) for mask in look.masks] == [16, 32]  # type: ignore[attr-defined]
    assert joined.probability.tolist() == pytest.approx([0.8808, 0.8808])


def test_growth_ends_where_nothing_joins() -> None:
    def up_to_the_middle(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        values = np.full(mask.shape, 3.0)
        values[32:] = -1.0
        return values

    look = looker(up_to_the_middle)
    joined = join(look, scene(), [1], rule=NETWORK, least=0.5, loops=9)
    assert dict(zip(joined.ids.tolist(), joined.added.tolist(), strict=True)) == {2: True, 3: False}
    assert len(look.masks) == 2  # type: ignore[attr-defined]


def test_only_voxels_near_the_object_speak_for_a_segment() -> None:
    def sure_of_the_rim(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        values = np.full(mask.shape, -5.0)
        values[:20] = 5.0  # the seed ends at 16, and four voxels behind it count
        return values

    inside = np.zeros(65_536, bool)
    inside[1] = True
    found = candidates(looker(sure_of_the_rim), scene(), inside)
    assert found.ids.tolist() == [2]
    assert found.pooled[0] == pytest.approx(5.0, abs=1e-3)


def test_the_evidence_at_contacts_counts_by_area_and_in_spreads_of_the_cube() -> None:
    graph = SegmentGraph(
        ids=np.array([1, 2, 3]),
        voxels=np.array([9, 9, 9]),
        sides=np.zeros((3, 6), bool),
        segment_names=(),
        segments=np.zeros((3, 0), np.float32),
        pairs=np.array([[0, 1], [0, 2], [1, 2]]),
        area=np.array([5.0, 1.0, 3.0]),
        evidence_names=("other", "rise_mean_2"),
        evidence=np.array([[0, 9.0], [0, 1.0], [0, 5.0]], np.float32),
    )
    inside = np.zeros(65_536, bool)
    inside[[1, 2]] = True
    place = replace(scene(), graph=GraphView(graph, "full", 1))
    found = candidates(looker(everywhere(0.0)), place, inside)
    assert found.ids.tolist() == [3]
    spread = np.std([9.0, 1.0, 5.0])
    assert found.contact.tolist() == pytest.approx([-(1.0 * 1 + 5.0 * 3) / 4 / spread])


def test_nothing_beside_the_object_is_no_candidate() -> None:
    joined = join(looker(everywhere(9.0)), scene(), [], rule=NETWORK, least=0.5, loops=3)
    assert not len(joined.ids)


def test_the_fitted_rule_is_the_one_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    pooled, contact = rng.normal(size=40_000), rng.normal(size=40_000)
    true = JoinRule(1.5, 0.7, -1.0)
    observed = Observed(pooled, contact, rng.random(40_000) < true.probability(pooled, contact), np.ones(40_000))
    found = fit_rule(observed)
    assert (found.network, found.contact, found.offset) == pytest.approx((1.5, 0.7, -1.0), abs=0.06)


def test_a_fit_to_one_kind_alone_stays_finite() -> None:
    found = fit_rule(Observed(np.ones(4), np.zeros(4), np.zeros(4, bool), np.full(4, 9.0)))
    assert np.isfinite([found.network, found.contact, found.offset]).all()
    assert found.probability(np.ones(1), np.zeros(1))[0] < 0.05
