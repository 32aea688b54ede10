"""One run of `ewval predict`: what is asked, what comes of each task, what is left in the folder."""

from collections import deque
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ewval.core.errors import EwvalError
from ewval.core.fetch.on_disk import LocalData, by_volume
from ewval.core.fetch.provision import Fetcher, provide, tasks_of_cells
from ewval.core.folder import DataFolder
from ewval.core.models.decider import Decider
from ewval.core.predict.batch import Failed
from ewval.core.predict.changes import DataChanges
from ewval.core.predict.folder import AnswerFolder
from ewval.core.predict.shards import ALONE, Shards
from ewval.core.predict.work import Found, Result, Work, WorkerModel, shared, without_map
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.decision import AS_CARDS_SAY, Looks
from ewval.core.show.viewer import VolumePicture
from ewval.core.workers import Workers


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What is asked.

    Args:
        folder: The data folder.
        tasks: Task ids, in the order wanted.
        cells: Cells whose tasks are asked for, after `tasks`.
        decider: Who decides.
        looks: How networks look.
        out: Where the answers are saved; None saves nothing.
        pictures: Whether maps and pictures are saved with them.
        maps: Whether results come with their voxel maps, for a report on answers that are not saved.
        model: How workers come by the same decider; without it this process does everything.
        workers: Who answers where tasks lie in more than a few volumes.
    """

    folder: DataFolder
    tasks: tuple[int, ...]
    decider: Decider
    cells: tuple[int, ...] = ()
    looks: Looks = AS_CARDS_SAY
    out: Path | None = None
    pictures: bool = True
    maps: bool = False
    model: WorkerModel | None = None
    workers: Workers = field(default_factory=lambda: Workers(count=1))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for in its order; what of it is to be done; and what cannot be done, with the reason."""

    wanted: tuple[int, ...]
    unanswered: tuple[int, ...]
    failed: dict[int, EwvalError]


