"""What people said of tasks: every keystroke, and what each task has come to, in one SQLite file beside the ledger."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ewval.core.errors import AnswersDamagedError, MissingError, UsageError
from ewval.core.storage.text import parse_json

__all__ = ["DECISIONS", "ENDS", "Rank", "Review", "ReviewStore", "Settled", "Stroke", "answers_of", "replay"]

State = Literal["open", "final", "skipped"]
STATES: tuple[State, ...] = get_args(State)
Kind = Literal["yes", "no", "undo", "accept", "skip"]

DECISIONS = ("yes", "no")
"""Strokes that say of one segment whether it belongs to the neuron."""
ENDS: dict[str, State] = {"accept": "final", "skip": "skipped"}
"""Strokes that settle a task, and the state that it is in then."""
FORMAT = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews(
    task INTEGER NOT NULL, who TEXT NOT NULL, volume INTEGER NOT NULL, model TEXT NOT NULL,
    seed TEXT NOT NULL,               -- JSON list of segment ids
    segments TEXT NOT NULL,           -- JSON list of segment ids, seed included: the answer as the person saw it last
    state TEXT NOT NULL,              -- open | final | skipped
    begun TEXT NOT NULL, at TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (task, who));
CREATE TABLE IF NOT EXISTS strokes(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL,
    kind TEXT NOT NULL,               -- yes | no | undo | accept | skip
    segment INTEGER,                  -- what yes or no was said of
    seconds REAL NOT NULL, model TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS strokes_task ON strokes(task, who);
CREATE TABLE IF NOT EXISTS ranks(
    task INTEGER NOT NULL, model TEXT NOT NULL, priority REAL NOT NULL, doubt REAL NOT NULL,
    contacts INTEGER NOT NULL, familiarity REAL NOT NULL,
    kind TEXT NOT NULL,               -- JSON list of numbers: what its doubtful contacts are like
    PRIMARY KEY (task, model));
"""
COLUMNS = "task, who, volume, model, seed, segments, state, begun, at, seconds"


@dataclass(frozen=True, slots=True)
class Stroke:
    """One thing that a person did.

    Args:
        kind: What.
        segment: What `yes` or `no` was said of; None for the other kinds.
        seconds: Spent looking since the stroke before.
        at: When, ISO 8601 UTC; empty until it is recorded.
    """

    kind: Kind
    segment: int | None = None
    seconds: float = 0.0
    at: str = ""

    def __post_init__(self) -> None:
        if (self.kind in DECISIONS) != (self.segment is not None):
            raise ValueError(f"a stroke {self.kind!r} of segment {self.segment}")


@dataclass(frozen=True, slots=True)
class Settled:
    """Segments of which a person said that they belong to the neuron, and that they do not."""

    yes: frozenset[int] = frozenset()
    no: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Review:
    """What a task has come to under one person's hands.

    Args:
        task: Its id.
        who: The person.
        volume: The task's volume.
        model: That the answer began with.
        seed: Segments that were given, ascending.
        segments: The answer, seed included, ascending.
        state: open, final or skipped.
        begun: When the first stroke was made, ISO 8601 UTC.
        at: When the latest was made.
        seconds: Spent looking, in all.
    """

    task: int
    who: str
    volume: int
    model: str
    seed: tuple[int, ...]
    segments: tuple[int, ...]
    state: State = "open"
    begun: str = ""
    at: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rank:
    """What speaks for asking a task early.

    Args:
        priority: What a person's look is worth, see `review_priority`.
        doubt: How unsure the model is, in voxels that it expects to be wrong.
        contacts: That an answer tells something about: those of the object as the model sees it.
        familiarity: Of the volume, in [0, 1]; 1 where the model cannot say.
        kind: What its doubtful contacts are like; empty where it has none.
    """

    priority: float
    doubt: float
    contacts: int = 0
    familiarity: float = 1.0
    kind: tuple[float, ...] = ()


def replay(strokes: Iterable[Stroke]) -> Settled:
    """Return what is settled after `strokes`: the latest word on each segment; an undo takes the stroke before back."""
    standing: list[Stroke] = []
    for stroke in strokes:
        if stroke.kind != "undo":
            standing.append(stroke)
        elif standing:
            standing.pop()
    latest = {stroke.segment: stroke.kind for stroke in standing if stroke.segment is not None}
    sides = (frozenset(segment for segment, kind in latest.items() if kind == side) for side in DECISIONS)
    return Settled(*sides)


def answers_of(reviews: Iterable[Review]) -> dict[int, Review]:
    """Return the answer to each task, the latest final one where several people gave one."""
    latest: dict[int, Review] = {}
    for review in reviews:
        if review.state == "final" and (review.task not in latest or review.at >= latest[review.task].at):
            latest[review.task] = review
    return latest


