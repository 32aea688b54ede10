"""Generated cubes of tissue as training data: as many as are asked for, each from its seed alone."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ewval.core.constants import CUBE_EDGE
from ewval.core.sim.tissue.grid import SCALE, repeated
from ewval.core.sim.tissue.microscope import expose, photograph
from ewval.core.sim.tissue.oversegment import boundary_evidence, segment
from ewval.core.sim.tissue.style import Style, draw_style
from ewval.core.sim.tissue.tissue import make_tissue

DrawStyle = Callable[[np.random.Generator], Style]
JPEG_QUALITY = 25
"""Eyewire's writer compresses sections this hard."""


@dataclass(frozen=True, slots=True)
class Cube:
    """A cube of generated tissue; all arrays z y x, of the same size.

    Args:
        image: uint8.
        labels: uint16 segments, 0 at boundaries.
        truth: uint32 neurites, nowhere 0.
        style: How it looks.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    truth: NDArray[np.uint32]
    style: Style


def generate_cube(
    seed: int, *, edge: int = CUBE_EDGE, style: Style | None = None, draw: DrawStyle = draw_style
) -> Cube:
    """Return the cube of `seed`, `edge` raw voxels along each side.

    Args:
        seed: The same seed gives the same cube.
        edge: Even, from 32.
        style: How it looks; without one it is drawn from the seed.
        draw: Draws it.

    Raises:
        ValueError: `edge` is odd or under 32.
    """
    if edge % SCALE or edge < 32:
        raise ValueError(f"edge {edge} is not an even number from 32")
    rng = np.random.default_rng(seed)
    style = style or draw(rng)
    tissue = make_tissue(rng, (edge // SCALE,) * 3, style=style)
    exposure = expose(rng, tissue, style=style)
    image = photograph(seed, exposure.grey, style=style)
    labels = segment(boundary_evidence(rng, exposure, style=style, image=image), style=style)
    truth = repeated(tissue.neurites.astype(np.uint32))
    return Cube(np.stack([as_jpeg(section, quality=style.jpeg)[1] for section in image]), labels, truth, style)


def as_jpeg(section: NDArray[np.uint8], *, quality: int = JPEG_QUALITY) -> tuple[bytes, NDArray[np.uint8]]:
    """Return a section (y, x) as JPEG, and what is left of it."""
    stream = io.BytesIO()
    Image.fromarray(section).save(stream, format="JPEG", quality=quality)
    return stream.getvalue(), np.asarray(Image.open(stream))