class PredictRun:
    """A run; iterating over it does the work and yields what came of each task, in the order wanted.

    Under torchrun every process does a part and the first one yields all; the others yield nothing.

    Args:
        request: What is asked.
        fetch: Fetches what is missing.
        progress: Advanced by tasks that can be answered.
        packing: Advanced by volumes that have to be packed first.
        shards: This process's place among those of torchrun.

    Attributes:
        failed_cells: Cells whose tasks could not be had, known once the first task is through.
    """

    def __init__(
        self,
        request: PredictRequest,
        *,
        fetch: Fetcher,
        progress: Progress = SILENT,
        packing: Progress = SILENT,
        shards: Shards = ALONE,
    ) -> None:
        self.request, self._fetch, self._progress, self._packing = request, fetch, progress, packing
        self.shards = shards
        self.context = request.decider.context
        self.failed_cells: dict[int, EwvalError] = {}
        self.made_with = made_with(request)
        self.saved = _answer_folder(request, self.made_with)
        self._work = Work(request.folder, request.decider, looks=request.looks, saved=self.saved)
        self.source, self.store = self._work.source, self._work.store

    def __iter__(self) -> Generator[Result, None, None]:
        plan = self._plan()
        with closing(self._own(plan.unanswered)) as own:  # so that an interrupt ends workers wherever it comes
            if self.shards.is_first:
                yield from self._all(plan, own)
            else:
                for result in own:
                    self.shards.put(str(result.task), without_map(result))

    def _all(self, plan: "Plan", own: Iterator[Result]) -> Iterator[Result]:
        failed: dict[int, str] = {}
        for result in self._gather(plan, own):
            if isinstance(result, Failed):
                failed[result.task] = str(result.error)
            yield result
        if self.saved is not None:
            self.saved.finish(plan.wanted, failed=failed)

    @property
    def reads_contacts(self) -> bool:
        """Whether it is decided by where segments touch, most of which packed volumes have lost."""
        return self.request.decider.reads_graph

    def picture(self, volume: int) -> VolumePicture:
        """Return a volume at the best resolution at hand."""
        image, labels = self.source.to_draw(volume)
        return VolumePicture(
            image=self.store.image(volume) if image is None else image,
            labels=self.store.segmentation(volume) if labels is None else labels,
        )

    def _plan(self) -> "Plan":
        """Fetch and pack in the first process while the others wait, so that all of them go by one plan."""
        if not self.shards.is_first:
            plan: Plan = self.shards.get("plan")
            return plan
        local = LocalData(self.request.folder, self.context)
        of_cells = tasks_of_cells(local, self.request.cells, fetch=self._fetch)
        self.failed_cells = of_cells.failed
        wanted = tuple(dict.fromkeys((*self.request.tasks, *of_cells.tasks)))
        open_tasks = self._open(wanted)
        provision = provide(local, open_tasks, fetch=self._fetch, progress=self._packing)
        plan = Plan(wanted, provision.tasks, provision.failed)
        self.shards.put("plan", plan)
        if count := len(wanted) - len(plan.failed):
            self._progress.start(count, unit="tasks")
        return plan

    def _own(self, unanswered: Sequence[int]) -> Generator[Result, None, None]:
        """Yield what comes of this process's part of the open tasks."""
        if not unanswered:
            return
        if self.shards.size > 1:
            table = LocalData(self.request.folder, self.context).table(unanswered)
            yield from self._work.results(self.shards.part(by_volume(unanswered, table)))
        else:
            yield from self._share(unanswered)

    def _share(self, unanswered: Sequence[int]) -> Iterator[Result]:
        request = self.request
        yield from shared(
            unanswered,
            folder=request.folder,
            decider=request.decider,
            model=request.model,
            looks=request.looks,
            out=request.out,
            pictures=request.pictures,
            workers=request.workers,
        ) or self._work.results(unanswered, maps=request.maps)

    def _gather(self, plan: "Plan", own: Iterator[Result]) -> Iterator[Result]:
        """Yield every result in the order wanted; own ones, which come volume by volume, wait for their turn."""
        waiting, unanswered = deque(plan.wanted), frozenset(plan.unanswered)
        ready: dict[int, Result] = {task: Failed(task, error) for task, error in plan.failed.items()}
        for result in own:
            self._progress.advance()
            ready[result.task] = result
            while waiting and (head := self._take(waiting[0], ready, unanswered, wait=False)) is not None:
                waiting.popleft()
                yield head
            if result.task in ready and not self.request.maps:
                ready[result.task] = without_map(result)
        for task in waiting:
            last = self._take(task, ready, unanswered, wait=True)
            assert last is not None  # every task is failed, finished, ours or another process's
            yield last

    def _take(self, task: int, ready: dict[int, Result], unanswered: Collection[int], *, wait: bool) -> Result | None:
        if task in ready:
            return ready.pop(task)
        if task in unanswered and not (self.shards.size > 1 and (wait or self.shards.has(str(task)))):
            return None
        self._progress.advance()
        if task in unanswered:
            received: Result = self.shards.get(str(task))
            return received
        assert self.saved is not None  # an earlier run answered it
        return Found(task, self.saved.document(task))

    def _open(self, wanted: Sequence[int]) -> list[int]:
        """Return those of `wanted` that have no saved answer, or one for data that is no longer so."""
        saved, request = self.saved, self.request
        if saved is None:
            return list(wanted)
        answered = [task for task in wanted if saved.has(task)]
        changes = DataChanges(request.folder, answered, reads_graph=request.decider.reads_graph)
        done = {
            task for task in answered if (document := saved.find(task)) is not None and not changes.concern(document)
        }
        return [task for task in wanted if task not in done]


def made_with(request: PredictRequest) -> dict[str, Any]:
    """Return what decides the answers of a run: two runs that agree in it give the same ones."""
    decider, looks = request.decider, request.looks
    about = {"model": decider.name, "weights": dict(decider.identity)} | (
        {} if request.pictures else {"pictures": False}
    )
    return about if decider.loops is None else about | {"loops": looks.loops or decider.loops, "tta": looks.tta}


def _answer_folder(request: PredictRequest, about: dict[str, Any]) -> AnswerFolder | None:
    return None if request.out is None else AnswerFolder(request.out, made_with=about, pictures=request.pictures)


__all__ = ["Found", "PredictRequest", "PredictRun", "Result", "Shards", "made_with"]
