"""What speaks for a candidate segment being part of a growing object, judged against the whole object.

A pair of segments is often ambiguous where the object as a whole is not: its contacts with the candidate add up, the
candidate may fit another neighbour better, and what clusters with the candidate touches the object, too.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.agglomeration import agglomerate
from ewval.core.graph.graph import SegmentGraph
from ewval.core.graph.names import SEGMENT_NAMES

__all__ = ["CANDIDATE_NAMES", "POOLED_EVIDENCE", "Surroundings", "survey"]

POOLED_EVIDENCE = (
    "rise_mean_1", "rise_mean_2", "rise_mean_3", "rise_least_3", "dip_share", "no_dip_share", "gap_0", "gap_1",
    "face_q5", "face_q25", "face_q75", "face_std", "flatness", "log_thin", "log_filling", "log_projected",
    "log_thickness", "inside_least_8", "inside_most_8", "thick_least_4", "thick_most_4", "window4_straight",
    "window4_contact_rise", "window4_mean_differs", "window2_elongation", "window4_elongation",
    "window4_along_normal", "window4_convexity", "window4_contact_to_least_section", "window2_contact_to_volume",
    "window4_parallel",
)  # fmt: skip
"""Numbers of single contacts that are averaged over all contacts between the candidate and the object."""
CLUSTER_BOUNDS = (3.0, 1.5, 0.0)
"""Mean log-odds down to which segments are clustered: certain, likely, even."""
CANDIDATE_NAMES = (
    "log_contact", "odds_mean", "odds_best", "odds_worst", "odds_root_weighted", "contacts", "contact_share",
    "likely_share", "log_likely", "contact_to_size",
    "rival_best", "rival_mean", "ahead_of_rival", "rival_likely_ratio", "rivals",
    "log_size", "log_object_size", "log_size_ratio", "log_object_segments", "log_seed_size",
    "object_sides", "sides", "new_sides",
    *(f"own_{name}" for name in SEGMENT_NAMES),
    "mean_above_object", "spread_above_object", "object_mean", "object_spread",
    *(f"pooled_{name}" for name in POOLED_EVIDENCE),
    "rank", "odds_behind_best", "log_contact_share_of_largest",
    *(
        f"cluster{level}_{name}"
        for level in range(len(CLUSTER_BOUNDS))
        for name in ("log_size", "log_contact", "odds", "shared", "contact_share", "log_size_ratio", "shared_ratio")
    ),
)  # fmt: skip
"""Columns of `Surroundings.candidates`, which a forest of candidates keeps to be told from those of another form."""
NO_NEIGHBOUR = -9.0
"""Log-odds that stand for having no other neighbour."""
TINY = 1e-3
NUMBERS, NUMBERS_OF_CLUSTERS = 30, 7
"""Numbers of each candidate beside those of its segment and of its contacts; those for each bound of clusters."""


@dataclass(frozen=True, slots=True)
class _Clusters:
    """Clusters of segments down to one bound: each segment's own, and what each holds and touches."""

    of: NDArray[np.int64]
    voxels: NDArray[np.float64]
    touching: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A graph with log-odds for its pairs, laid out to be asked for candidates again and again.

    Every contact stands twice, once from either segment (`here`), with the other as `there`.
    """

    graph: SegmentGraph
    here: NDArray[np.int64]
    there: NDArray[np.int64]
    area: NDArray[np.float64]
    odds: NDArray[np.float64]
    chance: NDArray[np.float64]
    pooled: NDArray[np.float32]
    voxels: NDArray[np.float64]
    touching: NDArray[np.float64]
    likely: NDArray[np.float64]
    clusters: tuple[_Clusters, ...]
    kept: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)
    """What compiled growth laid out, by forest."""

    @property
    def columns(self) -> int:
        """Numbers that describe a candidate."""
        of_segment, of_contacts = self.graph.segments.shape[1], self.pooled.shape[1]
        return int(NUMBERS + of_segment + of_contacts + NUMBERS_OF_CLUSTERS * len(self.clusters))

    def candidates(
        self, inside: NDArray[np.bool_], *, seed_voxels: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the segments that touch an object, ascending, and float32[k, numbers] that describe each.

        The second number is the mean log-odds over the contact, the simplest judgement.

        Args:
            inside: bool[n], the object's segments.
            seed_voxels: Size of what the object grew from.
        """
        border = np.flatnonzero(inside[self.there] & ~inside[self.here])
        rows, place = np.unique(self.here[border], return_inverse=True)
        if not len(rows):
            return rows, np.zeros((0, 0), dtype=np.float32)
        contact = _Contact(self, border, rows, place)
        columns = contact.strength() + self._rivals(inside, contact) + self._kind(inside, rows, seed_voxels)
        columns += contact.pooled() + contact.rank() + self._clustered(inside, contact)
        return rows, np.stack(columns, axis=1).astype(np.float32)

    def _rivals(self, inside: NDArray[np.bool_], contact: "_Contact") -> list[NDArray[np.float64]]:
        """Return how well the candidates fit neighbours outside the object."""
        count = len(contact.rows)
        number = np.full(len(self.voxels), -1, dtype=np.int64)
        number[contact.rows] = np.arange(count)
        other = np.flatnonzero((number[self.here] >= 0) & ~inside[self.there])
        place, area, odds = number[self.here[other]], self.area[other], self.odds[other]
        best, largest = np.full(count, NO_NEIGHBOUR), np.zeros(count)
        np.maximum.at(best, place, odds)
        np.maximum.at(largest, place, area * self.chance[other])
        total = np.bincount(place, area, minlength=count)
        mean = np.bincount(place, area * odds, minlength=count) / np.maximum(total, 1)
        lead = np.log(contact.likely + TINY)
        neighbours = np.bincount(place, minlength=count).astype(np.float64)
        return [best, mean, contact.best - best, np.log(largest + TINY) - lead, neighbours]

    def _kind(
        self, inside: NDArray[np.bool_], rows: NDArray[np.int64], seed_voxels: float
    ) -> list[NDArray[np.float64]]:
        """Return what the candidates are and how they compare with the object."""
        graph, size = self.graph, self.voxels[rows]
        object_size = self.voxels[inside].sum()
        reached = graph.sides[inside].any(axis=0)
        sides = graph.sides[rows]
        columns = [size, np.full(len(rows), object_size), size / object_size]
        columns += [np.full(len(rows), inside.sum()), np.full(len(rows), seed_voxels)]
        own = [np.asarray(graph.segments[rows, i], dtype=np.float64) for i in range(graph.segments.shape[1])]
        names = graph.segment_names
        looks = [(own[names.index(n)], graph.segments[inside, names.index(n)]) for n in ("mean", "spread")]
        weight = self.voxels[inside] / object_size
        means = [float((values * weight).sum()) for _, values in looks]
        return [
            *[np.log(c) for c in columns],
            np.full(len(rows), reached.sum(), dtype=np.float64),
            sides.sum(axis=1).astype(np.float64),
            (sides & ~reached).sum(axis=1).astype(np.float64),
            *own,
            *[mine - mean for (mine, _), mean in zip(looks, means, strict=True)],
            *[np.full(len(rows), mean) for mean in means],
        ]

    def _clustered(self, inside: NDArray[np.bool_], contact: "_Contact") -> list[NDArray[np.float64]]:
        """Return how what clusters with each candidate fits the object."""
        object_size, count = self.voxels[inside].sum(), len(self.voxels)
        columns: list[NDArray[np.float64]] = []
        for clusters in self.clusters:
            cluster, mine = clusters.of[self.here[contact.border]], clusters.of[contact.rows]
            area = np.bincount(cluster, contact.area, minlength=count)[mine]
            odds = np.bincount(cluster, contact.area * contact.odds, minlength=count)[mine] / np.maximum(area, 1e-6)
            shared = np.bincount(clusters.of[inside], self.voxels[inside], minlength=count)[mine]
            size = clusters.voxels[mine]
            columns += [np.log(size), np.log(area), odds, shared / size, area / np.maximum(clusters.touching[mine], 1)]
            columns += [np.log(size / object_size), shared / object_size]
        return columns


