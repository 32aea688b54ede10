"""Raw volumes made up for tests, and the plain loops that packing is compared with."""

import io
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

METADATA = {
    "segment_id_type": "UInt16",
    "image_type": "UInt8",
    "chunk_voxel_dimensions": [128, 128, 128],
    "voxel_resolution": [1, 1, 1],
    "physical_offset_min": [466, 498, 434],
    "physical_offset_max": [722, 754, 690],
}


def make_image() -> NDArray[np.uint8]:
    """A smooth image with grain, 256^3."""
    rng = np.random.default_rng(1)
    image = rng.integers(40, 200, (32, 32, 32), np.uint8).repeat(8, 0).repeat(8, 1).repeat(8, 2)
    image[::2] += rng.integers(0, 20, image[::2].shape, np.uint8)
    return image


def make_labels() -> NDArray[np.uint16]:
    """Boxes that do not keep to the 4^3 blocks, with thin gaps of 0 and the largest possible id, 256^3."""
    rng = np.random.default_rng(2)
    coarse = rng.integers(1, 3000, (20, 20, 20), np.uint16)
    coarse[5, 5, 5] = 65535
    labels = coarse.repeat(13, 0).repeat(13, 1).repeat(13, 2)[:256, :256, :256].copy()
    for axis in range(3):
        labels.swapaxes(0, axis)[::13] = 0
    return labels


def write_raw(
    folder: Path, image: NDArray[np.uint8], *, segmentation: bytes, metadata: dict[str, Any] | None = None
) -> None:
    """Write one raw volume in Eyewire's wire format."""
    (folder / "jpg").mkdir(parents=True)
    for z, pixels in enumerate(image):
        (folder / "jpg" / f"{z}.jpg").write_bytes(to_jpeg(pixels))
    (folder / "segmentation.lzma").write_bytes(segmentation)
    (folder / "metadata.json").write_text(json.dumps(METADATA if metadata is None else metadata))


def to_jpeg(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    """Return `pixels` as a JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **({"quality": 60} | options))
    return stream.getvalue()


def to_alone(content: bytes, *, length: int | None = None) -> bytes:
    """Return a legacy LZMA stream; its header states `length`, or that the length is unknown."""
    blob = lzma.compress(content, format=lzma.FORMAT_ALONE, preset=0)
    return blob if length is None else blob[:5] + length.to_bytes(8, "little") + blob[13:]


def plain_mean(image: NDArray[np.uint8], *, factor: int) -> NDArray[np.uint8]:
    """The seed system's image rule, block by block."""
    shape = tuple(edge // factor for edge in image.shape)
    mean = np.empty(shape, np.uint8)
    for z, y, x in np.ndindex(shape):
        mean[z, y, x] = np.rint(_block(image, (z, y, x), factor=factor).mean())
    return mean


def plain_modes(labels: NDArray[np.uint16], *, factor: int) -> NDArray[np.uint16]:
    """The seed system's label rule, block by block."""
    ids, voxels = np.unique(labels, return_counts=True)
    sizes = dict(zip(ids.tolist(), voxels.tolist(), strict=True))
    shape = tuple(edge // factor for edge in labels.shape)
    modes = np.zeros(shape, np.uint16)
    for z, y, x in np.ndindex(shape):
        found, counts = np.unique(_block(labels, (z, y, x), factor=factor), return_counts=True)
        tally = {label: count for label, count in zip(found.tolist(), counts.tolist(), strict=True) if label}
        if tally:
            modes[z, y, x] = min(tally, key=lambda label: (-tally[label], sizes[label], label))
    return modes


def _block(array: NDArray[Any], place: tuple[int, int, int], *, factor: int) -> NDArray[Any]:
    z, y, x = (factor * index for index in place)
    return array[z : z + factor, y : y + factor, x : x + factor]
