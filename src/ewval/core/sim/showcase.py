"""The task of a generated world that is worth looking at, and its picture beside the truth."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ewval.core.errors import MissingError
from ewval.core.show.slices import Overlay, draw_slices
from ewval.core.sim.writing import TRUTH
from ewval.core.volumes.raw import read_image, read_segmentation

LARGEST = 40
"""Segments of an answer that still fits a terminal."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is painted into the picture: segment ids."""

    seed: Collection[int]
    truth: Collection[int]
    add: Collection[int]
    maybe: Collection[int]


@dataclass(frozen=True, slots=True)
class Truth:
    """The true answer of a task: its segments with the seed, the seed's raw voxels, and those to be added."""

    answer: tuple[int, ...]
    voxels: int
    to_add: int

    @property
    def worth(self) -> int:
        """How much there is to see: something given and something to find, in an answer that fits a terminal."""
        return min(self.voxels, self.to_add) if len(self.answer) <= LARGEST else 0


def read_truth(world: Path) -> dict[int, Truth]:
    """Return the truth of each task.

    Raises:
        MissingError: `world` is not a written world.
    """
    try:
        content = json.loads((world / TRUTH).read_bytes())
        return {
            int(task): Truth(tuple(said["answer"]), said["voxels"], said["to_add"]) for task, said in content.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise MissingError(f"the truth of the generated world {world}", hint="delete it and run it again") from error


def telling_task(world: Path, tasks: Iterable[int]) -> int:
    """Return the one of `tasks` that is most worth looking at.

    Raises:
        MissingError: None of `tasks` is in `world`.
    """
    truth = read_truth(world)
    known = [task for task in tasks if task in truth]
    if not known:
        raise MissingError(f"a task of the generated world {world}", hint="delete it and run it again")
    return max(known, key=lambda task: (truth[task].worth, -task))


def picture(raw: Path, chosen: Chosen) -> Image.Image:
    """Return three orthogonal slices: image, seed, truth, prediction.

    Args:
        raw: Folder of the raw volume.
        chosen: What to paint.

    Raises:
        MissingError: The raw volume is not there.
        DamagedError: It does not hold what it should.
    """
    image, labels = read_image(raw), read_segmentation(raw)
    seed, truth = _mask(labels, chosen.seed), _mask(labels, chosen.truth)
    overlays = [
        Overlay("image"),
        Overlay("seed", [("seed", seed)]),
        Overlay("truth", [("consensus", truth), ("seed", seed)]),
        Overlay(
            "prediction", [("add", _mask(labels, chosen.add)), ("maybe", _mask(labels, chosen.maybe)), ("seed", seed)]
        ),
    ]
    return draw_slices(image, overlays, centre=_centre(truth, seed))


def _mask(labels: NDArray[np.uint16], segments: Collection[int]) -> NDArray[np.bool_]:
    return np.isin(labels, list(segments))


def _centre(truth: NDArray[np.bool_], seed: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return, as shares of the edges, the plane along each axis that shows most of the truth and of the seed."""
    z, y, x = (_fullest(truth, seed, axis=axis) for axis in range(3))
    return z, y, x


def _fullest(truth: NDArray[np.bool_], seed: NDArray[np.bool_], *, axis: int) -> float:
    others = tuple(other for other in range(3) if other != axis)
    areas = [np.sqrt(mask.sum(others)) for mask in (truth & ~seed, seed)]
    return float(np.argmax(areas[0] + areas[1]) / truth.shape[axis])
