"""Which tasks are trained on, validated with and tested with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from ewval.core.errors import DamagedError, MissingError
from ewval.core.folder import DataFolder
from ewval.core.storage.files import write_atomically
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import parse_json

Side = Literal["train", "val", "test", "gap"]
SIDES: tuple[Side, ...] = ("train", "val", "test", "gap")

DESCRIPTION = ("rule", "seed", "consensus", "fallback", "counts")

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The sides of a split, task ids ascending, no task on two of them.

    Args:
        train: int64, tasks to learn from.
        val: int64, tasks that choose checkpoints, temperature and thresholds.
        test: int64, tasks that are only ever scored.
        gap: int64, tasks on no side, because their volume overlaps one of another side.
        rule: `volume`, `cell` or `cell:<threshold>`, as asked for.
        seed: What the choice of volumes or cells was drawn with.
        consensus: The consensus rule of the answers.
        fallback: The rule that was used instead, None where `rule` was.
        counts: Tasks by side, dropped ones by reason, and what else was counted.
        reviewed: int64, tasks whose answer is a reviewer's, not the players'.
    """

    train: Int64s
    val: Int64s
    test: Int64s
    gap: Int64s
    rule: str = "volume"
    seed: int = 0
    consensus: str = "rule"
    fallback: str | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    reviewed: Int64s = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def side(self, name: str) -> Int64s:
        """Return the tasks of a side; `all` stands for train, val and test together.

        Raises:
            MissingError: There is no such side.
        """
        if name == "all":
            return np.sort(np.concatenate([self.train, self.val, self.test]))
        if name not in SIDES:
            raise MissingError(f"side {name!r} of the split", hint="train, val, test, gap and all exist")
        return np.asarray(getattr(self, name))

    def withheld_from(self, name: str) -> Int64s:
        """Return the tasks whose answers a sample of this side must not show as context.

        Learning must not see what is scored later: train sees no answer of val or test, val none of test.
        """
        hidden = {"train": [self.val, self.test], "val": [self.test]}.get(name, [])
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *hidden]))


def write_split(split: Split, folder: DataFolder, *, fold: int | None = None) -> None:
    """Write `split.json`, or `split-<fold>.json`, whole or not at all."""
    document: dict[str, Any] = {
        "rule": split.rule,
        "seed": split.seed,
        "consensus": split.consensus,
        "fallback": split.fallback,
    }
    document |= {side: split.side(side).tolist() for side in SIDES} | {"counts": dict(split.counts)}
    if len(split.reviewed):
        document["reviewed"] = split.reviewed.tolist()
    write_atomically(split_path(folder, fold=fold), orjson.dumps(document))


def read_split(folder: DataFolder, *, fold: int | None = None) -> Split:
    """Return the split of a data folder, or one fold of its cross-validation.

    Raises:
        MissingError: There is none.
        DamagedError: The file is not in the form it should be.
    """
    path = split_path(folder, fold=fold)
    try:
        document = parse_json(read_bytes(path))
        if not isinstance(document, dict):
            raise ValueError("not a split")
        sides: dict[str, Any] = {side: _ids(document.get(side, [])) for side in SIDES}
        rest: dict[str, Any] = {key: document[key] for key in DESCRIPTION if key in document}
        rest["reviewed"] = _ids(document.get("reviewed", []))
    except FileNotFoundError as error:
        raise MissingError(str(path), hint="`ewval index` makes it") from error
    except (TypeError, ValueError) as error:
        raise DamagedError(str(path), str(error)) from error
    if sum(map(len, sides.values())) != len(np.unique(np.concatenate(list(sides.values())))):
        raise DamagedError(str(path), "a task is on two sides")
    return Split(**sides, **rest)


def split_path(folder: DataFolder, *, fold: int | None = None) -> Path:
    """Return where the split lies."""
    return folder.split if fold is None else folder.root / f"split-{fold}.json"


def _ids(values: list[int | str]) -> Int64s:
    return np.array(sorted(int(value) for value in values), dtype=np.int64)
