"""Neurites grown into free space: growth cones that move, branch, and avoid what is already there."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ewval.core.sim.tissue.grid import SCALE, Shape
from ewval.core.sim.tissue.style import Style

THINNEST = 1.2
"""Radius, in grid voxels, at which a cone gives up."""
WIDEST = 24.0
CANDIDATES = 6
MARGIN = 8
"""Grid voxels around the world that neurites run into before they end."""
WAVES = 12
"""Rounds of new neurites at most."""

Vectors = NDArray[np.float64]
Labels = NDArray[np.int32]


@dataclass(slots=True)
class Cones:
    """Growth cones, one a row; positions and radii in grid voxels, z y x."""

    position: Vectors
    direction: Vectors
    radius: Vectors
    owner: Labels
    life: NDArray[np.int64]
    phase: Vectors

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Cones":
        """Return the cones at `which`."""
        return Cones(*(getattr(self, name)[which] for name in self.__slots__))

    def joined(self, other: "Cones") -> "Cones":
        """Return these cones and then `other`."""
        return Cones(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Skeletons:
    """Points along the neurites.

    Args:
        points: float64 (n, 3), grid voxels z y x inside the world; some lie outside it.
        radius: float64 (n,), grid voxels.
        owner: int32 (n,), neurite of each point.
        direction: float64 (n, 3), unit vectors.
        nuclei: (z, y, x, radius) of each nucleus.
    """

    points: Vectors
    radius: Vectors
    owner: Labels
    direction: Vectors
    nuclei: Vectors


@dataclass(slots=True)
class Canvas:
    """The grid that neurites are painted on; paint never covers paint."""

    shape: Shape
    labels: Labels = field(init=False)
    pad: int = field(init=False)
    _offsets: dict[int, NDArray[np.intp]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.pad = int(2 * WIDEST) + MARGIN + 2
        self.labels = np.zeros([length + 2 * self.pad for length in self.shape], np.int32)

    def owner_at(self, points: Vectors) -> Labels:
        """Return the owner at each point (..., 3), 0 where it is free or far outside."""
        index = np.rint(points).astype(np.intp) + self.pad
        index = np.clip(index, 0, np.array(self.labels.shape) - 1)
        return self.labels[index[..., 0], index[..., 1], index[..., 2]]

    def paint(self, point: Vectors, radius: float, owner: int) -> None:
        """Paint a ball where the canvas is free."""
        tenths = max(10, round(radius * 4)) if radius < WIDEST else round(radius * 4)
        offsets = self._offsets.get(tenths)
        if offsets is None:
            offsets = self._offsets[tenths] = self._ball(tenths / 4)
        z, y, x = (np.rint(point).astype(np.intp) + self.pad).tolist()
        flat = self.labels.reshape(-1)
        index = offsets + ((z * self.labels.shape[1] + y) * self.labels.shape[2] + x)
        flat[index[flat[index] == 0]] = owner

    def _ball(self, radius: float) -> NDArray[np.intp]:
        reach = int(np.ceil(radius))
        grid = np.mgrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1].reshape(3, -1)
        grid = grid[:, (grid**2).sum(0) <= radius**2]
        return np.asarray((grid[0] * self.labels.shape[1] + grid[1]) * self.labels.shape[2] + grid[2], dtype=np.intp)

    def inside(self) -> Labels:
        """Return the world's part of the canvas, int32 of `shape`."""
        return self.labels[tuple(slice(self.pad, self.pad + length) for length in self.shape)]

    def near(self, points: Vectors) -> NDArray[np.bool_]:
        """Return which points (n, 3) lie in the world or its margin."""
        return np.asarray(((points > -MARGIN) & (points < np.array(self.shape) + MARGIN)).all(-1))


def grow(rng: np.random.Generator, shape: Shape, *, style: Style) -> tuple[Labels, Skeletons]:
    """Fill a grid of `shape` with neurites.

    Returns:
        Owners painted so far, int32 of `shape` (0 free), and the skeletons.
    """
    canvas = Canvas(shape)
    growth = _Growth(rng, canvas, style)
    growth.run(growth.somata())
    for wave in range(WAVES):
        if (canvas.inside() > 0).mean() >= style.packing:
            break
        growth.run(growth.starts(thinner=0.9**wave))
    return canvas.inside(), growth.skeletons()


