"""`ewval index`: from what was fetched and packed to what is trained on."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ewval.core import sides
from ewval.core.consensus import ConsensusRule
from ewval.core.constants import DEFAULT_CONTEXT
from ewval.core.drops import Facts, Flags, count_first, reasons_before_decoding, reasons_of_volumes
from ewval.core.duplicates import question_keys
from ewval.core.errors import MissingError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.presence import Presence, find_labels
from ewval.core.progress import SILENT, Progress
from ewval.core.sides import Codes, Fractions
from ewval.core.source import read_source
from ewval.core.split import SIDES, Split, split_path, write_split
from ewval.core.subset import copy_subset
from ewval.core.task_files import write_task_files
from ewval.core.tasks import NONE, UNKNOWN, TaskTable, files_of, store_table

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How tasks are told apart: `volume`, `cell`, or cells below a threshold against the others.

    Raises:
        UsageError: No such rule.
    """

    name: str

    def __post_init__(self) -> None:
        head, _, number = self.name.partition(":")
        threshold = head == "cell" and number.isascii() and number.isdigit()
        if self.name not in ("volume", "cell") and not threshold:
            raise UsageError(f"--split {self.name}: it is volume, cell or cell:NUMBER, such as cell:77960")

    @property
    def threshold(self) -> int | None:
        """First cell id of the test side, None where cells are drawn."""
        number = self.name.partition(":")[2]
        return int(number) if number else None


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
        cells: Only these cells; empty for all.
        out: Where a subset folder is written; None indexes the folder itself.
        check_volumes: Whether tasks are held against their packed volumes.
        workers: Threads that decode volumes.

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
    cells: tuple[int, ...] = ()
    out: Path | None = None
    check_volumes: bool = True
    workers: int | None = None

    def __post_init__(self) -> None:
        SplitRule(self.split)
        if self.folds is not None and self.folds < 2:
            raise UsageError(f"--folds {self.folds}: at least 2 and at most one for each cell")
        if self.min_weight is not None and not self.min_weight >= 0:
            raise UsageError(f"--min-weight {self.min_weight} is not a weight")
        if self.out is not None and self.out.resolve() == self.folder.root.resolve():
            raise UsageError(f"--out {self.out} is the data folder itself")


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What was indexed.

    Args:
        split: The split that was written.
        damaged: What is wrong with packed volumes, by volume.
        files: The files that were written.
        seconds: How long it took.
        listed_only: Whether the answers came without confidences, so that no rule could be applied.
    """

    split: Split
    damaged: Mapping[int, str]
    files: tuple[Path, ...]
    seconds: float
    listed_only: bool = False

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
    began = time.monotonic()
    if request.out is not None:
        copy_subset(request.folder, DataFolder(request.out), cells=request.cells)
        request = replace(request, folder=DataFolder(request.out), out=None, cells=())
    source = read_source(request.folder, rule=request.consensus)
    table = source.table
    reasons = _reasons_of_tasks(request, table, source.facts)
    presence = _look_into_volumes(request, table, reasons, progress)
    reasons |= reasons_of_volumes(table, presence) if presence else {"empty_seed": table.seeds.lengths == 0}
    splits = _splits(replace(request, consensus=source.rule), table, reasons, incomplete=source.incomplete)
    return IndexSummary(
        split=splits[0],
        damaged=presence.damaged() if presence else {},
        files=_write(request.folder, table, splits),
        seconds=time.monotonic() - began,
        listed_only=source.rule != request.consensus,
    )


def _reasons_of_tasks(request: IndexRequest, table: TaskTable, facts: Facts) -> dict[str, Flags]:
    if request.min_weight is not None and np.isnan(facts.weight).all():
        raise UsageError("--min-weight: the JSON files hold no weights")
    reasons = {}
    if request.cells:
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
    codes, fallback = _draw(request, table, kept)
    drawn = [(request.split, fallback, codes)]
    if request.folds is not None:
        cells = table.group[kept]
        folds = sides.by_fold(cells, request.folds, fractions=request.fractions, seed=request.seed)
        drawn += [("cell", None, codes) for codes in folds]
    make = _Maker(request, table, kept, empty[kept], counts)
    return [make.split(rule, fallback, codes) for rule, fallback, codes in drawn]


def _why_none(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    advice = (
        "`ewval fetch` and `ewval pack` make packed volumes"
        if "missing_volume" in counts
        else "`ewval fetch` gets more"
    )
    return f"dropped: {listed}; {advice}"


def _draw(request: IndexRequest, table: TaskTable, kept: Int64s) -> tuple[Codes, str | None]:
    cells, fractions, seed = table.group[kept], request.fractions, request.seed
    threshold = SplitRule(request.split).threshold
    if threshold is not None:
        if (table.cell[kept] == NONE).any():
            raise UsageError(f"--split {request.split}: the cells of some tasks are unknown here; use --split cell")
        return sides.by_threshold(cells, threshold, fractions=fractions, seed=seed), None
    by_cell = sides.by_cell(cells, fractions=fractions, seed=seed)
    if request.split == "cell":
        return by_cell, None
    corner = table.corner[kept]
    codes = sides.by_volume(corner, (corner != UNKNOWN).all(axis=1), fractions=fractions, seed=seed)
    return (by_cell, "cell") if codes is None else (codes, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Maker:
    """Turns codes into a split with its counts."""

    request: IndexRequest
    table: TaskTable
    kept: Int64s
    empty: Flags
    dropped: Mapping[str, int]

    def split(self, rule: str, fallback: str | None, codes: Codes) -> Split:
        ids = self.table.ids[self.kept]
        unfit = self.empty & (codes != sides.TEST)  # an empty answer teaches nothing; on the test side it is noise
        dropped = dict(self.dropped)
        if unfit.any():
            dropped["empty_aggregate"] = int(unfit.sum())
        parts: dict[str, Any] = {name: ids[(codes == code) & ~unfit] for code, name in enumerate(SIDES)}
        counts: dict[str, Any] = {name: len(part) for name, part in parts.items()}
        return Split(
            **parts,
            rule=rule,
            seed=self.request.seed,
            consensus=str(self.request.consensus.rule),
            fallback=fallback,
            counts={
                "tasks": sum(counts.values()),
                **counts,
                "dropped": dropped,
                "withheld_context": withheld_context(self.table, parts),
                "shared_questions": shared_questions(self.table, parts),
            },
        )


def withheld_context(table: TaskTable, parts: Mapping[str, Int64s]) -> int:
    """Return how many training tasks have an ancestor within reach whose answer is scored, and so left out."""
    scored = np.zeros(len(table), dtype=bool)
    scored[table.rows(np.concatenate([parts["test"], parts["val"]]))] = True
    row = table.rows(parts["train"])
    found = np.zeros(len(row), dtype=bool)
    for _ in range(DEFAULT_CONTEXT):
        row = np.where(row >= 0, table.parent_row[row], NONE)
        found |= (row >= 0) & scored[row]
    return int(found.sum())


def shared_questions(table: TaskTable, parts: Mapping[str, Int64s]) -> int:
    """Return how many training tasks ask what a test task asks: the same seed in the same volume.

    Eyewire marks most such duplicates, and they are dropped. What is left cannot happen with `volume`; with `cell` it
    says how much of the test is known from training.
    """
    asked = question_keys(table)
    train, test = asked[table.rows(parts["train"])], asked[table.rows(parts["test"])]
    return int(np.isin(train, test).sum())


def _write(folder: DataFolder, table: TaskTable, splits: list[Split]) -> tuple[Path, ...]:
    write_task_files(folder, files_of(table))
    store_table(table, folder)
    folds: list[int | None] = [None, *range(len(splits) - 1)]
    for fold, split in zip(folds, splits, strict=True):
        write_split(split, folder, fold=fold)
    return (folder.task_vol, folder.task_data, *(split_path(folder, fold=fold) for fold in folds))