class _Contact:
    """The contacts between an object and its candidates, pooled by candidate."""

    def __init__(
        self, around: Surroundings, border: NDArray[np.int64], rows: NDArray[np.int64], place: NDArray[np.int64]
    ) -> None:
        self._around, self.border, self.rows, self._place = around, border, rows, place
        self.area, self.odds = around.area[border], around.odds[border]
        self.total = self._sum(self.area)
        self.mean = self._sum(self.area * self.odds) / self.total
        self.likely = self._sum(self.area * around.chance[border])
        self.best = np.full(len(rows), -np.inf)
        np.maximum.at(self.best, place, self.odds)

    def strength(self) -> list[NDArray[np.float64]]:
        """Return how much contact there is and how strongly it speaks for one cell."""
        around, rows = self._around, self.rows
        worst = np.full(len(rows), np.inf)
        np.minimum.at(worst, self._place, self.odds)
        root = np.sqrt(self.area)
        return [
            np.log(self.total),
            self.mean,
            self.best,
            worst,
            self._sum(root * self.odds) / self._sum(root),
            self._sum(np.ones(len(self.area))),
            self.total / around.touching[rows],
            self.likely / np.maximum(around.likely[rows], 1e-6),
            np.log(self.likely + TINY),
            np.log(self.total) - 2 / 3 * np.log(around.voxels[rows]),
        ]

    def pooled(self) -> list[NDArray[np.float64]]:
        """Return evidence of single contacts, averaged by area over each candidate's contacts with the object."""
        share = (self.area / self.total[self._place]).astype(np.float32)
        order = np.argsort(self._place, kind="stable")
        starts = np.searchsorted(self._place[order], np.arange(len(self.rows)))
        weighted = self._around.pooled[self.border[order]] * share[order, None]
        return list(np.add.reduceat(weighted, starts, axis=0).T)

    def rank(self) -> list[NDArray[np.float64]]:
        """Return how each candidate stands among the others."""
        place = np.argsort(np.argsort(-self.mean, kind="stable"), kind="stable").astype(np.float64)
        return [place, self.mean - self.mean.max(), np.log(self.total / self.total.max())]

    def _sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self._place, values, minlength=len(self.rows)).astype(np.float64)


