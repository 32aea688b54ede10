"""Tasks answered, and their answers left where they are saved: by this process, or by workers volume by volume."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from ewval.core.errors import DamagedError, WorkerDiedError
from ewval.core.fetch.on_disk import LocalData, by_volume
from ewval.core.folder import DataFolder
from ewval.core.models.decider import Decider
from ewval.core.models.registry import load_ensemble
from ewval.core.predict.answers import Answer, to_document
from ewval.core.predict.batch import Answerer, Failed, Outcome
from ewval.core.predict.folder import AnswerFolder
from ewval.core.segments.decision import Looks
from ewval.core.segments.views import VolumeSource
from ewval.core.tasks.samples import SampleBuilder
from ewval.core.volumes.store import PackedStore
from ewval.core.workers import Failure, Workers

__all__ = ["Found", "Result", "Work", "WorkerModel", "decider_of", "shared", "without_map"]

WINDOW = 2048
"""Tasks that are ordered by volume at a time: what comes before its turn waits in memory, without its voxel map."""
WINDOW_OF_MAPS = 128
"""The same where voxel maps are wanted: 2 MB a task wait."""
ALONE = 2
"""Up to so many volumes are answered in this process: starting others would take longer."""
DECIDERS_KEPT = 2


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a task, as a document.

    `answer`, which holds the voxel map, is None where the answer was saved by an earlier run or another process, and
    where it had to wait for its turn and no map was asked for.
    """

    task: int
    document: Mapping[str, Any]
    answer: Answer | None = None


Result = Found | Failed


@dataclass(frozen=True, slots=True)
class WorkerModel:
    """How a worker comes by a decider.

    Args:
        names: Of models, packaged or paths, as `load_ensemble` takes them.
        device: Where networks go.
    """

    names: tuple[str | None, ...] = (None,)
    device: str = "cpu"

    def absolute(self) -> "WorkerModel":
        """Return the same for a process with another current directory."""
        names = (
            str(Path(name).absolute()) if name is not None and Path(name).exists() else name for name in self.names
        )
        return WorkerModel(tuple(names), self.device)


class Work:
    """Answers tasks, and saves the answers.

    Args:
        folder: The data folder.
        decider: Who decides.
        looks: How networks look.
        saved: Where the answers are saved; None saves nothing.
    """

    def __init__(self, folder: DataFolder, decider: Decider, *, looks: Looks, saved: AnswerFolder | None) -> None:
        self._folder, self._decider, self._looks, self._saved = folder, decider, looks, saved
        self.source, self.store = VolumeSource(folder), PackedStore(folder)

    def results(self, tasks: Sequence[int], *, maps: bool = False) -> Iterator[Result]:
        """Yield what comes of each task, saved by then: volume by volume, so each is read once for `WINDOW` tasks.

        Args:
            tasks: What is asked.
            maps: Whether all voxel maps will be wanted, so that fewer tasks may wait for their turn.
        """
        for outcome in self._outcomes(tasks, window=WINDOW_OF_MAPS if maps else WINDOW):
            yield outcome if isinstance(outcome, Failed) else self._kept(outcome)

    def all_results(self, tasks: Sequence[int]) -> list[Result]:
        """Return what comes of each task, all saved by then, without maps: one is written while the next is found.

        Pictures are made in turn, since they read what answers are found with.

        Raises:
            WriteError: An answer cannot be saved; those after it may be there.
        """
        results: list[Result] = []
        writes: list[Future[None]] = []
        saved = self._saved
        if saved is None or saved.pictures:
            return [without_map(result) for result in self.results(tasks)]
        with ThreadPoolExecutor(max_workers=1) as writer:
            for outcome in self._outcomes(tasks, window=WINDOW):
                results.append(result := _result(outcome))
                if isinstance(result, Found):
                    writes.append(writer.submit(saved.save_document, result.task, result.document))
        for write in writes:
            write.result()  # raises what hindered it
        return results

    def _outcomes(self, tasks: Sequence[int], *, window: int) -> Iterator[Outcome]:
        context = self._decider.context
        builder = SampleBuilder(LocalData(self._folder, context).table(tasks), self.store, context=context)
        answerer = Answerer(self._decider, builder, source=self.source, looks=self._looks)
        for part in _windows(tasks, size=window):
            yield from answerer.answer(part)

    def _kept(self, answer: Answer) -> Found:
        document = to_document(answer)
        if self._saved is not None and self._saved.pictures:
            self._save(answer, self._saved)
        elif self._saved is not None:
            self._saved.save_document(answer.task, document)
        return Found(answer.task, document, answer)

    def _save(self, answer: Answer, folder: AnswerFolder) -> None:
        volume = answer.prediction.volume
        image, labels = self.source.to_draw(volume)
        folder.save(
            answer, packed=(self.store.image(volume), self.store.segmentation(volume)), image=image, labels=labels
        )


