"""Every stroke is kept, in order, and what follows from them is what was seen."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ewval.core.errors import AnswersDamagedError, DamagedError, MissingError, UsageError
from ewval.core.ledger.reviews import Rank, Review, ReviewStore, Settled, Stroke, replay

REVIEW = Review(7, "ann", 100, "slabs", (1,), (1, 2))


@pytest.fixture
def store(tmp_path):
    opened = ReviewStore(tmp_path / "reviews.sqlite")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("strokes", "settled"),
    [
        ([], Settled()),
        ([("yes", 2), ("no", 3)], Settled(frozenset({2}), frozenset({3}))),
        ([("yes", 2), ("no", 2)], Settled(frozenset(), frozenset({2}))),
        ([("yes", 2), ("no", 2), ("undo", None)], Settled(frozenset({2}))),
        ([("undo", None), ("yes", 2)], Settled(frozenset({2}))),
        ([("yes", 2), ("accept", None), ("undo", None)], Settled(frozenset({2}))),
        ([("yes", 2), ("accept", None), ("undo", None), ("undo", None)], Settled()),
    ],
)
def test_the_latest_word_on_a_segment_counts_and_an_undo_takes_one_stroke_back(strokes, settled):
    assert replay([Stroke(*words) for words in strokes]) == settled


@pytest.mark.parametrize("words", [("yes", None), ("accept", 3)])
def test_a_stroke_that_makes_no_sense_is_refused(words):
    with pytest.raises(ValueError, match="a stroke"):
        Stroke(*words)


def test_strokes_add_up_to_a_review(store):
    assert store.review(7, "ann") is None
    store.record(REVIEW, Stroke("yes", 3, 1.5), after=0)
    store.record(REVIEW, Stroke("accept", None, 2.0), after=1)
    kept = store.review(7, "ann")
    assert (kept.state, kept.seconds, kept.segments, kept.seed) == ("final", 3.5, (1, 2), (1,))
    assert kept.begun <= kept.at
    assert [(s.kind, s.segment, s.seconds) for s in store.strokes(7, "ann")] == [("yes", 3, 1.5), ("accept", None, 2.0)]
    assert store.states("ann") == {7: "final"}
    assert store.states("bob") == {}


def test_a_stroke_that_comes_too_late_is_not_kept(store):
    store.record(REVIEW, Stroke("yes", 3), after=0)
    assert store.record(REVIEW, Stroke("no", 3), after=0) is None
    assert len(store.strokes(7, "ann")) == 1


def test_a_task_that_was_settled_is_open_again_after_a_change(store):
    store.record(REVIEW, Stroke("skip"), after=0)
    assert [review.state for review in store.settled()] == ["skipped"]
    store.record(REVIEW, Stroke("yes", 3), after=1)
    assert list(store.settled()) == []


def test_people_do_not_meet_in_one_task(store):
    store.record(REVIEW, Stroke("accept"), after=0)
    other = Review(7, "bob", 100, "slabs", (1,), (1, 2, 3))
    store.record(other, Stroke("accept"), after=0)
    assert {review.who: review.segments for review in store.settled()} == {"ann": (1, 2), "bob": (1, 2, 3)}
    assert [review.who for review in store.settled(who="bob")] == ["bob"]


def test_ranks_are_those_of_one_model(store):
    store.save_ranks("one", [(7, Rank(0.5, 10.0, 40, 0.8, (1.0, 2.0)))])
    assert store.ranks("one") == {7: Rank(0.5, 10.0, 40, 0.8, (1.0, 2.0))}
    assert store.ranks("two") == {}


def test_a_file_that_is_none_of_ours_is_named(tmp_path):
    path = tmp_path / "reviews.sqlite"
    with pytest.raises(MissingError, match="reviewed answers"):
        ReviewStore.open_existing(path)
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(DamagedError, match=r"reviews\.sqlite is damaged"):
        ReviewStore(path)
    with pytest.raises(UsageError, match="cannot use"):
        ReviewStore(tmp_path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("segments", "[1,"),
        ("segments", "5"),
        ("segments", '["1"]'),
        ("segments", "[1.5]"),
        ("segments", "[true]"),
        ("seed", '{"1": 2}'),
        ("seed", "[" * 100_000),
        ("seed", b"\xff\xfe"),
        ("state", "lost"),
        ("seconds", "many"),
    ],
)
def test_a_row_that_was_never_written_is_named_in_the_file_that_has_to_be_kept(store, column, value):
    store.record(REVIEW, Stroke("accept"), after=0)
    with store._connection:
        store._connection.execute(f"UPDATE reviews SET {column} = ?", (value,))
    for read in (lambda: list(store.settled()), lambda: store.review(7, "ann")):
        with pytest.raises(AnswersDamagedError, match=r"reviews\.sqlite is damaged: what ann answered to task 7: "):
            read()
    with pytest.raises(AnswersDamagedError, match="what ann answered to task 7"):
        store.record(REVIEW, Stroke("accept"), after=1)


def test_a_rank_that_was_never_written_is_named(store):
    store.save_ranks("one", [(7, Rank(0.5, 10.0))])
    with store._connection:
        store._connection.execute("UPDATE ranks SET kind = '5'")
    with pytest.raises(AnswersDamagedError, match="'5' is no list of numbers"):
        store.ranks("one")


def test_a_newer_file_is_left_alone(store, tmp_path):
    store._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DamagedError, match="newer ewval"):
        ReviewStore(tmp_path / "reviews.sqlite")


def test_what_was_recorded_survives_a_kill(tmp_path):
    path = tmp_path / "reviews.sqlite"
    script = (
        "import sys, time; from pathlib import Path; from ewval.core.ledger.reviews import *\n"
        "store = ReviewStore(Path(sys.argv[1])); review = Review(7, 'ann', 100, 'm', (1,), (1, 2))\n"
        "for i in range(10**6):\n store.record(review, Stroke('yes', 2), after=i); print(i + 1, flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    told = 0
    until = time.monotonic() + 60
    while told < 5 and time.monotonic() < until:
        told = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    told = max([told, *(int(line) for line in process.stdout.read().split())])
    process.wait()
    process.stdout.close()
    store = ReviewStore(path)
    assert len(store.strokes(7, "ann")) >= told >= 5
    store.close()
