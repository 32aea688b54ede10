"""Tasks answered while the volumes of others still arrive: what a worker does with a volume once it is packed."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ewval.core.fetch.on_disk import LocalData
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger
from ewval.core.models.registry import load_ensemble
from ewval.core.predict.folder import AnswerFolder
from ewval.core.predict.run import PredictRequest, PredictRun, Result
from ewval.core.predict.work import Work, WorkerModel, decider_of
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.decision import AS_CARDS_SAY
from ewval.core.workers import Workers

__all__ = ["AnswerVolume", "answer_rest", "open_answers"]


@dataclass(frozen=True, slots=True)
class AnswerVolume:
    """Answers the tasks of a volume that were asked for and are there by now, and are not answered yet.

    One that fails is left to `answer_rest`, which says so.

    Args:
        model: Who decides.
        out: The folder of answers, by an absolute path; `open_answers` has made it.
    """

    model: WorkerModel
    out: Path

    def __call__(self, folder: DataFolder, volume: int, labels: NDArray[np.uint16] | None = None) -> None:
        """Answer the tasks of `volume`, which is packed.

        Args:
            folder: The data folder.
            volume: Its id.
            labels: Its segmentation at full resolution, uint16 z y x, where that is at hand.
        """
        decider, saved = decider_of(self.model), AnswerFolder.of_other_process(self.out, pictures=False)
        known = [task for task in _tasks_of_volume(folder, volume) if not saved.is_finished(task)]
        lacking = set(LocalData(folder, decider.context).to_fetch(known))
        tasks = [task for task in known if task not in lacking]
        if tasks:
            work = Work(folder, decider, looks=AS_CARDS_SAY, saved=saved)
            if labels is not None:
                work.source.take_labels(volume, labels)
            work.all_results(tasks)


def open_answers(folder: DataFolder, out: Path, *, model: WorkerModel) -> AnswerVolume:
    """Make, or go on with, the folder of answers `out`.

    Raises:
        UsageError: It holds answers that were made with something else.
        WriteError: It cannot be written to.
    """
    run = PredictRun(_request(folder, (), out, model=model), fetch=_nothing_to_fetch)
    assert run.saved is not None
    return AnswerVolume(model.absolute(), run.saved.root.absolute())


def answer_rest(
    folder: DataFolder, tasks: tuple[int, ...], out: Path, *, model: WorkerModel, progress: Progress = SILENT
) -> Iterator[Result]:
    """Yield what came of each of `tasks`; those that no worker answered while volumes arrived are answered now."""
    yield from PredictRun(_request(folder, tasks, out, model=model), fetch=_nothing_to_fetch, progress=progress)


def _request(folder: DataFolder, tasks: tuple[int, ...], out: Path, *, model: WorkerModel) -> PredictRequest:
    decider = load_ensemble(model.names, device=model.device)
    workers = Workers(None if decider.loops is None else 1)
    return PredictRequest(folder, tasks, decider, out=out, pictures=False, model=model, workers=workers)


def _nothing_to_fetch(*_: object) -> None:
    """Fetch nothing: that was done, and what could not be had is named."""


def _tasks_of_volume(folder: DataFolder, volume: int) -> list[int]:
    with closing(Ledger.open_existing(folder.ledger)) as ledger:
        query = "SELECT id FROM tasks WHERE volume = ? AND wanted = 1 AND state = 'done' ORDER BY id"
        return [int(row[0]) for row in ledger.connection.execute(query, (volume,))]
