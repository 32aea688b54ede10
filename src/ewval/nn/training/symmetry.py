"""The symmetries of a cube: turns and mirrorings, applied alike to image, masks and context."""

from dataclasses import dataclass
from itertools import permutations, product

from torch import Tensor

from ewval.nn.data.batches import Batch

Axes = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Symmetry:
    """Axis i of the result is axis `axes[i]` of the input, mirrored where `flips[i]`; z, y, x are 0, 1, 2."""

    axes: Axes
    flips: tuple[bool, bool, bool]

    def __post_init__(self) -> None:
        if sorted(self.axes) != [0, 1, 2]:
            raise ValueError(f"axes must be an order of 0, 1, 2, not {self.axes}")

    def __call__(self, array: Tensor) -> Tensor:
        """Return `array` [..., z, y, x] turned and mirrored; a view where possible, never in place."""
        lead = array.ndim - 3
        turned = array.permute(*range(lead), *(lead + axis for axis in self.axes))
        mirrored = [lead + axis for axis, is_flipped in enumerate(self.flips) if is_flipped]
        return turned.flip(mirrored) if mirrored else turned


def symmetries(*, keep_z: bool = True) -> tuple[Symmetry, ...]:
    """Return the 16 symmetries that keep the z axis, or all 48 of the cube; the first one changes nothing.

    Voxels are 1.39 times as long in z as in y and x, so the other 32 make shapes that no microscope sees.
    """
    choices = (False, True)
    return tuple(
        Symmetry((a, b, c), flips)
        for a, b, c in permutations((0, 1, 2))
        if a == 0 or not keep_z
        for flips in product(choices, choices, choices)
    )


def move(batch: Batch, symmetry: Symmetry) -> Batch:
    """Return `batch` with all its arrays moved by `symmetry` together."""
    return Batch(
        tasks=batch.tasks,
        image=symmetry(batch.image),
        seed=symmetry(batch.seed),
        confidence=symmetry(batch.confidence),
        context=symmetry(batch.context),
        boundary=symmetry(batch.boundary),
        target=None if batch.target is None else symmetry(batch.target),
        touching=None if batch.touching is None else symmetry(batch.touching),
    )
