"""The task of a generated world that is worth looking at, and its picture beside the truth."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ewval.core.errors import MissingError
from ewval.core.pictures import Overlay, centre_of, draw_slices
from ewval.core.raw import read_image, read_segmentation
from ewval.core.sim.writing import TRUTH

LARGEST = 40
"""Segments of an answer that still fits a terminal."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is painted into the picture: segment ids."""

    seed: Collection[int]
    truth: Collection[int]
    add: Collection[int]
    maybe: Collection[int]


def read_truth(world: Path) -> dict[int, tuple[int, ...]]:
    """Return the true answer of each task, with its seed.

    Raises:
        MissingError: `world` is not a written world.
    """
    try:
        content = json.loads((world / TRUTH).read_bytes())
    except (OSError, ValueError) as error:
        raise MissingError(f"generated world {world}", hint=f"delete it and run the demo again ({error})") from error
    return {int(task): tuple(answer) for task, answer in content.items()}


def telling_task(world: Path, tasks: Iterable[int]) -> int:
    """Return the one of `tasks` with the longest answer that still fits a terminal.

    Raises:
        MissingError: None of `tasks` is in `world`.
    """
    truth = read_truth(world)
    known = [task for task in tasks if task in truth]
    if not known:
        raise MissingError(f"a task of the generated world {world}", hint="delete it and run the demo again")
    return max(known, key=lambda task: (len(truth[task]) <= LARGEST, len(truth[task]), -task))


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
    return draw_slices(image, overlays, centre=centre_of(truth))


def _mask(labels: NDArray[np.uint16], segments: Collection[int]) -> NDArray[np.bool_]:
    return np.isin(labels, list(segments))
