"""Train a segment head: `python -m ewval.nn.train_head --data FOLDER --data FOLDER --out NAME.safetensors`.

Folders are as `ewval fetch`, `ewval pack` and `ewval index` leave them; those of `--also` come from
`python -m ewval.core.sim.make_lessons`. One head is learned from all of them. The same command goes on where an
interrupted one stopped: forests that are done lie in NAME.parts/ until the model is written.
"""

import argparse
import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ewval.core.errors import DamagedError, EwvalError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.forest.boosting import Forest
from ewval.core.forest.decider import ARCH, reads, save_forest
from ewval.core.forest.fit import FittedHead, fit_head
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import read_labelled, share_out
from ewval.core.forest.learn import LearnConfig
from ewval.core.graph.graph import GRAPH_FORM
from ewval.core.models.card import ModelCard
from ewval.core.storage.arrays import read_arrays, write_arrays
from ewval.core.version import __version__

_LOG = logging.getLogger("ewval")
PARTS = 5
ALSO_WEIGHT = 0.05
"""Of an example from a generated cube, beside one from real tissue."""
RECIPE = 2
"""Raised whenever forests come to learn otherwise from the same cubes, so that those kept of before are left alone."""
DESCRIPTION = "A segment head trained by its user; nothing is known of it beyond its validation score."


@dataclass(frozen=True, slots=True)
class KeptForests:
    """Forests of one training on disk, so that it can go on after an interruption.

    Args:
        folder: Where they lie.
        key: Of everything they depend on; forests under another key are not used.
    """

    folder: Path
    key: str

    def __call__(self, name: str, fit: Callable[[], Forest]) -> Forest:
        """Return the forest kept as `name`, else fit and keep it."""
        path = self.folder / f"{name}-{self.key}.npz"
        kept = _read_forest(path)
        if kept is not None:
            _LOG.info("%s: kept from before", name)
            return kept
        forest = fit()
        write_arrays(path, forest.arrays())
        _LOG.info("%s: done", name)
        return forest


def train_head(volumes: Sequence[LabelledVolume], *, out: Path, about: Mapping[str, Any], seed: int = 0) -> FittedHead:
    """Learn forests from `volumes` and write them to `out` and their card beside it.

    Args:
        volumes: With known cells.
        out: A .safetensors file.
        about: Fields of the new card, such as `description`, `data` and `scores`.
        seed: Of every random choice.
    """
    config = LearnConfig(seed=seed)
    parts = share_out(volumes, parts=PARTS, seed=seed)
    keep = KeptForests(out.with_suffix(".parts"), _key(volumes, config))
    fitted = fit_head(volumes, parts, config=config, keep=keep)
    learned = {
        "version": __version__,
        "validation_score": round(fitted.tuned.score, 4),
        "rejected_wrong": round(fitted.tuned.rejected_wrong, 4),
    }
    card = ModelCard(
        **{
            "name": out.stem,
            "arch": ARCH,
            "context": 0,
            "add_threshold": fitted.tuned.thresholds.add,
            "maybe_threshold": fitted.tuned.thresholds.maybe,
            "config": {**reads(), "parts": PARTS, **asdict(config), "settings": asdict(fitted.tuned.settings)},
            **_seen(volumes),
            **about,
            "training": {**about.get("training", {}), **learned},
        },
    )
    save_forest(out, card, fitted.head)
    shutil.rmtree(keep.folder, ignore_errors=True)
    return fitted


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    chosen = _parser().parse_args(words)
    try:
        if chosen.out.suffix != ".safetensors":
            raise UsageError(f"--out {chosen.out} does not end in .safetensors")
        volumes = _read_all(chosen.data, chosen.also, sides=chosen.sides.split(","), fold=chosen.fold)
        about: dict[str, Any] = {
            "data": {v.name: f"{len(v.cells)} cells, {len(v.graph.ids)} segments" for v in volumes}
        }
        about = {**about, "description": DESCRIPTION, **_read_about(chosen.about)}
        fitted = train_head(volumes, out=chosen.out, about=about, seed=chosen.seed)
    except EwvalError as error:
        _LOG.error("%s", error)
        return 1
    _LOG.info("%s: validation score %.3f, %s", chosen.out, fitted.tuned.score, fitted.tuned.settings)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ewval.nn.train_head", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, action="append", required=True, help="a data folder; may be repeated")
    parser.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        help="a folder of generated cubes to learn from, never to choose settings by; may be repeated",
    )
    parser.add_argument("--out", type=Path, required=True, help="where the model goes, NAME.safetensors")
    parser.add_argument("--sides", default="train,val", help="sides of the split to learn from")
    parser.add_argument("--fold", type=int, default=None, help="use split-FOLD.json")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice")
    parser.add_argument("--about", type=Path, default=None, help="JSON file with further fields of the card")
    return parser


def _read_all(
    folders: Sequence[Path], also: Sequence[Path], *, sides: Sequence[str], fold: int | None
) -> list[LabelledVolume]:
    if unknown := set(sides) - {"train", "val", "test"}:
        raise UsageError(f"--sides {','.join(sorted(unknown))}: sides are train, val and test")
    volumes = [v for folder in folders for v in read_labelled(DataFolder(folder), sides=sides, fold=fold)]
    if sum(len(v.cells) for v in volumes) < 2 * PARTS:
        raise UsageError(f"fewer than {2 * PARTS} cells with answers: too few to learn from and to validate with")
    generated = [read_labelled(DataFolder(folder), weight=ALSO_WEIGHT, validates=False) for folder in also]
    return volumes + [volume for of_folder in generated for volume in of_folder]


def _seen(volumes: Sequence[LabelledVolume]) -> dict[str, list[int]]:
    """Return the real cells and volumes of the card; generated ones are numbered anew in every folder."""
    real = [volume for volume in volumes if volume.validates]
    return {
        "cells": sorted({cell for volume in real for cell in volume.cells}),
        "volumes": sorted({volume.id for volume in real}),
    }


def _read_about(path: Path | None) -> dict[str, Any]:
    """Return fields of the card from a JSON file, such as data, description, scores and training."""
    if path is None:
        return {}
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--about {path}: {error}") from error
    known = {"data", "description", "license", "scores", "training"}
    if not isinstance(fields, dict) or fields.keys() - known:
        raise UsageError(f"--about {path} does not hold one JSON object with keys among {', '.join(sorted(known))}")
    return fields


def _key(volumes: Sequence[LabelledVolume], config: LearnConfig) -> str:
    digest = hashlib.sha256(f"{RECIPE} {GRAPH_FORM} {PARTS} {config}".encode())
    for volume in volumes:
        digest.update(f"{volume.name} {volume.weight}".encode())
        digest.update(volume.graph.evidence.tobytes())
        digest.update(volume.owner.tobytes() + volume.withheld.tobytes())
    return digest.hexdigest()[:12]


def _read_forest(path: Path) -> Forest | None:
    try:
        return Forest.from_arrays(read_arrays(path))
    except (DamagedError, ValueError, KeyError):
        return None  # not there, or cut short by a crash of the machine: it is fitted again


if __name__ == "__main__":
    sys.exit(main())
