"""How little the boundary between two touching segments looks like a membrane, from the image alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.nn.metrics import Floats


@dataclass(frozen=True, slots=True)
class Evidence:
    """Touching segments of a volume.

    Args:
        pairs: int64 [n, 2], ids, smaller first, each pair once.
        score: float64 [n], how much brighter the contact is than membranes are; 0 is as bright as the two insides,
            -1 is darker than them by one standard deviation of the image.
    """

    pairs: NDArray[np.int64]
    score: Floats


def contact_evidence(image: NDArray[np.uint8], labels: NDArray[np.uint16]) -> Evidence:
    """Return the brightness of every contact against that of the two segments.

    Args:
        image: uint8 [z, y, x], membranes dark.
        labels: uint16 [z, y, x], 0 boundary.
    """
    keys, brightness = _faces(image, labels)
    pairs, index, faces = np.unique(keys, return_inverse=True, return_counts=True)
    contact = np.bincount(index, weights=brightness, minlength=len(pairs)) / np.maximum(faces, 1)
    inside = _mean_brightness(image, labels)
    ids = np.stack([pairs // SEGMENT_ID_COUNT, pairs % SEGMENT_ID_COUNT], axis=1)
    score = (contact - inside[ids].mean(axis=1)) / max(float(image.std()), 1.0)
    return Evidence(ids, score)


def _faces(image: NDArray[np.uint8], labels: NDArray[np.uint16]) -> tuple[NDArray[np.int64], Floats]:
    """Return a key (smaller id * 65536 + larger) and the darker side's brightness of each face between two segments."""
    keys, brightness = [], []
    for axis in range(labels.ndim):
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        here, there = labels[low].astype(np.int64), labels[high].astype(np.int64)
        contact = (here != there) & (here > 0) & (there > 0)
        first, second = here[contact], there[contact]
        keys.append(np.minimum(first, second) * SEGMENT_ID_COUNT + np.maximum(first, second))
        brightness.append(np.minimum(image[low][contact], image[high][contact]).astype(np.float64))
    return np.concatenate(keys), np.concatenate(brightness)


def _mean_brightness(image: NDArray[np.uint8], labels: NDArray[np.uint16]) -> Floats:
    count = np.bincount(labels.ravel(), minlength=SEGMENT_ID_COUNT)
    total = np.bincount(labels.ravel(), weights=image.ravel(), minlength=SEGMENT_ID_COUNT)
    mean: Floats = total / np.maximum(count, 1)
    return mean
