"""The default model is asked as `ewval predict` asks it, and heeds what a person ruled out."""

import pytest

from ewval.core.models.registry import load_decider
from ewval.core.review.asker import asker_of
from ewval.core.review.volumes import ShownVolumes


@pytest.fixture(scope="module")
def asker():
    return asker_of(load_decider())


def test_it_says_what_the_model_says(asker, folder):
    view = ShownVolumes(folder).graph(100)
    decider = load_decider()
    answer = decider.head.score(view.graph, [1])
    opinion = asker.ask(view, {1})
    assert opinion.ids.tolist() == answer.ids.tolist()
    assert opinion.add == set(answer.ids[answer.chosen].tolist())
    assert opinion.probability == pytest.approx(answer.probability, abs=1e-4)
    assert (asker.name, asker.thresholds.add) == (decider.name, decider.card.add_threshold)


def test_what_is_ruled_out_is_no_candidate_and_nothing_joins_through_it(asker, folder):
    view = ShownVolumes(folder).graph(100)
    free = asker.ask(view, {1})
    out = set(free.ids.tolist()[:1])
    opinion = asker.ask(view, {1}, excluded=out)
    assert out.isdisjoint(opinion.ids.tolist())
    assert asker.ask(view, {1}, excluded=set(range(2, 9))).ids.tolist() == []


def test_the_identity_is_that_of_the_weights(asker):
    assert asker.identity == asker_of(load_decider()).identity
    assert len(asker.identity) == 64
