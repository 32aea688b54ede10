"""Each guard fails when it should: a leak is put in on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from bars import ConstantNetwork, CopyNetwork, LookingNetwork, RowNetwork, ask, looking_forest, tasks_of
from counted import Counted
from ewval.core.evaluation.answerers import ModelAnswerer
from ewval.core.evaluation.guards import Probe, own_answer, shuffled_image, split_overlap, zeroed_context
from ewval.core.evaluation.metrics import segment_metrics
from ewval.core.models.card import ModelCard
from ewval.core.tasks.samples import Sample, SampleBuilder, mask_of


class LeakyBuilder(SampleBuilder):
    """Gives the task's own answer as the nearest ancestor's, as the 2019 seed system did."""

    def build(self, task: int) -> Sample:
        sample = super().build(task)
        own = mask_of(sample.labels, self.table.aggregate(self.table.row(task)))
        return replace(sample, context=np.stack([np.zeros_like(own), own]))


def leaky(tasks):
    builder = tasks.builder
    return replace(
        tasks,
        builder=LeakyBuilder(builder.table, builder.store, context=builder.context, withheld=builder.withheld),
    )


def probe_of(tasks, answerer):
    """Some tasks with something to add, scored as an evaluation scores them."""
    scores = []
    ids = [task for task in tasks.ids[:6] if tasks.question(int(task))[1].true]
    for question, truth in tasks.questions(ids):
        [guess] = answerer.answer([question])
        scores.append(segment_metrics(set(guess.chosen), set(truth.true), size=question.view.sizes)["volume_f1"])
    return Probe(tasks, np.array(ids), np.array(scores), np.zeros(len(ids)))


def test_inputs_do_not_depend_on_the_own_answer(bar_folder):
    tasks = tasks_of(bar_folder)
    guard = own_answer(tasks, tasks.ids)  # among them are ancestors of one another, whose answers are rightly seen
    assert (guard.state, guard.value) == ("pass", 0.0)
    assert guard.reason == "changing the answers of 15 tasks changed none of their inputs"


def test_the_leak_of_the_seed_system_fails_the_guard(bar_folder):
    tasks = leaky(tasks_of(bar_folder))
    guard = own_answer(tasks, tasks.ids)
    assert guard.state == "fail"
    assert guard.value == 15
    assert guard.reason == f"the answer of task {tasks.ids[0]} reaches its own input"


def test_a_copy_of_the_leaked_answer_fails_without_context(bar_folder):
    tasks = leaky(tasks_of(bar_folder))
    answerer = ask(CopyNetwork(), tasks)
    probe = probe_of(tasks, answerer)
    assert probe.score.mean() == 1.0
    guard = zeroed_context(probe, answerer)
    assert (guard.state, guard.value) == ("fail", 0.0)
    assert guard.reason == "volume F1 1.000, without context 0.000: the answers came from the context"


def test_a_model_that_needs_no_context_passes(bar_folder):
    tasks = tasks_of(bar_folder)
    answerer = ask(RowNetwork(), tasks)
    assert zeroed_context(probe_of(tasks, answerer), answerer).state == "pass"


class Counting:
    """An answerer that counts what it is asked."""

    def __init__(self, answerer: ModelAnswerer) -> None:
        self.answerer, self.asked, self.reads_graph = answerer, 0, answerer.reads_graph

    def answer(self, questions):
        self.asked += len(questions)
        return self.answerer.answer(questions)


def test_where_no_question_holds_context_nothing_is_asked_again_without_it(bar_folder):
    for context in (2, 0):
        tasks = tasks_of(bar_folder, context=context)
        answerer = Counting(ModelAnswerer(looking_forest(), tasks.sources))
        probe = probe_of(tasks, answerer)
        answerer.asked = 0
        guard = zeroed_context(probe, answerer)
        assert (guard.state, guard.value) == ("pass", 1.0)
        assert answerer.asked == (len(probe.ids) if context else 0)


@pytest.mark.parametrize("context", [2, 0])
@pytest.mark.parametrize("network", [RowNetwork, ConstantNetwork])
def test_the_guards_announce_as_many_questions_as_they_ask(bar_folder, context, network):
    tasks = tasks_of(bar_folder, context=context)
    answerer, progress = ask(network(), tasks), Counted()
    probe = probe_of(tasks, answerer)
    own_answer(tasks, probe.ids, progress=progress)
    for guard in (shuffled_image, zeroed_context):
        guard(probe, answerer, progress=progress)
    assert progress.done == probe.questions


def test_a_model_that_looks_falls_on_shuffled_images(bar_folder):
    tasks = tasks_of(bar_folder)
    answerer = ask(LookingNetwork(), tasks)
    guard = shuffled_image(probe_of(tasks, answerer), answerer)
    assert (guard.state, guard.value) == ("pass", 0.0)


def test_a_model_that_does_not_look_fails_on_shuffled_images(bar_folder):
    tasks = tasks_of(bar_folder)
    answerer = ask(RowNetwork(), tasks)
    guard = shuffled_image(probe_of(tasks, answerer), answerer)
    assert (guard.state, guard.value) == ("fail", 1.0)
    assert guard.reason.endswith("the image hardly matters")


def test_a_segment_head_is_shown_the_graph_of_the_shuffled_image(bar_folder):
    tasks = tasks_of(bar_folder)
    answerer = ModelAnswerer(looking_forest(), tasks.sources)
    probe = probe_of(tasks, answerer)
    assert probe.score.mean() == 1.0
    guard = shuffled_image(probe, answerer)
    assert guard.state == "pass"
    assert guard.value < 0.5
    assert not (bar_folder.root / "graphs").exists()


CARD = ModelCard("seen", "lwunet")


@pytest.mark.parametrize("guard", [shuffled_image, zeroed_context])
def test_a_model_no_better_than_the_seed_proves_nothing(bar_folder, guard):
    tasks = tasks_of(bar_folder)
    answerer = ask(ConstantNetwork(), tasks)
    outcome = guard(probe_of(tasks, answerer), answerer)
    assert (outcome.state, outcome.value) == ("inconclusive", None)
    assert outcome.reason == "the model does not beat the seed alone by its interval"


def test_a_volume_on_both_sides_fails(bar_folder):
    tasks = tasks_of(bar_folder)
    assert split_overlap(tasks, [CARD]).state == "pass"
    mixed = replace(tasks, split=replace(tasks.split, train=np.append(tasks.split.train, 4003), rule="volume"))
    guard = split_overlap(mixed, [CARD])
    assert (guard.state, guard.value) == ("fail", 1.0)
    assert guard.reason == "volume 14 is tested and was learned from"


def test_a_split_by_cell_may_share_volumes_but_no_cell(bar_folder):
    tasks = tasks_of(bar_folder)

    # Tasks 4003 to 4005 are one tree of parents, which stands for a cell here.
    def by_cell(learned):
        split = replace(tasks.split, train=np.array(learned), rule="cell")
        return split_overlap(replace(tasks, split=split, ids=np.array([4003, 4004])), [CARD])

    assert by_cell([4006, 4007]).state == "pass"
    assert by_cell([4005, 4006]).state == "fail"


def test_the_split_is_looked_at_for_the_test_side_only(bar_folder):
    guard = split_overlap(tasks_of(bar_folder, "val"), [CARD])
    assert (guard.state, guard.value, guard.reason) == ("inconclusive", None, "checked on the test side only")


def test_a_cell_that_the_card_lists_fails_in_a_volume_that_it_lists(bar_folder):
    tasks = tasks_of(bar_folder)
    table = tasks.table
    row = table.row(int(tasks.ids[0]))
    cell, volume = int(table.group[row]), int(table.volume[row])
    guard = split_overlap(tasks, [CARD, replace(CARD, cells=[cell, 99], volumes=[volume])])
    assert (guard.state, guard.value) == ("fail", 1.0)
    assert guard.reason == f"cell {cell} is tested and is one that model seen learned from, by its card"
    assert split_overlap(tasks, [replace(CARD, cells=[cell], volumes=[volume + 1000])]).state == "pass"
    assert split_overlap(tasks, [replace(CARD, cells=[99], volumes=[volume])]).state == "pass"
