"""Samples to verdicts: the same whatever stands beside them; flips, ensembles and segment heads as stated."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from ewval.core.forest.boosting import Forest
from ewval.core.forest.decider import ForestDecider
from ewval.core.forest.model import HeadSettings, SegmentHead
from ewval.core.graph.graph import build_graph
from ewval.core.models.card import ModelCard
from ewval.core.models.ensemble import Ensemble
from ewval.core.predict.answers import judge, to_document
from ewval.core.predict.prediction import TaskPrediction, predict_samples
from ewval.core.segments.decision import Looks
from ewval.core.segments.views import GraphView, VolumeView, view_volume
from ewval.core.tasks.samples import Sample
from ewval.nn.deciders import decider_for
from ewval.nn.joining.rule import JoinRule
from ewval.nn.looks import ALL_FLIPS, voxel_maps
from ewval.nn.networks.architectures import build_network
from ewval.nn.networks.network import Network
from ewval.nn.weights import Model

SEED, NEXT, UNSURE, FAR = 1, 2, 3, 4


class BrightIsInside(Network):
    """Says that what is bright belongs to the neuron, and in mirrored cubes too unless told of an axis."""

    def __init__(self, slope: float = 0.0) -> None:
        super().__init__()
        self.config = SimpleNamespace(context=2, loops=1)
        self.slope = slope

    def prepare(self, image: Tensor, seed: Tensor, context: Tensor, boundary: Tensor | None) -> Tensor:
        along = torch.linspace(-1, 1, image.shape[1])[:, None, None]
        return ((image - 128) / 20 + self.slope * along).unsqueeze(1)

    def step(self, fixed: Tensor, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        return fixed, torch.ones_like(fixed)


def bright(*, slope: float = 0.0, name: str = "bright", add: float = 0.9, maybe: float = 0.3) -> Model:
    card = ModelCard(name, "lwunet", loss="bce", loops=1, add_threshold=add, maybe_threshold=maybe)
    return Model(card, BrightIsInside(slope))


def make_sample(task: int = 7) -> Sample:
    """Four slabs along z: the seed, a bright one, a middling one, a dark one."""
    labels = np.repeat(np.array([SEED, NEXT, UNSURE, FAR], np.uint16), 16)[:, None, None] * np.ones((64, 64), np.uint16)
    image = np.repeat(np.array([200, 200, 125, 20], np.uint8), 16)[:, None, None] * np.ones((64, 64), np.uint8)
    seed = labels == SEED
    return Sample(
        task=task,
        volume=5,
        cell=-1,
        image=image,
        labels=labels,
        seed=seed,
        confidence=np.where(seed, np.float32(1), np.float32(10)),
        context=np.zeros((2, 64, 64, 64), bool),
        target=None,
    )


class Views:
    """The packed cube of the sample itself."""

    def view(self, volume: int, packed: np.ndarray) -> VolumeView:
        return view_volume(volume, packed, full=None)

    def graph(self, volume: int, image: np.ndarray, packed: np.ndarray) -> GraphView:
        return GraphView(build_graph(image, packed), "packed", 4)


def predict(model: Model | ForestDecider | Sequence, samples: Sequence[Sample], **looks) -> list[TaskPrediction]:
    members = [one if isinstance(one, ForestDecider) else decider_for(one) for one in _listed(model)]
    decider = members[0].pooled_with(members[1:]) or Ensemble(tuple(members)) if len(members) > 1 else members[0]
    return list(predict_samples(decider, samples, sources=Views(), looks=Looks(**looks)))


def _listed(model: object) -> list:
    return list(model) if isinstance(model, list) else [model]


def forests(pairs: float, *, name: str = "forests") -> ForestDecider:
    card = ModelCard(name, "graph", add_threshold=0.5, maybe_threshold=0.3)
    return ForestDecider(card, SegmentHead(forest(pairs), forest(pairs), HeadSettings()))


def test_verdicts_follow_the_pooled_probability_and_the_thresholds():
    (prediction,) = predict(bright(), [make_sample()])
    assert {s.id: s.verdict for s in prediction.segments} == {NEXT: "add", UNSURE: "maybe", FAR: "reject"}
    assert (prediction.seed, prediction.add, prediction.maybe) == ((SEED,), (NEXT,), (UNSURE,))
    assert prediction.cell is None
    assert prediction.segments[0].probability == pytest.approx(1 / (1 + np.exp(-72 / 20)), abs=1e-4)
    assert prediction.sizes[NEXT] == 16 * 64 * 64 * 64


def test_answers_do_not_depend_on_batch_or_order():
    torch.manual_seed(0)
    model = Model(ModelCard("lwunet", "lwunet", loops=1), build_network("lwunet", {"loops": 1}).eval())
    rng = np.random.default_rng(0)
    samples = [replace(make_sample(t), image=rng.integers(0, 256, (64,) * 3).astype(np.uint8)) for t in range(3)]
    one_by_one = predict(model, samples)
    together = predict(model, samples[::-1], batch_size=2)[::-1]
    for first, second in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(first.probability, second.probability)
        assert to_document(judge(first, consensus=None)) == to_document(judge(second, consensus=None))


def test_answers_do_not_depend_on_the_number_of_threads():
    torch.manual_seed(0)
    model = Model(ModelCard("lwunet", "lwunet", loops=1), build_network("lwunet", {"loops": 1}).eval())
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(predict(model, [make_sample()])[0].probability)
    torch.set_num_threads(1)
    np.testing.assert_array_equal(*found)


def test_flips_average_what_depends_on_the_way_up():
    leaning = bright(slope=4.0)
    (plain,) = predict(leaning, [make_sample()])
    (mirrored,) = predict(leaning, [make_sample()], tta=True)
    even = voxel_maps(bright(), [make_sample()])[0].probability[0]
    assert np.abs(plain.probability - even).max() > 0.1
    # The eight looks see each voxel from both ends: their mean is the mean of the two slopes.
    up = voxel_maps(leaning, [make_sample()])[0].probability[0]
    down = voxel_maps(bright(slope=-4.0), [make_sample()])[0].probability[0]
    np.testing.assert_allclose(mirrored.probability, (up + down) / 2, atol=1e-6)
    assert mirrored.table.spread.max() > 0.05
    assert plain.table.spread.max() == 0
    assert len({tuple(flip) for flip in ALL_FLIPS}) == 8


def test_disagreement_between_flips_widens_the_uncertainty():
    even = {s.id: s.uncertainty for s in predict(bright(), [make_sample()], tta=True)[0].segments}
    leaning = {s.id: s.uncertainty for s in predict(bright(slope=8.0), [make_sample()], tta=True)[0].segments}
    assert leaning[FAR] > even[FAR]


def test_an_ensemble_is_the_mean_and_knows_its_spread():
    high, low = bright(name="a"), bright(name="b", slope=-6.0, add=0.7, maybe=0.1)
    both = predict([high, low], [make_sample()])[0]
    alone = [predict(model, [make_sample()])[0] for model in (high, low)]
    means = np.mean([p.table.probability for p in alone], axis=0)
    np.testing.assert_allclose(both.table.probability, means, atol=1e-4)
    np.testing.assert_allclose(both.probability, np.mean([p.probability for p in alone], axis=0), atol=1e-6)
    assert both.model == "a+b"
    assert (both.thresholds.add, both.thresholds.maybe) == pytest.approx((0.8, 0.2))
    assert both.table.spread.max() > 0


def test_a_model_with_less_context_gets_the_latest_ancestors():
    seen = []

    class Watching(BrightIsInside):
        def prepare(self, image, seed, context, boundary):
            seen.append(context)
            return super().prepare(image, seed, context, boundary)

    sample = make_sample()
    sample.context[1] = True  # the parent stands last
    model = bright()
    predict(Model(replace(model.card, context=1), Watching()), [sample])
    assert seen[0].shape == (1, 1, 64, 64, 64)
    assert bool(seen[0].all())


def forest(log_odds: float) -> Forest:
    """A tree that says the same of everything."""
    return Forest(np.zeros((1, 1), np.int16), np.zeros((1, 1), np.float32), np.zeros((1, 2), np.float32), log_odds)


def test_forests_decide_over_the_graph():
    adds = predict(forests(3.0), [make_sample()])[0]
    assert adds.add == (NEXT, UNSURE, FAR)
    assert {s.probability for s in adds.segments} == {0.9526}
    assert adds.sizes[FAR] == 16 * 64 * 64 * 64
    nothing = predict(forests(-4.0), [make_sample()])[0]
    assert nothing.add == ()
    assert {s.id for s in nothing.segments} == {NEXT}  # what touches the seed is a candidate all the same
    assert nothing.segments[0].verdict == "reject"


def test_in_an_ensemble_more_than_half_must_add():
    sure = forests(3.0)
    plain = bright(name="plain")
    both = predict([sure, plain], [make_sample()])[0]
    assert both.add == (NEXT,)  # the other model adds that one alone
    assert predict([sure, sure, plain], [make_sample()])[0].add == (NEXT, UNSURE, FAR)
    assert both.table.spread.max() > 0


def test_the_consensus_is_compared_with_the_answer():
    (prediction,) = predict(bright(), [make_sample()])
    answer = judge(prediction, consensus=[SEED, FAR, 99])
    assert (answer.agreement, answer.remove, answer.missing, answer.unscored) == (0.0, (FAR,), (NEXT,), (99,))
    assert [d.id for d in answer.doubts] == [FAR]
    right = judge(prediction, consensus=[SEED, NEXT])
    assert (right.agreement, right.remove, right.missing) == (1.0, (), ())
    assert answer.review_priority > right.review_priority
    alone = judge(prediction, consensus=None)
    assert (alone.consensus, alone.agreement, alone.remove) == (None, None, ())


def test_consensus_segments_far_from_the_seed_are_listed_too():
    labels = make_sample().labels.copy()
    labels[40:48] = 0  # what lies behind is joined to nothing
    (prediction,) = predict(bright(maybe=0.0), [replace(make_sample(), labels=labels)])
    assert FAR not in {s.id for s in prediction.segments}
    listed = {s.id: s.verdict for s in judge(prediction, consensus=[SEED, FAR]).segments}
    assert listed[FAR] == "reject"


def joining(model: Model, *, network: float = 1.0, offset: float = 0.0) -> Model:
    rule = JoinRule(network, 0.0, offset).to_card()
    return replace(model, card=replace(model.card, loops=9, joining={"full": rule, "packed": rule}))


def test_a_model_that_joins_takes_segments_by_what_its_network_says_near_the_object():
    (prediction,) = predict(joining(bright(add=0.5, maybe=0.3), offset=0.1), [make_sample()])
    # Beyond the grey slab nothing is a candidate: growth did not get there.
    assert {s.id: s.verdict for s in prediction.segments} == {NEXT: "add", UNSURE: "maybe"}
    further = predict(joining(bright(add=0.4, maybe=0.3), offset=0.1), [make_sample()])[0]
    assert further.add == (NEXT, UNSURE)
    assert {s.id: s.verdict for s in further.segments}[FAR] == "reject"


def test_a_joined_segment_is_no_surer_than_what_it_rests_on():
    image = make_sample().image.copy()
    image[32:48] = 250  # brighter than what leads there
    (prediction,) = predict(joining(bright(add=0.2, maybe=0.1), network=0.2), [replace(make_sample(), image=image)])
    chances = {s.id: s.probability for s in prediction.segments}
    assert chances[UNSURE] == chances[NEXT]


def test_joining_is_the_same_in_any_batch_and_counts_looks():
    model = joining(bright(add=0.5, maybe=0.3), offset=0.5)
    samples = [make_sample(1), make_sample(2)]
    alone, together = predict(model, samples), predict(model, samples[::-1], batch_size=2)[::-1]
    for one, other in zip(alone, together, strict=True):
        assert to_document(judge(one, consensus=None)) == to_document(judge(other, consensus=None))
    (short,) = predict(model, samples[:1], loops=1)
    assert (short.add, alone[0].add) == ((NEXT,), (NEXT, UNSURE))


def test_flips_widen_what_a_joining_model_is_unsure_of():
    leaning = joining(bright(slope=8.0, add=0.5, maybe=0.3))
    (plain,) = predict(leaning, [make_sample()])
    (mirrored,) = predict(leaning, [make_sample()], tta=True)
    assert plain.table.spread.max() == 0
    assert mirrored.table.spread.max() > 0