class ReviewStore:
    """The answers at `path`, made where there are none.

    Every stroke is on disk before `record` returns. It may be used from any thread.

    Raises:
        AnswersDamagedError: The file is none of ours; the methods raise it where what they read is not what was kept.
        UsageError: It cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, threading.RLock()
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
            if found > FORMAT:
                raise AnswersDamagedError(
                    str(path), f"it was written by a newer ewval (format {found}), which can read it"
                )
            self._connection.executescript(SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    @classmethod
    def open_existing(cls, path: Path) -> "ReviewStore":
        """Open answers that are there.

        Raises:
            MissingError: There are none.
        """
        if not path.is_file():
            raise MissingError(f"reviewed answers {path}", hint="`ewval review` makes them")
        return cls(path)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._connection.close()

    def strokes(self, task: int, who: str) -> list[Stroke]:
        """Return everything that `who` did to a task, in order."""
        query = "SELECT kind, segment, seconds, at FROM strokes WHERE task = ? AND who = ? ORDER BY id"
        with self._translated():
            return [Stroke(*row) for row in self._connection.execute(query, (task, who))]

    def review(self, task: int, who: str) -> Review | None:
        """Return what a task has come to, None where `who` never touched it."""
        query = f"SELECT {COLUMNS} FROM reviews WHERE task = ? AND who = ?"
        with self._translated():
            row = self._connection.execute(query, (task, who)).fetchone()
            return None if row is None else _read(row)

    def record(self, review: Review, stroke: Stroke, *, after: int) -> Review | None:
        """Keep one stroke and what the task has come to by it.

        Args:
            review: With the answer after the stroke.
            stroke: What was done.
            after: How many strokes the person's page knew of.

        Returns:
            The review as it stands now; None where other strokes came first, and then nothing is kept.
        """
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._translated(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            before = self.review(review.task, review.who)
            if len(self.strokes(review.task, review.who)) != after:
                return None
            kept = replace(
                review,
                state=ENDS.get(stroke.kind, "open"),
                begun=before.begun if before else now,
                at=now,
                seconds=round((before.seconds if before else 0.0) + stroke.seconds, 3),
            )
            self._connection.execute(
                "INSERT INTO strokes(task, who, at, kind, segment, seconds, model) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (kept.task, kept.who, now, stroke.kind, stroke.segment, stroke.seconds, kept.model),
            )
            self._connection.execute(f"INSERT OR REPLACE INTO reviews({COLUMNS}) VALUES ({'?, ' * 9}?)", _row(kept))
        return kept

    def settled(self, *, who: str | None = None) -> Iterator[Review]:
        """Yield the tasks that are final or skipped, by task and person; those of `who` alone, or everybody's."""
        query = f"SELECT {COLUMNS} FROM reviews WHERE state != 'open' AND who = coalesce(?, who) ORDER BY task, at, who"
        with self._translated():
            reviews = [_read(row) for row in self._connection.execute(query, (who,))]
        yield from reviews

    def states(self, who: str) -> dict[int, State]:
        """Return the state of every task that `who` touched."""
        query = "SELECT task, state FROM reviews WHERE who = ?"
        with self._translated():
            return dict(self._connection.execute(query, (who,)))

    def ranks(self, model: str) -> dict[int, Rank]:
        """Return what is known, by a model's identity, of the tasks that it has looked at."""
        query = "SELECT task, priority, doubt, contacts, familiarity, kind FROM ranks WHERE model = ?"
        with self._translated():
            rows = self._connection.execute(query, (model,))
            return {task: Rank(p, d, c, f, tuple(_list(kind, of=(int, float)))) for task, p, d, c, f, kind in rows}

    def save_ranks(self, model: str, ranks: Sequence[tuple[int, Rank]]) -> None:
        """Keep ranks, so that the next start knows its order at once."""
        rows = [
            (
                task,
                model,
                rank.priority,
                rank.doubt,
                rank.contacts,
                rank.familiarity,
                json.dumps(rank.kind, allow_nan=False),
            )
            for task, rank in ranks
        ]
        with self._translated(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO ranks VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.OperationalError as error:  # locked, full, read-only: the file itself may be fine
                raise UsageError(f"cannot use {self.path}: {error}") from error
            except (sqlite3.DatabaseError, ValueError) as error:
                raise AnswersDamagedError(str(self.path), str(error)) from error


def _row(review: Review) -> tuple[Any, ...]:
    lists = _json(review.seed), _json(review.segments)
    rest = review.state, review.begun, review.at, review.seconds
    return (review.task, review.who, review.volume, review.model, *lists, *rest)


def _read(row: Sequence[Any]) -> Review:
    """Return the review in a row.

    Raises:
        ValueError: It holds what was never written there.
    """
    task, who, volume, model, seed, segments, *rest = row
    try:
        review = Review(task, who, volume, model, tuple(_list(seed)), tuple(_list(segments)), *rest)
        if review.state not in STATES or not isinstance(review.seconds, int | float):
            raise ValueError(f"state {review.state!r}, seconds {review.seconds!r}")
    except ValueError as error:
        raise ValueError(f"what {who} answered to task {task}: {error}") from error
    return review


def _list(text: Any, *, of: tuple[type, ...] = (int,)) -> list[Any]:
    """Return the numbers, each of a type in `of`, in JSON; ValueError where it is no list of them."""
    found = parse_json(text if isinstance(text, bytes) else str(text).encode())
    if not (isinstance(found, list) and all(type(number) in of for number in found)):
        raise ValueError(f"{text!r:.60} is no list of numbers")
    return found


def _json(value: object) -> str:
    return json.dumps(value, allow_nan=False)
