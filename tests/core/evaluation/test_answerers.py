"""The baselines do what their names say, and the tuned one never sees what is scored."""

from dataclasses import replace

import numpy as np

from bars import ConstantNetwork, ask, bars, brightness, looking_forest, tasks_of
from ewval.core.evaluation.answerers import AllTouching, SeedAlone
from ewval.core.evaluation.evidence import contact_evidence
from ewval.core.evaluation.growth import UNTUNED, tune_growth
from ewval.core.graph.graph import build_graph


def question_of(tasks, *, neuron):
    """The task of the test volume whose seed is the first bar of `neuron`."""
    return tasks.question(int(tasks.ids[neuron]))


def test_the_seed_alone_adds_nothing(bar_folder):
    question, truth = question_of(tasks_of(bar_folder), neuron=1)
    [guess] = SeedAlone().answer([question])
    assert guess.chosen == frozenset()
    assert np.array_equal(guess.voxels, question.sample.seed)
    assert truth.true == {6, 7, 8}


def test_all_touching_segments_are_the_neighbours_of_the_seed(bar_folder):
    question, _ = question_of(tasks_of(bar_folder), neuron=1)
    [guess] = AllTouching().answer([question])
    assert question.seed == (5,)
    assert guess.chosen == {1, 6, 9, 21}  # one row back, along, one row on, one layer down


def test_growth_over_bright_contacts_follows_the_neuron(bar_folder):
    tasks = tasks_of(bar_folder)
    growth, tuned_on = tune_growth(tasks, seed=0)
    assert tuned_on == "12 tasks of the val side"
    for neuron in range(15):
        question, truth = question_of(tasks, neuron=neuron)
        [guess] = growth.answer([question])
        assert guess.chosen == truth.true
        assert np.array_equal(guess.voxels, truth.target)


def test_the_voxels_of_a_segment_head_say_what_its_segments_say(bar_folder):
    tasks = tasks_of(bar_folder)
    network = ask(ConstantNetwork(), tasks)
    question, truth = question_of(tasks, neuron=1)
    [alone] = network.answer([question])
    [headed] = replace(network, decider=looking_forest()).answer([question])
    assert alone.chosen == frozenset()
    assert headed.chosen == truth.true
    assert np.array_equal(headed.voxels, truth.target)
    assert headed.probability[question.sample.seed].min() == 1.0
    assert np.array_equal(headed.probability > 0.5, truth.target)


def test_growth_is_never_tuned_on_what_is_scored(bar_folder):
    assert tune_growth(tasks_of(bar_folder, "val"), seed=0)[1] == "24 tasks of the train side"
    growth, tuned_on = tune_growth(tasks_of(bar_folder, "all"), seed=0)
    assert (growth.threshold, tuned_on) == (UNTUNED, "nothing: no task is left to tune on")


def test_evidence_is_zero_without_a_membrane_and_negative_at_one():
    labels = bars()
    image = brightness(labels, rng=np.random.default_rng(0))
    evidence = contact_evidence(build_graph(image, labels))
    along = np.diff(evidence.pairs, axis=1)[:, 0] == 1  # bars of one neuron follow one another
    assert len(evidence.pairs) == 144
    assert np.abs(evidence.score[along]).max() < 0.2
    assert evidence.score[~along].max() < -0.5


def test_one_segment_has_no_boundaries():
    cube = np.ones((8, 8, 8), np.uint16)
    assert contact_evidence(build_graph(cube.astype(np.uint8), cube)).pairs.shape == (0, 2)
