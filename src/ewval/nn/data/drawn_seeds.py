"""Samples with drawn seeds: many questions from every answer, each looked at where the seed touches something else."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from ewval.core.constants import ELSEWHERE_CONFIDENCE, PACKED_EDGE, SEED_CONFIDENCE
from ewval.core.segments.seed_parts import Neighbours, draw_part, near, neighbours_of, number_touching
from ewval.core.storage.cache import BoundedCache
from ewval.core.tasks.samples import Sample, SampleBuilder
from ewval.core.volumes.voxels import Labels, mask_of

TRUE_SHARE = 0.6
"""Share of crops that lie around a segment to be added, where there is one; the others lie around a foreign one."""
JITTER = 6
"""Packed voxels by which a crop's middle is moved at most."""
CROP_MULTIPLE = 4
KEPT_VOLUMES = 64
"""Volumes whose contacts are kept."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PartConfig:
    """How seeds are drawn.

    Args:
        draws: Seeds from each answer an epoch.
        crop: Packed voxels along the edge of a sample; None for the whole cube.
        seed: Of every draw.
    """

    draws: int
    crop: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(f"{self.draws} seeds an answer are nothing to learn from")
        if self.crop is not None and (self.crop % CROP_MULTIPLE or not CROP_MULTIPLE <= self.crop <= PACKED_EDGE):
            raise ValueError(f"crop {self.crop} is not a multiple of {CROP_MULTIPLE} up to {PACKED_EDGE}")


class PartDataset(Dataset[Sample]):
    """Samples whose seed is any connected part of a neuron, the rest being the target; context stays empty.

    A neuron is what the tasks given here say of one cell in one volume, taken together, so no other answer is looked
    at. Positions go on beyond the length of the data set: each further round draws other seeds.

    Args:
        builder: Its table and store; its context and withheld tasks are not asked for.
        task_ids: Tasks with an answer.
        config: How seeds are drawn.
    """

    def __init__(self, builder: SampleBuilder, task_ids: npt.ArrayLike, config: PartConfig) -> None:
        self.builder, self.config = builder, config
        self.task_ids = np.asarray(task_ids, dtype=np.int64)
        self._rows = builder.table.rows(self.task_ids)
        self._neighbours: BoundedCache[int, Neighbours] = BoundedCache(KEPT_VOLUMES)
        self._neurons = self._neurons_of(self._rows)

    def _neurons_of(self, rows: Ids) -> dict[tuple[int, int], Ids]:
        table = self.builder.table
        found: dict[tuple[int, int], list[Ids]] = {}
        for row in rows:
            found.setdefault(self._key(row), []).append(table.aggregate(row).astype(np.int64))
        return {key: np.unique(np.concatenate(parts)) for key, parts in found.items()}

    def _key(self, row: int) -> tuple[int, int]:
        table = self.builder.table
        return int(table.group[row]), int(table.volume[row])

    def __len__(self) -> int:
        return len(self.task_ids) * self.config.draws

    @property
    def volumes(self) -> Ids:
        """Volume of each sample of a round, int64 [n]."""
        return np.tile(self.builder.table.volume[self._rows], self.config.draws).astype(np.int64)

    def __getitem__(self, position: int) -> Sample:
        turn, place = divmod(position, len(self))
        rng = np.random.Generator(np.random.PCG64((self.config.seed, turn, place)))
        return self.draw(int(self._rows[place % len(self._rows)]), rng)

    def draw(self, row: int, rng: np.random.Generator) -> Sample:
        """Return one sample of the neuron that the task in `row` is part of."""
        table, store = self.builder.table, self.builder.store
        volume, neuron = int(table.volume[row]), self._neurons[self._key(row)]
        labels = store.segmentation(volume)
        neighbours = self._neighbours_in(volume, labels)
        seen = [int(segment) for segment in neuron if int(segment) in neighbours]
        part = draw_part(rng, seen, neighbours, seed=table.seed(row).tolist())
        around = {int(other) for segment in part for other in neighbours[segment]} - part
        where = _window(rng, labels, part, around=around, neuron=set(seen), crop=self.config.crop)
        return _cut(
            _Place(int(table.ids[row]), volume, int(table.cell[row]), store.image(volume)[where], labels[where]),
            part=part,
            around=around,
            neuron=neuron,
            context=self.builder.context,
        )

    def neuron(self, task: int) -> Ids:
        """Return the segments of the neuron that `task` is part of, ascending."""
        return self._neurons[self._key(self.builder.table.row(task))]

    def _neighbours_in(self, volume: int, labels: Labels) -> Neighbours:
        return self._neighbours.get(volume, lambda: neighbours_of(labels))


@dataclass(frozen=True, slots=True)
class _Place:
    """What a sample shows, whoever is asked for."""

    task: int
    volume: int
    cell: int
    image: npt.NDArray[np.uint8]
    labels: Labels


def _window(
    rng: np.random.Generator, labels: Labels, part: set[int], *, around: set[int], neuron: set[int], crop: int | None
) -> tuple[slice, ...]:
    """Return a window of `crop` voxels an edge around a place where `part` touches one of `around`."""
    if crop is None or not around:
        return tuple(slice(0, crop) for _ in labels.shape)
    true, foreign = sorted(around & neuron), sorted(around - neuron)
    wanted = true if true and (not foreign or rng.random() < TRUE_SHARE) else foreign
    target = wanted[int(rng.integers(len(wanted)))]
    places = np.flatnonzero(near(mask_of(labels, _ids(part)), reach=1) & (labels == target))
    place = np.unravel_index(places[int(rng.integers(len(places)))], labels.shape)
    middle = np.array(place) + rng.integers(-JITTER, JITTER + 1, size=3)
    low = [int(np.clip(m - crop // 2, 0, edge - crop)) for m, edge in zip(middle, labels.shape, strict=True)]
    return tuple(slice(start, start + crop) for start in low)


def _cut(place: _Place, *, part: set[int], around: set[int], neuron: Ids, context: int) -> Sample:
    labels = place.labels
    seed = mask_of(labels, _ids(part))
    return Sample(
        task=place.task,
        volume=place.volume,
        cell=place.cell,
        image=place.image,
        labels=labels,
        seed=seed,
        confidence=np.where(seed, np.float32(SEED_CONFIDENCE), np.float32(ELSEWHERE_CONFIDENCE)),
        context=np.zeros((context, *labels.shape), dtype=bool),
        target=mask_of(labels, neuron.astype(np.uint32)),
        touching=number_touching(labels, seed, around),
    )


def _ids(segments: set[int]) -> npt.NDArray[np.uint32]:
    return np.array(sorted(segments), dtype=np.uint32)
