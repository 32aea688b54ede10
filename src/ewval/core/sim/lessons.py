"""A data folder of generated cubes, ready for `ewval train`: many styles, many tasks a cube, from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ewval.core.constants import CUBE_EDGE, FACTOR
from ewval.core.errors import UsageError
from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.folder import DataFolder
from ewval.core.index.split import Split, write_split
from ewval.core.ledger.ledger import Ledger
from ewval.core.packing.pack import pack_volume
from ewval.core.progress import SILENT, Progress
from ewval.core.sim.exercises import E2198, USUAL, Exercise, Habit, draw_exercises
from ewval.core.sim.players import ADMIN
from ewval.core.sim.sample import DrawStyle, generate_cube
from ewval.core.sim.tissue.style import draw_detected, draw_retina, draw_retina_like, draw_style
from ewval.core.sim.volume_files import write_volume_files
from ewval.core.storage.files import write_atomically
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of
from ewval.core.volumes.codec import encode
from ewval.core.volumes.downsample import downsample_image, downsample_labels
from ewval.core.workers import Done, Workers

NEURITES = 1_000_000
"""Cell ids are the number of the cube times this, plus the neurite's: lessons of different seeds share none."""
CUBES = 1_000_003
"""Numbers of cubes are the seed times this, plus the volume's id."""
MOST_CUBES = 2**40
LOOKS: dict[str, tuple[DrawStyle, Habit]] = {
    "any": (draw_style, USUAL),
    "detected": (draw_detected, USUAL),
    "retina": (draw_retina, E2198),
    "retina-like": (draw_retina_like, E2198),
}
"""How cubes look and which tasks are drawn from them."""
VALIDATION_SHARE = 0.05
"""Share of the cubes that validates."""


@dataclass(frozen=True, slots=True)
class LessonPlan:
    """What to generate.

    Args:
        cubes: Volumes, each 256^3 raw, in a style of its own.
        tasks: Tasks of each cube at most.
        seed: The same seed gives the same folder.
        magnify: Generate at 1/magnify of raw size and enlarge: faster, and the tissue looks coarser.
        raw: Write `raw/` too, as downloaded volumes are, for what works at full resolution.
        look: One of `LOOKS`.

    Raises:
        UsageError: Nothing to generate, `magnify` other than 1, 2 or 4, or `raw` of enlarged cubes.
    """

    cubes: int
    tasks: int = 64
    seed: int = 0
    magnify: int = 1
    raw: bool = False
    look: str = "any"

    def __post_init__(self) -> None:
        if self.look not in LOOKS:
            raise UsageError(f"there is no look {self.look!r}; known are {', '.join(LOOKS)}")
        if self.cubes < 1 or self.tasks < 1:
            raise UsageError(f"{self.cubes} cubes with {self.tasks} tasks are nothing to learn from")
        if self.magnify not in (1, 2, 4):
            raise UsageError(f"magnify {self.magnify} is not 1, 2 or 4")
        if self.raw and self.magnify > 1:
            raise UsageError(f"cubes enlarged {self.magnify} times have no raw volumes")


def write_lessons(
    folder: DataFolder, plan: LessonPlan, *, workers: Workers | None = None, progress: Progress = SILENT
) -> int:
    """Fill `folder` with packed cubes, their tasks and a split by cube; return the number of tasks.

    The last cubes validate. Cubes are made in parallel; the folder is the same whatever the number of workers.

    Raises:
        UsageError: `folder` holds tasks already.
    """
    if folder.task_vol.exists():
        raise UsageError(f"{folder.root} holds tasks already; choose an empty folder")
    progress.start(plan.cubes, unit="cubes")
    made: dict[int, tuple[Exercise, ...]] = {}
    for outcome in (workers or Workers()).run(partial(_write_cube, folder, plan), range(1, plan.cubes + 1)):
        if not isinstance(outcome, Done):
            raise outcome.error
        made[outcome.item] = outcome.result
        progress.advance()
    rows = list(_rows(made))
    records = list(_records(rows, seed=plan.seed))
    ledger = Ledger(folder.ledger)
    ledger.add_tasks(records)
    ledger.close()
    write_task_files(folder, files_of(TaskTable.from_records(records)))
    write_split(_split(rows, plan), folder)
    return len(rows)


def _write_cube(folder: DataFolder, plan: LessonPlan, volume: int) -> tuple[Exercise, ...]:
    draw, habit = LOOKS[plan.look]
    cube = generate_cube(plan.seed * CUBES + volume, edge=CUBE_EDGE // plan.magnify, draw=draw)
    rng = np.random.default_rng((plan.seed, volume))
    exercises = draw_exercises(rng, cube, count=plan.tasks, habit=habit)
    if plan.raw:
        write_volume_files(folder.raw(volume), cube.image, cube.labels, corner=_corner(volume), quality=cube.style.jpeg)
        pack_volume(folder, volume, graph=False)
        return exercises
    factor = FACTOR // plan.magnify
    write_atomically(folder.image(volume), encode(downsample_image(cube.image, factor=factor)))
    write_atomically(folder.segmentation(volume), encode(downsample_labels(cube.labels, factor=factor)))
    return exercises


def _corner(volume: int) -> tuple[int, int, int]:
    """Return where a cube stands: none touches another."""
    return 0, 0, 2 * CUBE_EDGE * volume


def _rows(made: dict[int, tuple[Exercise, ...]]) -> Iterator[tuple[int, Exercise]]:
    for volume in sorted(made):
        for exercise in made[volume]:
            yield volume, exercise


def _records(rows: list[tuple[int, Exercise]], *, seed: int) -> Iterator[tuple[TaskRecord, AggregateRecord]]:
    """Yield the tasks as Eyewire would tell them; all tasks of a neurite belong to one cell."""
    for task, (volume, exercise) in enumerate(rows, start=1):
        z, y, x = _corner(volume)
        bounds = Bounds((z, y, x), (z + CUBE_EDGE, y + CUBE_EDGE, x + CUBE_EDGE))
        cell = (seed * CUBES + volume) % MOST_CUBES * NEURITES + exercise.neurite
        asked = TaskRecord(task, cell, None, volume, "", seed=exercise.seed, weightsum=ADMIN, bounds=bounds)
        yield asked, AggregateRecord(dict.fromkeys(exercise.answer, 1.0), ADMIN, ADMIN)


def _split(rows: list[tuple[int, Exercise]], plan: LessonPlan) -> Split:
    last = plan.cubes - max(1, round(VALIDATION_SHARE * plan.cubes)) if plan.cubes > 1 else plan.cubes
    sides = np.array([volume > last for volume, _ in rows], dtype=bool)
    ids = np.arange(1, len(rows) + 1, dtype=np.int64)
    none = np.empty(0, dtype=np.int64)
    counts = {
        "tasks": len(rows),
        "train": int((~sides).sum()),
        "val": int(sides.sum()),
        "test": 0,
        "gap": 0,
        "dropped": {},
    }
    return Split(ids[~sides], ids[sides], none, none, rule="volume", seed=plan.seed, counts=counts)
