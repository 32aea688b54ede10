"""A graph measured by the compiled kernels has the bits of one measured by numpy alone."""

from dataclasses import fields

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.graph.graph import SegmentGraph, build_graph
from ewval.core.kernels.library import without_kernels
from ewval.core.sim.sample import generate_cube
from kernels_at_hand import require_kernels

Cube = tuple[np.ndarray, np.ndarray]


def blocks() -> Cube:
    cube = block_cube()
    return cube["image"], cube["labels"]


def tissue() -> Cube:
    cube = generate_cube(6, edge=96)
    return cube.image, cube.labels


def uneven() -> Cube:
    """Edges that no number of voxels at once divides, and arrays with gaps in memory."""
    image, labels = tissue()
    return image[:50, 1:94:2, :37], labels[:50, 1:94:2, :37]


def noise() -> Cube:
    """Contacts of every shape, most of a single face, and gaps that cannot be closed."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 400, (24, 30, 20)).astype(np.uint16) * (random.random((24, 30, 20)) < 0.4)
    labels[3:20, 3:26, 3:16] = 0
    return random.integers(0, 256, labels.shape).astype(np.uint8), labels.astype(np.uint16)


def one_segment() -> Cube:
    return np.full((20, 16, 18), 90, np.uint8), np.full((20, 16, 18), 7, np.uint16)


def nothing() -> Cube:
    return np.zeros((16, 16, 16), np.uint8), np.zeros((16, 16, 16), np.uint16)


def slabs() -> Cube:
    """Two labels, the greatest there is among them, on a flat image."""
    labels = np.full((20, 20, 20), 65535, np.uint16)
    labels[9:] = 1
    return np.full(labels.shape, 100, np.uint8), labels


@pytest.mark.parametrize("cube", [blocks, tissue, uneven, noise, one_segment, nothing, slabs])
def test_both_forms_give_the_same_bits(cube: object) -> None:
    require_kernels()
    image, labels = cube()
    compiled = build_graph(image, labels)
    with without_kernels():
        plain = build_graph(image, labels)
    for field in fields(SegmentGraph):
        one, other = getattr(compiled, field.name), getattr(plain, field.name)
        np.testing.assert_array_equal(one, other, err_msg=field.name, strict=isinstance(one, np.ndarray))
