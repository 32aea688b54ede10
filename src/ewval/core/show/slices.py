"""A picture of one task: three orthogonal slices through the seed, with what was given, chosen and predicted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ewval.core.volumes.voxels import SegmentMask

Rgb = tuple[int, int, int]

COLOURS: dict[str, Rgb] = {
    "seed": (64, 132, 246),
    "add": (52, 199, 89),
    "maybe": (255, 176, 32),
    "doubted": (236, 64, 122),
    "consensus": (64, 224, 224),
}
"""Colour of each kind of segment in pictures and reports; told apart by people with red-green blindness too."""
PANEL = 256
GAP = 8
CAPTION = 22
BACKGROUND: Rgb = (18, 20, 24)
INK: Rgb = (225, 228, 232)
PLANES = ("xy", "xz", "yz")


@dataclass(frozen=True, slots=True)
class Overlay:
    """One column of the picture.

    Args:
        title: Written above the column.
        masks: Colour name and mask, z y x, at any size; later ones cover earlier ones.
        heat: float32 in [0, 1], z y x, drawn from transparent to bright, or None.
    """

    title: str
    masks: Sequence[tuple[str, NDArray[np.bool_] | SegmentMask]] = ()
    heat: NDArray[np.float32] | None = None


def draw_slices(
    image: NDArray[np.uint8], overlays: Sequence[Overlay], *, centre: tuple[float, float, float]
) -> Image.Image:
    """Return rows xy, xz and yz through `centre`, a column an overlay.

    Args:
        image: uint8, z y x.
        overlays: The columns, left to right.
        centre: z y x, as shares of the cube's edges in [0, 1).
    """
    width = GAP + len(overlays) * (PANEL + GAP)
    height = CAPTION + len(PLANES) * (PANEL + GAP)
    canvas = Image.new("RGB", (width, height), BACKGROUND)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for column, overlay in enumerate(overlays):
        left = GAP + column * (PANEL + GAP)
        draw.text((left, 3), overlay.title, fill=INK, font=font)
        for row, plane in enumerate(PLANES):
            top = CAPTION + row * (PANEL + GAP)
            canvas.paste(_panel(image, overlay, plane=plane, centre=centre), (left, top))
            draw.text((left + 4, top + 2), plane, fill=INK, font=font)
    return canvas


def centre_of(mask: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the voxel of `mask` nearest to its centre of mass, as shares of the edges; where empty, the middle."""
    voxels = np.argwhere(mask)
    if not len(voxels):
        return (0.5, 0.5, 0.5)
    middle = voxels[np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))]
    z, y, x = ((at + 0.5) / edge for at, edge in zip(middle.tolist(), mask.shape, strict=True))
    return z, y, x


def _panel(
    image: NDArray[np.uint8], overlay: Overlay, *, plane: str, centre: tuple[float, float, float]
) -> Image.Image:
    grey = _enlarged(_slice(image, plane, centre), smooth=True).astype(np.float32)
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    if overlay.heat is not None:
        heat = _enlarged((_slice(overlay.heat, plane, centre) * 255).astype(np.uint8), smooth=True)
        colour = _blended(colour, _heat_colour(heat), 0.75 * np.sqrt(heat.astype(np.float32) / 255)[:, :, None])
    for name, mask in overlay.masks:
        shown = _enlarged(_slice(mask, plane, centre).astype(np.uint8) * 255, smooth=False) > 127
        alpha = np.where(_outline(shown), 1.0, 0.35) * shown
        colour = _blended(colour, np.array(COLOURS[name], np.float32), alpha[:, :, None])
    return Image.fromarray(colour.clip(0, 255).astype(np.uint8))


def _slice(
    volume: NDArray[np.generic] | SegmentMask, plane: str, centre: tuple[float, float, float]
) -> NDArray[np.generic]:
    z, y, x = (min(int(share * edge), edge - 1) for share, edge in zip(centre, volume.shape, strict=True))
    every = slice(None)
    return np.asarray(volume[{"xy": (z,), "xz": (every, y), "yz": (every, every, x)}[plane]])


def _enlarged(plane: NDArray[np.generic], *, smooth: bool) -> NDArray[np.uint8]:
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.asarray(plane, np.uint8)).resize((PANEL, PANEL), method))


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)


def _blended(under: NDArray[np.float32], over: NDArray[np.float32], alpha: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(under * (1 - alpha) + over * alpha, dtype=np.float32)


def _heat_colour(heat: NDArray[np.uint8]) -> NDArray[np.float32]:
    """From red for little to white-yellow for much."""
    share = heat.astype(np.float32) / 255
    return np.stack([np.full_like(share, 255), 90 + 150 * share, 40 + 160 * share**3], axis=2)
