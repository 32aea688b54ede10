"""A small cube of blocks, cut at random, as the graph modules meet it."""

import numpy as np
from scipy import ndimage

from ewval.core.forest.labelled import LabelledVolume
from ewval.core.graph.graph import build_graph


def block_cube(edge: int = 48, *, cells: int = 12, pieces: int = 60, seed: int = 3) -> dict[str, np.ndarray]:
    """Return image, labels and truth: cells with dark membranes, cut into pieces; 1-2 zero voxels at membranes.

    Every segment lies in one cell. Cuts within a cell show nothing in the image.
    """
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    truth = _nearest(grid, random.uniform(0, edge, (cells, 3))).reshape((edge,) * 3) + 1
    piece = _nearest(grid, random.uniform(0, edge, (pieces, 3))).reshape((edge,) * 3)
    _, labels = np.unique(truth * 1000 + piece, return_inverse=True)
    labels = labels.reshape(truth.shape) + 1
    distance = ndimage.distance_transform_edt(~_edges(truth))
    noise = random.normal(0, 6, truth.shape)
    image = np.clip(160 - 70 * np.exp(-(distance**2) / 2) + noise, 0, 255).astype(np.uint8)
    return {"image": image, "labels": np.where(_edges(labels), 0, labels).astype(np.uint16), "truth": truth}


def block_volume(seed: int) -> LabelledVolume:
    """Return a small cube with all of its cells known; each has a task that begins with its first segment."""
    cube = block_cube(seed=seed, cells=8, pieces=36)
    graph = build_graph(cube["image"], cube["labels"])
    owner = np.array([cube["truth"][cube["labels"] == i][0] for i in graph.ids])
    cells = {100 * seed + int(c): np.flatnonzero(owner == c) for c in np.unique(owner)}
    return LabelledVolume(f"blocks/{seed}", graph, cells, {c: (rows[:1],) for c, rows in cells.items()})


def _nearest(grid: np.ndarray, points: np.ndarray) -> np.ndarray:
    return ((grid[:, None] - points) ** 2).sum(axis=2).argmin(axis=1)


def _edges(labels: np.ndarray) -> np.ndarray:
    edges = np.zeros(labels.shape, dtype=bool)
    for axis in range(3):
        along, mark = np.moveaxis(labels, axis, 0), np.moveaxis(edges, axis, 0)
        mark[1:] |= along[1:] != along[:-1]
    return edges
