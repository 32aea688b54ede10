"""What follows from a stroke: the answer, the questions, what the model is asked again, and which task comes next."""

import threading

import numpy as np
import pytest

from ewval.core.errors import DamagedError, MissingError, UsageError
from ewval.core.ledger.reviews import Settled, Stroke
from ewval.core.review.asker import Opinion
from ewval.core.review.desk import pack_meshes
from ewval.core.review.scene import LISTED, TaskFacts, questions_of
from ewval.core.review.volumes import ShownVolumes
from slabs import SlabAsker


def test_a_task_begins_with_the_models_answer_and_its_questions_by_what_they_are_worth(make_desk):
    document = make_desk().document(1)
    assert document["answer"] == [1, 2, 3]
    assert document["seed"] == [1]
    assert document["state"] == "open"
    # All slabs are alike in size, so the likeliest to be wrong comes first: by .4, .2, .15 and .1.
    assert document["questions"] == [4, 5, 3, 2]
    assert [segment["id"] for segment in document["segments"]] == [2, 3, 4, 5]


def test_what_lies_behind_a_settled_contact_grows_and_falls_with_it(make_desk):
    desk = make_desk()
    assert desk.stroke(1, Stroke("yes", 4), after=0)["answer"] == [1, 2, 3, 4, 5, 6]
    # The person's own word stays; what the model added behind the contact goes.
    assert desk.stroke(1, Stroke("no", 5), after=1)["answer"] == [1, 2, 3, 4]
    assert desk.stroke(1, Stroke("undo"), after=2)["answer"] == [1, 2, 3, 4, 5, 6]
    assert desk.stroke(1, Stroke("undo"), after=3)["answer"] == [1, 2, 3]


def test_an_undo_asks_the_model_nothing(make_desk):
    asker = SlabAsker()
    desk = make_desk(asker=asker)
    desk.stroke(1, Stroke("yes", 4), after=0)
    asked = asker.asked
    desk.stroke(1, Stroke("undo"), after=1)
    assert asker.asked == asked + 1  # what nothing is settled of was never asked for: this is its first showing
    desk.stroke(1, Stroke("yes", 4), after=2)
    assert asker.asked == asked + 1


def test_a_final_answer_stays_as_it_was_seen_whatever_a_later_model_says(make_desk):
    make_desk().stroke(1, Stroke("accept"), after=0)

    class Other(SlabAsker):
        identity = "other"

        def ask(self, view, seed, *, excluded=()):
            return Opinion(np.array([8]), np.array([0.9]), np.array([True]))

    later = make_desk(asker=Other())
    assert later.document(1)["answer"] == [1, 2, 3]
    assert later.document(1)["state"] == "final"
    assert later.document(2)["answer"] == [1, 8]
    assert later.next_task() == 2


def test_two_pages_on_one_task_do_not_overwrite_each_other(make_desk):
    first, second = make_desk(), make_desk()
    first.stroke(1, Stroke("yes", 4), after=0)
    assert second.stroke(1, Stroke("no", 2), after=0) is None
    assert second.document(1)["yes"] == [4]


@pytest.mark.parametrize("segment", [1, 999])
def test_nothing_is_said_of_what_is_given_or_not_there(make_desk, segment):
    with pytest.raises(UsageError, match=f"segment {segment} of task 1"):
        make_desk().stroke(1, Stroke("no", segment), after=0)


def test_tasks_that_cannot_be_shown_are_passed_over_and_named(make_desk):
    desk = make_desk()
    seen = []
    while (task := desk.next_task()) is not None:
        seen.append(task)
        assert desk.stroke(task, Stroke("accept"), after=0) == {"task": task, "state": "final"}
    assert seen == [1, 2, 3, 7]
    assert desk.queue.open_count == 0
    assert "packed volume 999 not found" in desk.queue.problems[5]
    assert "the seed of task 6 not found" in desk.queue.problems[6]
    with pytest.raises(MissingError, match="task 77"):
        desk.document(77)
    with pytest.raises(MissingError, match="volume 999"):
        make_desk().volume(999)


def test_a_damaged_volume_is_named(make_desk, folder):
    folder.segmentation(100).write_bytes(b"damaged")
    desk = make_desk()
    with pytest.raises(DamagedError, match=r"segmentation/100/.* is damaged"):
        desk.document(1)
    assert desk.next_task() == 3


def test_a_task_without_an_answer_of_players_is_reviewed_like_any_other(make_desk):
    document = make_desk().document(7)
    assert (document["consensus"], document["answer"]) == (None, [4, 5, 6])


def test_what_players_chose_and_the_model_does_not_is_a_question(make_desk):
    document = make_desk().document(3)
    assert document["answer"] == [2, 3, 4]
    facts = TaskFacts(1, 100, None, (1,), (1, 40))
    opinion = Opinion(np.array([2]), np.array([0.99]), np.array([True]))
    voxels = np.full(65_536, 1000)
    asked = questions_of(facts, opinion, Settled(), answer=[1, 2], voxels=voxels)
    assert {question.id for question in asked} == {2, 40}


def test_thousands_of_candidates_become_a_list_that_can_be_read(make_desk, folder):
    class Many(SlabAsker):
        def ask(self, view, seed, *, excluded=()):
            ids = np.arange(2, 9000)
            return Opinion(ids, np.full(len(ids), 0.4), np.zeros(len(ids), bool))

    document = make_desk(asker=Many()).document(1)
    assert len(document["questions"]) == LISTED
    assert document["more"] == 8998 - LISTED


def test_ranking_orders_the_queue_and_is_kept(make_desk, folder):
    desk = make_desk(order="priority")
    desk.rank_all(SlabAsker(), ShownVolumes(folder, kept=1), stop=threading.Event())
    ranked = desk.queue.upcoming(10)
    # Tasks 1 and 3: the players agree with the model; in 2 they lack a slab that it is sure of.
    assert ranked[0] == 2
    assert set(desk.queue.problems) == {5, 6}
    again = make_desk(order="priority")
    assert again.queue.unranked() == [again.queue.tasks[5], again.queue.tasks[6]]
    assert again.queue.upcoming(1) == [2]
    stopped = threading.Event()
    stopped.set()
    make_desk(order="learn", asker=SlabAsker()).rank_all(SlabAsker(), ShownVolumes(folder), stop=stopped)


def test_meshes_are_packed_for_the_page(make_desk):
    meshes = make_desk().meshes(1, [0, 3])
    blob = pack_meshes(meshes)
    assert int.from_bytes(blob[:4], "little") == 0
    vertices, faces = (int.from_bytes(blob[at : at + 4], "little") for at in (4, 8))
    assert vertices == len(meshes[0].vertices) > 100
    second = 12 + -(-vertices * 3 // 2) * 4 + faces * 12
    assert int.from_bytes(blob[second : second + 4], "little") == 3
    assert len(blob) % 4 == 0