def survey(graph: SegmentGraph, log_odds: NDArray[np.float64]) -> Surroundings:
    """Return the surroundings in which objects of `graph` grow.

    Args:
        graph: Segments and contacts.
        log_odds: float64[m], for each pair, that both segments are one cell.
    """
    count = len(graph.ids)
    here, there = np.concatenate([graph.pairs, graph.pairs[:, ::-1]]).T
    area, odds = np.tile(graph.area, 2), np.tile(log_odds, 2)
    chance = 1 / (1 + np.exp(-odds))
    columns = [graph.evidence_names.index(name) for name in POOLED_EVIDENCE] if len(graph.pairs) else []
    found = agglomerate(graph.pairs, count=count, area=graph.area, log_odds=log_odds, bounds=CLUSTER_BOUNDS)
    return Surroundings(
        graph=graph,
        here=here,
        there=there,
        area=area,
        odds=odds,
        chance=chance,
        pooled=np.tile(graph.evidence[:, columns], (2, 1)),
        voxels=graph.voxels.astype(np.float64),
        touching=np.bincount(here, area, minlength=count).astype(np.float64),
        likely=np.bincount(here, area * chance, minlength=count).astype(np.float64),
        clusters=tuple(_measure(of, graph, here=here, there=there, area=area) for of in found),
    )


def _measure(
    of: NDArray[np.int64],
    graph: SegmentGraph,
    *,
    here: NDArray[np.int64],
    there: NDArray[np.int64],
    area: NDArray[np.float64],
) -> _Clusters:
    count = len(graph.ids)
    outer = of[here] != of[there]
    touching = np.bincount(of[here[outer]], area[outer], minlength=count).astype(np.float64)
    return _Clusters(of, np.bincount(of, graph.voxels, minlength=count).astype(np.float64), touching)
