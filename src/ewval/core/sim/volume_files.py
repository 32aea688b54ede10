"""The files of one volume in Eyewire's bucket."""

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ewval.core.sim.sample import JPEG_QUALITY, as_jpeg
from ewval.core.sim.volumes import Origin
from ewval.core.storage.files import write_atomically

PRESET = 1
"""Of lzma: segmentations are as good as incompressible beyond it, and it is ten times as fast as the default."""


def write_volume_files(
    folder: Path,
    image: NDArray[np.uint8],
    labels: NDArray[np.uint16],
    *,
    corner: Origin,
    quality: int = JPEG_QUALITY,
) -> None:
    """Write `jpg/N.jpg`, `segmentation.lzma`, `.size`, `.bbox` and, last, `metadata.json`.

    Args:
        folder: Made where it is missing.
        image: uint8, z y x.
        labels: uint16, as large.
        corner: First voxel in the data set, z y x.
        quality: Of the JPEGs.
    """
    for number, section in enumerate(image):
        path = folder / "jpg" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_jpeg(section, quality=quality)[0])
    # The legacy container with the length left open, as the `lzma` tool writes it to a pipe.
    filters = [{"id": lzma.FILTER_LZMA1, "preset": PRESET}]
    packed = lzma.compress(labels.astype("<u2").tobytes(), format=lzma.FORMAT_ALONE, filters=filters)
    sizes = np.bincount(labels.reshape(-1))
    write_atomically(folder / "segmentation.lzma", packed)
    write_atomically(folder / "segmentation.size", sizes.astype("<u4").tobytes())
    write_atomically(folder / "segmentation.bbox", _boxes(labels).astype("<u2").tobytes())
    metadata = json.dumps(_metadata(labels, corner, count=len(sizes)), allow_nan=False)
    write_atomically(folder / "metadata.json", metadata.encode())


def _boxes(labels: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return xmin, ymin, zmin, xmax, ymax, zmax by segment id; zeros for id 0."""
    boxes = np.zeros((int(labels.max()) + 1, 6), np.int64)
    for index, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        if box is not None:
            boxes[index] = [side.start for side in box[::-1]] + [side.stop - 1 for side in box[::-1]]
    return boxes


def _metadata(labels: NDArray[np.uint16], corner: Origin, *, count: int) -> dict[str, Any]:
    first = list(corner[::-1])  # x, y, z on the wire
    return {
        "segment_id_type": "UInt16",
        "bounding_box_type": "UInt16",
        "size_type": "UInt32",
        "image_type": "UInt8",
        "num_segments": count,
        "chunk_voxel_dimensions": [128, 128, 128],
        "voxel_resolution": [1, 1, 1],
        "resolution_units": "nanometers",
        "physical_offset_min": first,
        "physical_offset_max": [low + length for low, length in zip(first, labels.shape[::-1], strict=True)],
    }