class _Growth:
    """One run of growth: cones, the canvas they paint, and what they leave behind."""

    def __init__(self, rng: np.random.Generator, canvas: Canvas, style: Style) -> None:
        self.rng, self.canvas, self.style = rng, canvas, style
        self.axis = _unit(rng.standard_normal(3) * (0.5, 1, 1))
        self.count = 0
        self.nuclei: list[Vectors] = []
        self.trail: list[tuple[Vectors, Vectors, Labels, Vectors]] = []

    def skeletons(self) -> Skeletons:
        columns = list(zip(*self.trail, strict=True)) if self.trail else [[np.zeros((0, 3))] * 4]
        points, radius, owner, direction = (np.concatenate(list(column)) for column in columns)
        nuclei = np.array(self.nuclei).reshape(-1, 4)
        return Skeletons(points, radius, owner, direction, nuclei)

    def somata(self) -> Cones:
        """Paint the cell bodies; return the cones of their dendrites."""
        volume = float(np.prod(self.canvas.shape)) * SCALE**3
        cones = _no_cones()
        for _ in range(self.rng.poisson(self.style.somata * volume / 1e8)):
            radius = self.rng.uniform(26, 40)
            centre = self.rng.random(3) * self.canvas.shape
            if (self.canvas.owner_at(centre + radius * _directions(self.rng, 40)) > 0).any():
                continue
            self.count += 1
            stretch = _directions(self.rng, 1)[0] * radius * 0.3
            for part in np.linspace(-1, 1, 7):
                self._paint_large(centre + part * stretch, radius, self.count)
            self.nuclei.append(np.array([*centre, radius * 0.72]))
            directions = _directions(self.rng, int(self.rng.integers(3, 7)))
            cones = cones.joined(self._cones(centre + directions * radius * 0.95, directions, self.rng.uniform(6, 11)))
        return cones

    def _paint_large(self, point: Vectors, radius: float, owner: int) -> None:
        low = np.maximum(np.floor(point - radius).astype(int) + self.canvas.pad, 0)
        high = np.minimum(np.ceil(point + radius).astype(int) + self.canvas.pad + 1, self.canvas.labels.shape)
        if (low >= high).any():
            return
        box = self.canvas.labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        grids = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        centre = point + self.canvas.pad
        distance = sum((grid - middle) ** 2 for grid, middle in zip(grids, centre, strict=True))
        box[(distance <= radius**2) & (box == 0)] = owner

    def _cones(self, position: Vectors, direction: Vectors, radius: float) -> Cones:
        count = len(position)
        return Cones(
            position, direction, np.full(count, radius), np.full(count, self.count, np.int32),
            np.full(count, 10_000), self.rng.random(count) * 6.28,
        )  # fmt: skip

    def starts(self, *, thinner: float) -> Cones:
        """Return pairs of opposite cones at free places, as thick as the place allows."""
        room = ndimage.distance_transform_edt(self.canvas.inside()[::2, ::2, ::2] == 0) * 2
        wanted = 1 + int(room.size * 8 / (self.style.calibre / SCALE * 8) ** 3)
        free = np.flatnonzero(room > THINNEST + 1)
        cones = _no_cones()
        if not len(free):
            return cones
        taken = np.zeros((0, 4))
        for flat in self.rng.choice(free, size=wanted * 3):
            place = np.array(np.unravel_index(flat, room.shape)) * 2.0
            drawn = (
                self.style.calibre / SCALE * np.exp(self.style.calibre_spread * self.rng.standard_normal()) * thinner
            )
            radius = float(np.clip(drawn, THINNEST * 1.3, min(room.reshape(-1)[flat], WIDEST * 0.6)))
            if (((taken[:, :3] - place) ** 2).sum(1) < (taken[:, 3] + radius + 1) ** 2).any():
                continue
            taken = np.vstack([taken, [*place, radius]])
            self.count += 1
            axis = _unit(self.axis * self.style.bundling * 2 + self.rng.standard_normal(3) * (1 - self.style.bundling))
            cones = cones.joined(self._cones(np.stack([place, place]), np.stack([axis, -axis]), radius))
            if len(taken) >= wanted:
                break
        return cones

    def run(self, cones: Cones) -> None:
        """Let `cones` grow until the last one has ended."""
        while len(cones.owner):
            cones = self._step(cones)

    def _step(self, cones: Cones) -> Cones:
        swollen = np.clip(cones.radius * (1 + self.style.swelling * np.sin(cones.phase)), THINNEST, WIDEST)
        step = np.clip(0.6 * cones.radius, 1.0, 5.0)
        direction, blocked = self._steer(cones, reach=swollen + step)
        cones.direction = direction
        cones.position = np.where(blocked[:, None], cones.position, cones.position + direction * step[:, None])
        cones.radius = np.where(blocked, cones.radius * 0.8, cones.radius)
        cones.life -= 1
        cones.phase += step / np.maximum(cones.radius, 2) * 0.45
        moved = ~blocked
        for point, radius, owner in zip(cones.position[moved], swollen[moved], cones.owner[moved], strict=True):
            self.canvas.paint(point, radius, owner)
        self.trail.append((cones.position[moved], swollen[moved], cones.owner[moved], direction[moved]))
        alive = (cones.radius > THINNEST) & (cones.life > 0) & self.canvas.near(cones.position)
        return cones.chosen(alive).joined(self._branches(cones.chosen(alive & moved)))

    def _steer(self, cones: Cones, *, reach: Vectors) -> tuple[Vectors, NDArray[np.bool_]]:
        """Return the freest of some directions for each cone, and whether even that one is blocked."""
        count = len(cones.owner)
        jitter = self.rng.standard_normal((count, CANDIDATES, 3)) * self.style.tortuosity
        jitter[:, CANDIDATES // 2 :] *= 4  # half of them look far aside
        options = _unit(cones.direction[:, None] + jitter)  # count, candidates, 3
        sides = _unit(np.cross(options[:, :, None], self.rng.standard_normal((count, CANDIDATES, 4, 3))))
        probes = (cones.position[:, None] + options * reach[:, None, None])[:, :, None] + np.concatenate(
            [np.zeros((count, CANDIDATES, 1, 3)), sides * 0.7 * cones.radius[:, None, None, None]], axis=2
        )
        seen = self.canvas.owner_at(probes)  # count, candidates, 5
        hits = ((seen != 0) & (seen != cones.owner[:, None, None])).sum(2)
        turn = 1 - (options * cones.direction[:, None]).sum(2)
        best = (hits + 1.5 * turn).argmin(1)
        rows = np.arange(count)
        return options[rows, best], hits[rows, best] >= 2

    def _branches(self, cones: Cones) -> Cones:
        chance = self.rng.random(len(cones.owner))
        branch = chance < self.style.branching
        twig = ~branch & (chance < self.style.branching + self.style.twigs) & (cones.radius > 5) & (cones.life > 100)
        grown = cones.chosen(branch | twig)
        thin = twig[branch | twig]
        side = _unit(np.cross(grown.direction, self.rng.standard_normal(grown.direction.shape)))
        grown.direction = _unit(grown.direction * np.where(thin, 0.2, 0.9)[:, None] + side)
        grown.position = grown.position + grown.direction * grown.radius[:, None] * np.where(thin, 0.9, 0.3)[:, None]
        grown.radius = np.where(thin, self.rng.uniform(1.6, 2.8, len(thin)), grown.radius * 0.75)
        grown.life = np.where(thin, self.rng.integers(6, 22, len(thin)), grown.life)
        return grown


def _no_cones() -> Cones:
    return Cones(
        np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0)
    )


def _unit(vectors: Vectors) -> Vectors:
    length = np.sqrt((vectors * vectors).sum(-1, keepdims=True))
    return np.asarray(vectors / np.maximum(length, 1e-9))


def _directions(rng: np.random.Generator, count: int) -> Vectors:
    return _unit(rng.standard_normal((count, 3)))
