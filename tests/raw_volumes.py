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


TILES = (4, 4, 4)
"""A made-up volume is one 64^3 tile repeated, so that the plain loops need to run over one tile only."""


def make_image() -> NDArray[np.uint8]:
    """A smooth image with grain, 256^3."""
    rng = np.random.default_rng(1)
    tile = rng.integers(40, 200, (8, 8, 8), np.uint8).repeat(8, 0).repeat(8, 1).repeat(8, 2)
    tile[::2] += rng.integers(0, 20, tile[::2].shape, np.uint8)
    return np.tile(tile, TILES)


def make_labels() -> NDArray[np.uint16]:
    """Boxes that do not keep to the 4^3 blocks, with thin gaps of 0 and the largest possible id, 256^3."""
    coarse = np.random.default_rng(2).integers(1, 30, (7, 7, 7), np.uint16)
    coarse[3, 3, 3:5] = 65535, 65534
    tile = coarse.repeat(10, 0).repeat(10, 1).repeat(10, 2)[:64, :64, :64].copy()
    for axis in range(3):
        tile.swapaxes(0, axis)[9::13] = 0
    tile[:8, :8, :8] = 0
    return np.tile(tile, TILES)


def write_seed_system_folder(root: Path, raw: Path, *, volume: int) -> None:
    """Pack `raw` as the 2019 seed system did: plain loops, `lzma.open`, and the two task files."""
    slices = [np.asarray(Image.open(raw / "jpg" / f"{z}.jpg")) for z in range(64)]
    image = np.tile(plain_mean(np.stack(slices)[:, :64, :64], factor=4), TILES)
    with lzma.open(raw / "segmentation.lzma") as stream:
        labels = np.frombuffer(stream.read(), "<u2").reshape(256, 256, 256)
    segmentation = np.tile(plain_modes(labels[:64, :64, :64], factor=4), TILES)
    for path, array in (("images/{}/image.lzma", image), ("segmentation/{}/segmentation.lzma", segmentation)):
        place = root / path.format(volume)
        place.parent.mkdir(parents=True)
        with lzma.open(place, "wb") as stream:
            stream.write(array.tobytes())
    (root / "task_vol.json").write_text(json.dumps({"588174": str(volume)}))
    (root / "task_data.json").write_text(json.dumps({"588174": {"seed": [1], "parent": 588173, "aggregate": [1, 2]}}))


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
