"""The report of `ewval predict`: one HTML file that needs nothing but a browser."""

import base64
import gzip
import html
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ewval.core.constants import CUBE_EDGE, SEGMENT_ID_COUNT, VOXEL_SIZE_NM
from ewval.core.show.meshes import occupancy, surface
from ewval.core.show.slices import COLOURS
from ewval.core.volumes.pooling import Pooling

Document = Mapping[str, Any]

DEPTH = 64
"""Slices of a volume in a report: every fourth of a full-resolution volume, every one of a packed volume."""
COLUMNS = 8
JPEG_QUALITY = 62


@dataclass(frozen=True, slots=True)
class VolumePicture:
    """A volume as a report shows it, at the best resolution at hand.

    Args:
        image: uint8, z y x.
        labels: Segment ids, z y x.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class TaskPanel:
    """What a report needs of one task.

    Args:
        document: Its answer.
        probability: float32 64^3.
        pooling: From packed voxels to the segments of its volume.
    """

    document: Document
    probability: NDArray[np.float32]
    pooling: Pooling


def render_report(
    documents: Sequence[Document],
    panels: Sequence[TaskPanel],
    volumes: Mapping[int, VolumePicture],
    *,
    title: str,
    subtitle: str,
) -> str:
    """Return the page.

    Args:
        documents: All answers, in the order in which they are listed.
        panels: Tasks that can be opened, the first one first.
        volumes: Every volume that a panel lies in.
        title: Plain text.
        subtitle: Plain text.
    """
    shown: dict[int, set[int]] = {}
    for panel in panels:
        shown.setdefault(panel.document["volume"], set()).update(_coloured(panel.document))
    data = {
        "colours": {name: list(colour) for name, colour in COLOURS.items()},
        "size": [size * CUBE_EDGE for size in reversed(VOXEL_SIZE_NM)],
        "list": [_row(document) for document in documents],
        "tasks": [_panel(panel, volumes[panel.document["volume"]]) for panel in panels],
        "volumes": {str(volume): _volume(volumes[volume], ids) for volume, ids in shown.items()},
    }
    return _page(data, title=title, subtitle=subtitle)


def _page(data: Mapping[str, Any], *, title: str, subtitle: str) -> str:
    folder = files("ewval.core.show.viewer")
    parts = {
        "@STYLE@": (folder / "style.css").read_text(encoding="utf-8"),
        "@TITLE@": html.escape(title),
        "@SUBTITLE@": html.escape(subtitle),
        "@SCRIPT@": _script(),
        # A "</script>" in the data would end the element that holds it.
        "@DATA@": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("</", "<\\/"),
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    for mark, text in parts.items():
        page = page.replace(mark, text)
    return page


def _script() -> str:
    """Return the painters, which the review loads as a module, and the viewer as one script of strict JavaScript."""
    folder = files("ewval.core.show.viewer")
    painters, viewer = ((folder / name).read_text(encoding="utf-8") for name in ("painters.js", "viewer.js"))
    return '"use strict";\n' + painters.replace("export function", "function") + viewer


def _row(document: Document) -> dict[str, Any]:
    kept = ("task", "cell", "volume", "agreement", "review_priority")
    counts = {name: len(document[name]) for name in ("add", "maybe", "remove")}
    return {name: document[name] for name in kept} | counts


def _bodies(document: Document) -> dict[str, list[int]]:
    names = {"seed": "seed", "add": "add", "maybe": "maybe", "remove": "doubted"}
    return {body: document[key] for key, body in names.items() if document[key]}


def _coloured(document: Document) -> set[int]:
    ids = {segment for body in _bodies(document).values() for segment in body}
    listed = (segment["id"] for segment in document["segments"][:40])
    return ids | set(document["consensus"] or ()) | set(listed)


def _panel(panel: TaskPanel, volume: VolumePicture) -> dict[str, Any]:
    bodies = _bodies(panel.document)
    probability = (panel.probability.clip(0, 1) * 255).round().astype(np.uint8)
    return {
        "document": dict(panel.document),
        "start": _busiest_slice(volume.labels, panel.document["seed"]),
        "probability": _packed(probability),
        "meshes": {name: _mesh(panel.pooling, ids) for name, ids in bodies.items()},
    }


def _mesh(pooling: Pooling, ids: Iterable[int]) -> dict[str, str]:
    mesh = surface(occupancy(pooling, ids))
    return {"vertices": _packed(mesh.vertices), "faces": _packed(mesh.faces)}


def _volume(volume: VolumePicture, ids: Iterable[int]) -> dict[str, Any]:
    labels = _kept(_slices(volume.labels), ids)
    return {
        "image": _mosaic(_slices(volume.image)),
        "image_edge": volume.image.shape[1],
        "columns": COLUMNS,
        "labels": _packed(labels),
        "depth": labels.shape[0],
        "edge": labels.shape[1],
        "stride": CUBE_EDGE // DEPTH,
    }


def _slices(volume: NDArray[Any]) -> NDArray[Any]:
    step = max(1, volume.shape[0] // DEPTH)
    return volume[step // 2 :: step]


def _kept(labels: NDArray[np.uint16], ids: Iterable[int]) -> NDArray[np.uint16]:
    table = np.zeros(SEGMENT_ID_COUNT, dtype=np.uint16)
    chosen = [i for i in ids if 0 < i < SEGMENT_ID_COUNT]
    table[chosen] = chosen
    return table[labels]


def _busiest_slice(labels: NDArray[np.uint16], seed: Iterable[int]) -> int:
    slices = _kept(_slices(labels), seed)
    return int(np.count_nonzero(slices, axis=(1, 2)).argmax())


def _mosaic(slices: NDArray[np.uint8]) -> str:
    depth, height, width = slices.shape
    rows = -(-depth // COLUMNS)
    sheet = np.zeros((rows * height, COLUMNS * width), dtype=np.uint8)
    for index, plane in enumerate(slices):
        row, column = divmod(index, COLUMNS)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = plane
    stream = io.BytesIO()
    Image.fromarray(sheet).save(stream, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _packed(array: NDArray[Any]) -> str:
    """Return an array as little-endian bytes, gzipped, in base64."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(gzip.compress(little.tobytes(), compresslevel=9, mtime=0)).decode()
