"""Writes a generated world as a folder in Eyewire's wire format."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ewval.core.constants import CUBE_EDGE, MOUSE_DATASET
from ewval.core.progress import SILENT, Progress
from ewval.core.sim.cells import SimCell, SimTask
from ewval.core.sim.players import Verdicts, play
from ewval.core.sim.volume_files import write_volume_files
from ewval.core.sim.volumes import Origin, SimVolume
from ewval.core.sim.wire import BUCKET
from ewval.core.sim.world import World, side_by_side
from ewval.core.storage.files import write_atomically

TRUTH = "truth.json"
REGISTRY = "cells.csv"
CREATED = "2016-09-20T10:45:00.000Z"
COLUMNS = ("Cell ID", "Name", "Status", "Size", "Tags", "Notes")
DROPPED = (
    ("69001.0", "growing 1", "Active", "5001", "{}"),
    ("69002", "empty 1", "Completed", "0", "{}"),
    ("69003.0", "Mystic 1", "Completed", "40001", '{"mystic": 1}'),
    ("69004", "SN-1", "Completed", "7001", "{}"),
    ("69005.0", "nMLF 1", "Completed", "9001", '{"mystic": 1, "s1": 1}'),
)
"""Registry rows that a reader must leave out: unfinished, empty, zebrafish, imported."""


def write_world(world: World, folder: Path, *, progress: Progress = SILENT) -> None:
    """Write `world` to `folder`: `api/`, `volumes/`, `truth.json` and the registry `cells.csv`, which comes last.

    `truth.json` holds what no server tells, by task: `answer` (all true segments), `voxels` of the seed and `to_add`.

    Args:
        world: What to write.
        folder: Made where it is missing.
        progress: Advances by volume.
    """
    progress.start(len(world.volumes), unit="volumes")

    def write(volume: SimVolume) -> None:
        _write_volume(world, volume, folder / "volumes" / volume.name)
        progress.advance()

    side_by_side(write, world.volumes)
    for path, content in _replies(world):
        write_atomically(folder / "api" / "1.0" / path, json.dumps(content, allow_nan=False).encode())
    truths = {str(task.id): _truth(task) for task in world.tasks}
    write_atomically(folder / TRUTH, json.dumps(truths, allow_nan=False).encode())
    write_atomically(folder / REGISTRY, _registry(world).encode())


def _truth(task: SimTask) -> dict[str, Any]:
    seed, answer = (int(task.volume.sizes[list(segments)].sum()) for segments in (task.seed, task.answer))
    return {"answer": task.answer, "voxels": seed, "to_add": answer - seed}


def _write_volume(world: World, volume: SimVolume, folder: Path) -> None:
    box = tuple(slice(start, start + CUBE_EDGE) for start in volume.origin)
    write_volume_files(folder, world.image[box], volume.labels, corner=_corner(world.spec.origin, volume))


def _corner(origin: Origin, volume: SimVolume) -> Origin:
    z, y, x = (a + b for a, b in zip(origin, volume.origin, strict=True))
    return z, y, x


def _bounds(origin: Origin, volume: SimVolume) -> dict[str, dict[str, int]]:
    z, y, x = _corner(origin, volume)
    return {"min": {"x": x, "y": y, "z": z}, "max": {"x": x + CUBE_EDGE, "y": y + CUBE_EDGE, "z": z + CUBE_EDGE}}


@dataclass(frozen=True, slots=True)
class _Played:
    """A task with what people made of it."""

    task: SimTask
    verdicts: Verdicts
    children: tuple[int, ...]
    bounds: dict[str, dict[str, int]]


def _replies(world: World) -> Iterator[tuple[str, Any]]:
    """Yield each reply of the API, as a path under `api/1.0/` and its content."""
    listing = []
    for cell in world.cells:
        played = [_play(world, cell, task) for task in cell.tasks]
        about = _cell(cell, played)
        listing.append({key: value for key, value in about.items() if key != "dataset_id"} | {"cell": cell.id})
        yield f"cell/{cell.id}.json", about
        yield f"cell/{cell.id}/tasks.json", _cell_tasks(played)
        for one in played:
            yield f"task/{one.task.id}.json", _task(one)
            yield f"task/{one.task.id}/aggregate.json", _aggregate(one)
    yield "cell.json", {str(MOUSE_DATASET): listing, "11": []}


def _play(world: World, cell: SimCell, task: SimTask) -> _Played:
    verdicts = play(np.random.default_rng((world.spec.seed, task.id)), task)
    children = tuple(other.id for other in cell.tasks if other.parent == task.id)
    return _Played(task, verdicts, children, _bounds(world.spec.origin, task.volume))


def _cell(cell: SimCell, played: list[_Played]) -> dict[str, Any]:
    return {
        "id": cell.id,
        "cell": cell.id,
        "name": cell.name,
        "description": "",
        "target": 0,
        "completed": "2016-03-05T00:00:00.000Z",
        "count": len(played),
        "underconfident": 0,
        "weight": 0,
        "growth": 0,
        "avail": 0,
        "difficulty": 1,
        "tags": {},
        "dataset_id": MOUSE_DATASET,
    }


def _cell_tasks(played: list[_Played]) -> dict[str, Any]:
    rows = [
        {"id": one.task.id, "status": one.verdicts.status, "weight": one.verdicts.weight, "bounds": one.bounds}
        for one in played
    ]
    return {"tasks": rows, "root": {"id": played[0].task.id, **played[0].bounds}}


def _task(one: _Played) -> dict[str, Any]:
    task, volume = one.task, one.task.volume
    uri = f"/omni.proj/x02/y50/{volume.name}.omni.files/"
    return {
        "id": task.id,
        "cell": task.cell,
        "parent": task.parent,
        "status": one.verdicts.status,
        "prior": {"segments": {str(segment): 1 for segment in task.seed}, "weight": one.verdicts.weight},
        "data": {
            "channel": {"id": volume.channel, "metadata": {"uri": uri, "vol_type": 1, "mipLevel": 1}},
            "segmentation": {"id": volume.id, "metadata": {"uri": uri, "vol_type": 2, "mipLevel": 1}},
        },
        "full_path": f"{BUCKET}/{volume.name}/",
        "bounds": one.bounds,
        "weightsum": one.verdicts.weight,
        "users": ",".join(str(user) for user in one.verdicts.users),
        "wiki_notes": None,
        "channel_id": volume.channel,
        "segmentation_id": volume.id,
        "depth": task.depth,
        "created": CREATED,
        "lastmodified": CREATED,
        "enabled": 1,
        "flagged": 0,
        "inspected_weight": one.verdicts.weight,
    }


def _aggregate(one: _Played) -> dict[str, Any]:
    return {
        "segments": one.verdicts.segments,
        "weight": one.verdicts.weight,
        "votes": {"total": one.verdicts.votes, "max": 2},
        "traces": len(one.verdicts.users),
        "status": one.verdicts.status,
        "flagged": False,
        "splitpoint": False,
        "assignable": False,
        "inspected": True,
        "task_family": {"parent": one.task.parent, "children": list(one.children)},
    }


def _registry(world: World) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, cell in enumerate(world.cells):
        shown = f"{cell.id}.0" if number % 2 else str(cell.id)  # the real registry writes ids in both ways
        writer.writerow([shown, cell.name, "Completed", cell.size, "{}", ""])
    writer.writerows([*row, ""] for row in DROPPED)
    return stream.getvalue()
