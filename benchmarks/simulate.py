"""How fast the simulator makes cubes, beside the watershed of one cube at raw size, which alone would cost more.

Run: python benchmarks/simulate.py [--edge 256]
"""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from ewval.core.sim.exercises import draw_exercises
from ewval.core.sim.sample import generate_cube
from ewval.core.sim.tissue.style import Style

Result = TypeVar("Result")
TASKS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", type=int, default=256, help="raw voxels along each side")
    edge = parser.parse_args().edge
    generate_cube(0, edge=32)  # what is loaded once is not counted
    made_s, cube = timed(lambda: generate_cube(1, edge=edge, style=Style()))
    plain_s, _ = timed(lambda: raw_watershed(cube.image))
    drawn_s, exercises = timed(lambda: draw_exercises(np.random.default_rng(0), cube, count=TASKS))
    megavoxels = edge**3 / 1e6
    print(f"whole cube {edge}^3: {made_s:.1f} s of a core, {megavoxels / made_s:.2f} Mvoxel/s")
    print(f"reference, the watershed alone at raw size: {plain_s:.1f} s")
    print(f"ratio: {plain_s / made_s:.1f}x faster than that one step")
    print(f"{len(exercises)} tasks of it: {drawn_s:.2f} s")


def raw_watershed(image: np.ndarray) -> np.ndarray:
    """Segment at raw size in the plainest way: from the dark side of a blurred picture."""
    blurred = ndimage.gaussian_filter(255.0 - image, 1.5).astype(np.uint8)
    markers, _ = ndimage.label(blurred < np.quantile(blurred, 0.3))
    return watershed(blurred, markers)


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the processor's seconds and the result; other work on the machine does not count."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


if __name__ == "__main__":
    main()
