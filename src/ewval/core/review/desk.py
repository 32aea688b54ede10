"""What happens between a person's keystrokes and the answers that are kept; knows nothing of pages and servers."""

import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from ewval.core.errors import EwvalError, MissingError, UsageError
from ewval.core.ledger.reviews import ENDS, Rank, Review, ReviewStore, Settled, Stroke, replay
from ewval.core.review.asker import Asker, Opinion
from ewval.core.review.queue import Queue
from ewval.core.review.ranking import rank_of
from ewval.core.review.scene import Scene, TaskFacts, answer_of
from ewval.core.review.volumes import Shown, ShownVolumes
from ewval.core.segments.views import GraphView
from ewval.core.show.meshes import Mesh
from ewval.core.storage.cache import BoundedCache

__all__ = ["Desk", "pack_meshes"]

SCENES = 3
"""The task before, the present one and the next."""
OPINIONS = 64
"""Answers of the model that are kept, so that an undo is there at once."""
RANKS_AT_ONCE = 16
"""Ranks that are written to disk together."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A task that is ready: its scene, and the surfaces that were made of its segments."""

    scene: Scene
    meshes: dict[int, Mesh] = field(default_factory=dict)


class Desk:
    """Tasks as a person goes through them; safe to use from many threads.

    Args:
        queue: The tasks and their order.
        volumes: Where the tasks lie.
        asker: The model.
        store: Where every stroke is kept.
        who: The person.

    Attributes:
        is_begun: Set once the person has seen something: work that can wait does not hold up the first task.
    """

    def __init__(self, queue: Queue, volumes: ShownVolumes, asker: Asker, store: ReviewStore, *, who: str) -> None:
        self.queue, self.who, self.is_begun = queue, who, threading.Event()
        self._volumes, self._asker, self._store = volumes, asker, store
        self._open: BoundedCache[int, _Open] = BoundedCache(SCENES)
        self._opinions: BoundedCache[tuple[int, Settled], Opinion] = BoundedCache(OPINIONS)
        self._lock = threading.RLock()

    def document(self, task: int) -> dict[str, Any]:
        """Return what the page is told of a task.

        Raises:
            EwvalError: It cannot be shown; the queue then passes it over.
        """
        ready, review = self._ready(task), self._store.review(task, self.who)
        strokes = self._store.strokes(task, self.who)
        settled = replay(strokes)
        opinion = self._opinion(ready.scene, settled)
        is_settled = review is not None and review.state != "open"
        segments = review.segments if review is not None and is_settled else None
        document = ready.scene.document(opinion, settled, thresholds=self._asker.thresholds, segments=segments)
        return document | {
            "edge": len(self._volumes[ready.scene.facts.volume].image),
            "model": self._asker.name,
            "state": review.state if review is not None else "open",
            "strokes": len(strokes),
            "seconds": review.seconds if review is not None else 0.0,
            "priority": self.queue.priority(task),
            "left": self.queue.open_count,
        }

    def stroke(self, task: int, stroke: Stroke, *, after: int) -> dict[str, Any] | None:
        """Keep what the person did; return the task as it then stands, or only its state where that ended it.

        None is returned, and nothing kept, where another page was faster.

        Args:
            task: Its id.
            stroke: What was done.
            after: How many strokes the page knew of.

        Raises:
            UsageError: Something is said of a segment that the volume does not have, or of one that is given.
        """
        scene = self._ready(task).scene
        facts = scene.facts
        if stroke.segment is not None and (stroke.segment in facts.seed or not scene.places.has(stroke.segment)):
            raise UsageError(f"segment {stroke.segment} of task {task} is given, or not in its volume")
        settled = replay([*self._store.strokes(task, self.who), stroke])
        segments = answer_of(facts, self._opinion(scene, settled), settled)
        review = Review(task, self.who, facts.volume, self._asker.name, facts.seed, tuple(segments))
        if self._store.record(review, stroke, after=after) is None:
            return None
        self.queue.settle(task, is_settled=stroke.kind in ENDS)
        return {"task": task, "state": ENDS[stroke.kind]} if stroke.kind in ENDS else self.document(task)

    def next_task(self, *, without: Iterable[int] = ()) -> int | None:
        """Return the next open task that can be shown, made ready; None where there is none."""
        while upcoming := self.queue.upcoming(1, without=without):
            try:
                self.prepare(upcoming[0])
            except EwvalError:
                continue  # the queue knows
            return upcoming[0]
        return None

    def prepare(self, task: int) -> None:
        """Make everything of a task that the page will ask for.

        Raises:
            EwvalError: It cannot be shown.
        """
        document = self.document(task)
        self.meshes(task, [segment["id"] for segment in document["segments"]])

    def volume(self, volume: int) -> Shown:
        """Return a volume that a task lies in.

        Raises:
            MissingError: No task lies in it, or it is not in the data folder.
        """
        if all(facts.volume != volume for facts in self.queue.tasks.values()):
            raise MissingError(f"volume {volume}")
        return self._volumes[volume]

    def meshes(self, task: int, segments: Sequence[int]) -> dict[int, Mesh]:
        """Return the surfaces of segments; 0 stands for the seed as one body."""
        ready = self._ready(task)
        for segment in segments:
            if segment not in ready.meshes:
                ready.meshes[segment] = ready.scene.places.mesh([segment] if segment else ready.scene.facts.seed)
        return {segment: ready.meshes[segment] for segment in segments}

    def rank_all(self, asker: Asker, volumes: ShownVolumes, *, stop: threading.Event) -> None:
        """Rank the open tasks, volume by volume, until all are ranked or `stop` is set.

        Args:
            asker: The same model as the person's, of its own so that neither waits for the other.
            volumes: Of its own, for the same reason.
            stop: Looked at before each task.
        """
        tasks = sorted(self.queue.unranked(), key=lambda facts: (facts.volume, facts.task))
        fresh: list[tuple[int, Rank]] = []
        for facts in tasks:
            if stop.is_set():
                break
            try:
                view = volumes.graph(facts.volume)
                _check_seed(facts, view)
                rank = rank_of(facts, asker.ask(view, facts.seed), view)
            except EwvalError as error:
                self.queue.fail(facts.task, str(error))
                continue
            self.queue.rank(facts.task, rank)
            fresh.append((facts.task, rank))
            if len(fresh) >= RANKS_AT_ONCE:
                self._store.save_ranks(asker.identity, fresh)
                fresh = []
        self._store.save_ranks(asker.identity, fresh)

    def _ready(self, task: int) -> _Open:
        with self._lock:
            if task in self._open:
                return self._open.get(task, _unmade)
        if task not in self.queue.tasks:
            raise MissingError(f"task {task}", hint="it is not among those that are reviewed")
        facts = self.queue.tasks[task]
        try:
            shown = self._volumes[facts.volume]
            _check_seed(facts, shown.view)
            made = _Open(Scene(facts, shown.view, shown.places))
        except EwvalError as error:
            self.queue.fail(task, str(error))
            raise
        with self._lock:
            return self._open.get(task, lambda: made)

    def _opinion(self, scene: Scene, settled: Settled) -> Opinion:
        key = (scene.facts.task, settled)
        with self._lock:
            if key in self._opinions:
                return self._opinions.get(key, _unmade)
        opinion = self._asker.ask(scene.view, {*scene.facts.seed, *settled.yes}, excluded=settled.no)
        with self._lock:
            return self._opinions.get(key, lambda: opinion)


def _unmade() -> NoReturn:
    raise AssertionError("it was there under the same lock")


def pack_meshes(meshes: dict[int, Mesh]) -> bytes:
    """Return surfaces as little-endian bytes, one after another: id and two counts as uint32, vertices, triangles.

    Vertices are three uint16 each, filled up to whole uint32; triangles three uint32 each.
    """
    parts: list[bytes] = []
    for segment, mesh in meshes.items():
        parts.append(struct.pack("<III", segment, len(mesh.vertices), len(mesh.faces)))
        parts.append(mesh.vertices.astype("<u2").tobytes() + b"\0\0" * (mesh.vertices.size % 2))
        parts.append(mesh.faces.astype("<u4").tobytes())
    return b"".join(parts)


def _check_seed(facts: TaskFacts, view: GraphView) -> None:
    """Make sure that there is something to begin with.

    Raises:
        MissingError: The task has no seed, or its volume none of the seed's segments.
    """
    if not facts.seed:
        raise MissingError(f"the seed of task {facts.task}", hint="Eyewire lists no seed segments for it")
    if not np.isin(facts.seed, view.graph.ids).any():
        raise MissingError(f"the seed of task {facts.task}", hint=f"volume {facts.volume} has no segments of these ids")