@dataclass(frozen=True, slots=True)
class _Call:
    """The tasks of one volume, in a worker.

    Args:
        folder: The data folder, by an absolute path.
        model: How the decider is come by.
        identity: What the decider must be.
        looks: How networks look.
        out: Where the answers are saved.
        pictures: Whether with maps and pictures.
        tasks: Of each volume.
    """

    folder: DataFolder
    model: WorkerModel
    identity: Mapping[str, Any]
    looks: Looks
    out: Path | None
    pictures: bool
    tasks: Mapping[int, Sequence[int]] = field(default_factory=dict)

    def __call__(self, volume: int) -> list[Result]:
        decider = decider_of(self.model)
        if dict(decider.identity) != dict(self.identity):
            raise DamagedError(f"model {decider.name}", "it was changed while it was at work")
        saved = None if self.out is None else AnswerFolder.of_other_process(self.out, pictures=self.pictures)
        work = Work(self.folder, decider, looks=self.looks, saved=saved)
        return work.all_results(self.tasks[volume])


@lru_cache(maxsize=DECIDERS_KEPT)
def decider_of(model: WorkerModel) -> Decider:
    """Return the decider, which this process keeps for the next volume."""
    return load_ensemble(model.names, device=model.device)


def _result(outcome: Outcome) -> Result:
    return outcome if isinstance(outcome, Failed) else Found(outcome.task, to_document(outcome))


def without_map(result: Result) -> Result:
    """Return what is small enough to be sent or to wait: the document alone."""
    return Found(result.task, result.document) if isinstance(result, Found) else result


def shared(
    tasks: Sequence[int],
    *,
    folder: DataFolder,
    decider: Decider,
    model: WorkerModel | None,
    looks: Looks,
    out: Path | None,
    pictures: bool,
    workers: Workers,
) -> Iterator[Result] | None:
    """Return what comes of each task, in the order in which it comes; None where one process does as well.

    Iterating raises ExtraError and SchedulerError as `Workers.run`.
    """
    if model is None or not tasks or not workers.are_several:
        return None
    table = LocalData(folder, decider.context).table(tasks)
    if workers.dask is None and len(set(table.volume[table.rows(tasks)].tolist())) <= ALONE:
        return None
    call = _Call(
        folder=DataFolder(folder.root.absolute()),
        model=model.absolute(),
        identity=decider.identity,
        looks=looks,
        out=None if out is None else out.absolute(),
        pictures=pictures,
    )
    return _share(tasks, call, workers=workers, context=decider.context)


def _share(tasks: Sequence[int], call: _Call, *, workers: Workers, context: int) -> Iterator[Result]:
    for window in _windows(tasks, size=WINDOW):
        table = LocalData(call.folder, context).table(window)
        ordered = by_volume(window, table)
        volume_of = dict(zip(ordered, table.volume[table.rows(ordered)].tolist(), strict=True))
        groups = {volume: tuple(group) for volume, group in groupby(ordered, key=volume_of.__getitem__)}
        for outcome in workers.run(replace(call, tasks=groups), list(groups)):
            if not isinstance(outcome, Failure):
                yield from outcome.result
            elif isinstance(outcome.error, WorkerDiedError):
                yield from (Failed(task, outcome.error) for task in groups[outcome.item])
            else:
                raise outcome.error


def _windows(tasks: Sequence[int], *, size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]
