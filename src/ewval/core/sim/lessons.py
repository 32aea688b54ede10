"""A data folder of generated cubes, ready for `ewval train`: many styles, many tasks a cube, from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ewval.core.codec import encode
from ewval.core.constants import CUBE_EDGE, FACTOR
from ewval.core.downsample import downsample_image, downsample_labels
from ewval.core.errors import UsageError
from ewval.core.files import write_atomically
from ewval.core.folder import DataFolder
from ewval.core.progress import SILENT, Progress
from ewval.core.ragged import from_lists
from ewval.core.sim.exercises import Exercise, draw_exercises
from ewval.core.sim.sample import generate_cube
from ewval.core.split import Split, write_split
from ewval.core.task_files import NONE, TaskFiles, write_task_files
from ewval.core.workers import Done, Workers

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

    Raises:
        UsageError: Nothing to generate, or `magnify` other than 1, 2 or 4.
    """

    cubes: int
    tasks: int = 64
    seed: int = 0
    magnify: int = 1

    def __post_init__(self) -> None:
        if self.cubes < 1 or self.tasks < 1:
            raise UsageError(f"{self.cubes} cubes with {self.tasks} tasks are nothing to learn from")
        if self.magnify not in (1, 2, 4):
            raise UsageError(f"magnify {self.magnify} is not 1, 2 or 4")


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
    write_task_files(folder, _files(rows))
    write_split(_split(rows, plan), folder)
    return len(rows)


def _write_cube(folder: DataFolder, plan: LessonPlan, volume: int) -> tuple[Exercise, ...]:
    cube = generate_cube(plan.seed * 1_000_003 + volume, edge=CUBE_EDGE // plan.magnify)
    rng = np.random.default_rng((plan.seed, volume))
    exercises = draw_exercises(rng, cube, count=plan.tasks)
    factor = FACTOR // plan.magnify
    write_atomically(folder.image(volume), encode(downsample_image(cube.image, factor=factor)))
    write_atomically(folder.segmentation(volume), encode(downsample_labels(cube.labels, factor=factor)))
    return exercises


def _rows(made: dict[int, tuple[Exercise, ...]]) -> Iterator[tuple[int, Exercise]]:
    for volume in sorted(made):
        for exercise in made[volume]:
            yield volume, exercise


def _files(rows: list[tuple[int, Exercise]]) -> TaskFiles:
    count = len(rows)
    return TaskFiles(
        ids=np.arange(1, count + 1, dtype=np.int64),
        volume=np.array([volume for volume, _ in rows], dtype=np.int64),
        parent=np.full(count, NONE, dtype=np.int64),
        seeds=from_lists(exercise.seed for _, exercise in rows),
        aggregates=from_lists(exercise.answer for _, exercise in rows),
        answered=np.ones(count, dtype=bool),
    )


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
