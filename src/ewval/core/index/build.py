"""`ewval index`: from what was fetched and packed to what is trained on."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ewval.core.errors import MissingError, SettingError
from ewval.core.folder import DataFolder
from ewval.core.index.assignment import Fractions
from ewval.core.index.examples import Examples, count_examples
from ewval.core.index.exclusions import Facts, Flags, count_first, reasons_before_decoding, reasons_of_volumes
from ewval.core.index.reviewed import read_answers, with_reviews
from ewval.core.index.rules import Kept, SplitRule, split_by_fold, split_by_rule
from ewval.core.index.source import read_source
from ewval.core.index.split import Split, split_path, write_split
from ewval.core.index.subset import copy_subset
from ewval.core.progress import SILENT, Progress
from ewval.core.tasks.consensus import ConsensusRule
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of, store_table
from ewval.core.volumes.presence import Presence, find_labels

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """What is to be indexed, and how.

    Args:
        folder: The data folder.
        split: `volume`, `cell` or `cell:<threshold>`.
        fractions: Shares of test and val.
        folds: Cross-validation folds to write as well, None for none.
        seed: Of the split.
        consensus: The consensus rule.
        min_weight: Tasks with less weight are dropped.
        keep_empty: Whether tasks with an empty answer stay on the test side.
        cells: Only these cells; None for all.
        out: Where a subset folder is written; None indexes the folder itself.
        check_volumes: Whether tasks are held against their packed volumes.
        workers: Threads that decode volumes.
        reviews: Whether final answers of `ewval review` stand in place of the players'.

    Raises:
        UsageError: A value that makes no sense.
    """

    folder: DataFolder
    split: str = "volume"
    fractions: Fractions = field(default_factory=Fractions)
    folds: int | None = None
    seed: int = 0
    consensus: ConsensusRule = field(default_factory=ConsensusRule)
    min_weight: float | None = None
    keep_empty: bool = False
    cells: tuple[int, ...] | None = None
    out: Path | None = None
    check_volumes: bool = True
    workers: int | None = None
    reviews: bool = False

    def __post_init__(self) -> None:
        SplitRule(self.split)
        if self.folds is not None and self.folds < 2:
            raise SettingError(f"{self.folds}: at least 2 and at most one for each cell", setting="folds")
        if not -(2**63) <= self.seed < 2**64:
            raise SettingError(f"{self.seed} takes more than 64 bits", setting="seed")
        if self.min_weight is not None and not self.min_weight >= 0:
            raise SettingError(f"{self.min_weight} is not a weight", setting="min_weight")
        if self.out is not None and self.out.resolve() == self.folder.root.resolve():
            raise SettingError(f"{self.out} is the data folder itself", setting="out")


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What was indexed.

    Args:
        split: The split that was written.
        damaged: What is wrong with packed volumes, by volume.
        files: The files that were written.
        seconds: How long it took.
        listed_only: Whether the answers came without confidences, so that no rule could be applied.
        examples: What there is to learn from.
    """

    split: Split
    damaged: Mapping[int, str]
    files: tuple[Path, ...]
    seconds: float
    listed_only: bool = False
    examples: Examples | None = None

    @property
    def bytes(self) -> int:
        """Size of the files that were written."""
        return sum(path.stat().st_size for path in self.files)


def index(request: IndexRequest, *, progress: Progress = SILENT) -> IndexSummary:
    """Write `task_vol.json`, `task_data.json` and `split.json`, with the mapped table beside them.

    Raises:
        MissingError: No tasks, no such cell, or no task is fit for learning.
        DamagedError: The ledger or a JSON file does not hold what it should.
        UsageError: Something that cannot be had from this folder.
    """
    began, is_copy = time.monotonic(), request.out is not None
    answers = read_answers(request.folder.reviews) if request.reviews else {}
    if request.out is not None:
        copy_subset(request.folder, DataFolder(request.out), cells=request.cells)
        request = replace(request, folder=DataFolder(request.out), out=None, cells=None)
    source = read_source(request.folder, rule=request.consensus)
    source, reviewed = with_reviews(source, answers, keeps_files=is_copy)
    table = source.table
    reasons = _reasons_of_tasks(request, table, source.facts)
    presence = _look_into_volumes(request, table, reasons, progress)
    reasons |= reasons_of_volumes(table, presence) if presence else {"empty_seed": table.seeds.lengths == 0}
    splits = _splits(replace(request, consensus=source.rule), table, reasons, incomplete=source.incomplete)
    splits = [_naming(split, reviewed) for split in splits]
    return IndexSummary(
        split=splits[0],
        damaged=presence.damaged() if presence else {},
        files=_write(request.folder, table, splits),
        seconds=time.monotonic() - began,
        listed_only=source.rule != request.consensus,
        examples=count_examples(request.folder, table, splits[0]),
    )


def _reasons_of_tasks(request: IndexRequest, table: TaskTable, facts: Facts) -> dict[str, Flags]:
    if request.min_weight is not None and np.isnan(facts.weight).all():
        raise SettingError("cannot be used: the JSON files hold no weights", setting="min_weight")
    reasons = {}
    if request.cells is not None:
        reasons["other_cell"] = ~table.in_cells(request.cells)
    return reasons | reasons_before_decoding(table, facts, min_weight=request.min_weight)


def _look_into_volumes(
    request: IndexRequest, table: TaskTable, reasons: dict[str, Flags], progress: Progress
) -> Presence | None:
    if not request.check_volumes:
        return None
    hopeless = np.any([flags for name, flags in reasons.items() if name != "empty_aggregate"], axis=0)
    volumes = np.unique(table.volume[~hopeless])
    return find_labels(request.folder, volumes, progress=progress, workers=request.workers)


def _splits(request: IndexRequest, table: TaskTable, reasons: dict[str, Flags], *, incomplete: int) -> list[Split]:
    """Return the split that was asked for, then the folds."""
    empty = reasons["empty_aggregate"]
    if request.keep_empty:
        reasons = {**reasons, "empty_aggregate": np.zeros_like(empty)}
    dropped, counts = count_first(reasons)
    counts = ({"not_fetched": incomplete} if incomplete else {}) | counts
    kept = np.flatnonzero(~dropped)
    if not len(kept):
        raise MissingError("any task fit for learning", hint=_why_none(counts))
    tasks = Kept(table, kept, empty[kept], counts, consensus=str(request.consensus.rule))
    splits = [split_by_rule(tasks, SplitRule(request.split), fractions=request.fractions, seed=request.seed)]
    if request.folds is not None:
        splits += split_by_fold(tasks, request.folds, fractions=request.fractions, seed=request.seed)
    return splits


def _naming(split: Split, reviewed: Int64s) -> Split:
    """Return the split with the tasks named whose answers are reviewers'."""
    used = np.intersect1d(reviewed, np.concatenate([split.side("all"), split.gap]))
    return replace(split, reviewed=used, counts={**split.counts, "reviewed": len(used)}) if len(reviewed) else split


def _why_none(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    advice = (
        "`ewval fetch` and `ewval pack` make packed volumes"
        if "missing_volume" in counts
        else "`ewval fetch` gets more"
    )
    return f"dropped: {listed}; {advice}"


def _write(folder: DataFolder, table: TaskTable, splits: list[Split]) -> tuple[Path, ...]:
    write_task_files(folder, files_of(table))
    store_table(table, folder)
    folds: list[int | None] = [None, *range(len(splits) - 1)]
    for fold, split in zip(folds, splits, strict=True):
        write_split(split, folder, fold=fold)
    _drop_folds_from(len(splits) - 1, folder)
    return (folder.task_vol, folder.task_data, *(split_path(folder, fold=fold) for fold in folds))


def _drop_folds_from(fold: int, folder: DataFolder) -> None:
    """Delete what an earlier run with more folds, or with any, left: its tasks may be others."""
    while (path := split_path(folder, fold=fold)).exists():
        path.unlink()
        fold += 1
