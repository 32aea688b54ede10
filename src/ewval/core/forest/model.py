"""The segment head: which segments of a cube belong to the neuron that a seed is part of, and how surely.

Three steps, each learned from tasks that people answered: how likely two touching segments are one cell; how likely a
candidate is part of what has grown from the seed so far; and, from the two, where stopping promises the best answer.
It works on numbers of segments and contacts alone, so it needs no accelerator and learns in minutes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError
from ewval.core.forest.boosting import Forest, sum_forests
from ewval.core.forest.calibration.beta import BetaCalibration
from ewval.core.forest.candidates import Surroundings, survey
from ewval.core.forest.familiarity import Familiarity, sketch_of
from ewval.core.forest.growth import best_cut, grow
from ewval.core.forest.kept_odds import judged
from ewval.core.graph.graph import SegmentGraph
from ewval.core.storage.cache import BoundedCache

__all__ = ["HeadAnswer", "HeadSettings", "KnownCube", "SegmentHead", "Specialist"]

GRAPHS_KEPT = 2
"""Cubes whose surroundings are kept, since tasks come ordered by volume."""
SPECIALIST = "specialist"
"""What the names of its arrays begin with."""
LEAST_SHARE = 0.05
"""A specialist with less of a say is not asked: that would take half as long again and change next to nothing."""


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """What turns scores into an answer.

    Args:
        calibration: From log-odds to probabilities; from validation cells.
        nothing: Weight of the case that there is nothing to add, see `ewval.core.forest.growth.best_cut`; from
            validation cells. At 0.3 a first large segment is tried from about one chance in four, at 1 from one in two.
    """

    calibration: BetaCalibration = field(default_factory=BetaCalibration)
    nothing: float = 1.0

    def toward(self, away: "HeadSettings", familiarity: float) -> "HeadSettings":
        """Return the settings of a cube that lies between what is known, 1, and what is not, 0."""

        def between(home: float, foreign: float) -> float:
            return familiarity * home + (1 - familiarity) * foreign

        one, other = self.calibration, away.calibration
        calibration = BetaCalibration(
            between(one.low, other.low), between(one.high, other.high), between(one.shift, other.shift)
        )
        return HeadSettings(calibration, between(self.nothing, away.nothing))


@dataclass(frozen=True, slots=True)
class HeadAnswer:
    """The head's view of one task.

    Args:
        ids: int64[k], the candidates: all that joined or touched the object, those that joined first.
        probability: float64[k] in [0, 1], that each belongs to the neuron.
        chosen: bool[k], whether it is part of the answer.
        familiarity: Of the cube, in [0, 1], see `ewval.core.forest.familiarity`; None where the head cannot say.
    """

    ids: NDArray[np.int64]
    probability: NDArray[np.float64]
    chosen: NDArray[np.bool_]
    familiarity: float | None = None


@dataclass(frozen=True, slots=True)
class Specialist:
    """Forests for cubes of one look, learned from generated ones.

    Args:
        pairs: As those of the head.
        candidates: As those of the head.
        familiarity: With cubes of that look: its share of the judgement in what else is unfamiliar.
    """

    pairs: Forest
    candidates: Forest
    familiarity: Familiarity


@dataclass(frozen=True, slots=True)
class KnownCube:
    """What a head knows of a cube before it is asked for a task.

    Args:
        graph: Of the cube; held so that its id is not reused.
        around: The graph with the judgement of its contacts.
        judge: Of candidates.
        familiarity: Of the cube, see `ewval.core.forest.familiarity`; None where the head cannot say.
    """

    graph: SegmentGraph
    around: Surroundings
    judge: Forest
    familiarity: float | None


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """A trained head.

    Args:
        pairs: Judges a contact by `SegmentGraph.evidence`.
        candidates: Judges a candidate by `Surroundings.candidates`.
        settings: From scores to an answer, in tissue like that of the cubes it learned from.
        away: The same in tissue unlike any of it; None where that was never tried.
        familiarity: Tells the one from the other; None where it cannot.
        specialist: Shares the judgement in cubes of its look; None where there is none.
    """

    pairs: Forest
    candidates: Forest
    settings: HeadSettings = HeadSettings()
    away: HeadSettings | None = None
    familiarity: Familiarity | None = None
    specialist: Specialist | None = None
    _kept: BoundedCache[int, KnownCube] = field(
        default_factory=lambda: BoundedCache(GRAPHS_KEPT), init=False, repr=False, compare=False
    )

    def score(
        self,
        graph: SegmentGraph,
        seed_ids: Iterable[int],
        *,
        kept: Path | None = None,
        excluded_ids: Iterable[int] = (),
    ) -> HeadAnswer:
        """Return the answer to a task.

        Args:
            graph: Of its cube.
            seed_ids: Segments known to belong to the neuron; those that are not in the cube are left out.
            kept: File for what it says of the graph's contacts, see `ewval.core.forest.kept_odds`.
            excluded_ids: Segments known not to belong to it: they never join, and the answer leaves them out.
        """
        seed = graph.rows(np.unique(np.fromiter(seed_ids, dtype=np.int64)))
        known = self.known(graph, kept=kept)
        if not len(seed):
            return HeadAnswer(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_), known.familiarity)
        settings = self.settings_at(known.familiarity)
        excluded = graph.rows(np.fromiter(excluded_ids, dtype=np.int64))
        growth = grow(known.around, seed, judge=known.judge, excluded=excluded)
        rows = np.concatenate([growth.rows, growth.refused])
        joined = len(growth.rows)
        probability = settings.calibration.probability(np.concatenate([growth.log_odds, growth.refused_log_odds]))
        voxels = graph.voxels[growth.rows].astype(np.float64)
        chosen = np.arange(len(rows)) < best_cut(voxels, probability[:joined], nothing=settings.nothing)
        return HeadAnswer(graph.ids[rows], probability, chosen, known.familiarity)

    def settings_at(self, familiarity: float | None) -> HeadSettings:
        """Return the settings for a cube of this familiarity."""
        if familiarity is None or self.away is None:
            return self.settings
        return self.settings.toward(self.away, familiarity)

    def known(self, graph: SegmentGraph, *, kept: Path | None = None) -> KnownCube:
        """Return what the head knows of the cube of `graph`; the latest few are kept."""
        return self._kept.get(id(graph), lambda: self._look(graph, kept))

    def surroundings(self, graph: SegmentGraph, *, kept: Path | None = None) -> Surroundings:
        """Return `graph` with this head's judgement of its pairs; the latest few are kept."""
        return self.known(graph, kept=kept).around

    def without_specialist(self, cubes: Iterable[NDArray[np.float32]]) -> "SegmentHead":
        """Return the head for cubes of one look, the specialist's share settled.

        Args:
            cubes: Evidence of contacts of some of them: the share is the mean over these.
        """
        if self.specialist is None:
            return self
        shares = [self._familiar(evidence)[1] for evidence in cubes]
        pairs, candidates = self._shared(float(np.mean(shares)) if shares else 0.0)
        return replace(self, pairs=pairs, candidates=candidates, specialist=None)

    def _look(self, graph: SegmentGraph, kept: Path | None) -> KnownCube:
        familiarity, share = self._familiar(graph.evidence)
        pairs, judge = self._shared(share)
        return KnownCube(graph, survey(graph, judged(pairs, graph.evidence, kept=kept)), judge, familiarity)

    def _familiar(self, evidence: NDArray[np.float32]) -> tuple[float | None, float]:
        """Return the familiarity of a cube, and the specialist's share in it: none in one that was learned from."""
        if not len(evidence):
            return None if self.familiarity is None else 1.0, 0.0
        sketch = sketch_of(evidence)
        known = None if self.familiarity is None else self.familiarity.of_sketch(sketch)
        foreign = 1.0 if known is None else 1 - known
        if self.specialist is None or foreign < LEAST_SHARE:
            return known, 0.0
        return known, foreign * self.specialist.familiarity.of_sketch(sketch)

    def _shared(self, share: float) -> tuple[Forest, Forest]:
        """Return the forests of contacts and of candidates, with a specialist's share in them."""
        if self.specialist is None or share < LEAST_SHARE:
            return self.pairs, self.candidates
        other, weights = self.specialist, (1 - share, share)
        return (
            sum_forests(self.pairs, other.pairs, weights=weights),
            sum_forests(self.candidates, other.candidates, weights=weights),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what it has learned, for a file."""
        parts = {"pairs": self.pairs, "candidates": self.candidates, "familiarity": self.familiarity}
        if (other := self.specialist) is not None:
            parts |= {f"{SPECIALIST}.{name}": getattr(other, name) for name in parts}
        found = {
            f"{name}.{key}": np.ascontiguousarray(value)
            for name, part in parts.items()
            for key, value in ({} if part is None else part.arrays()).items()
        }
        if self.away is not None:
            found["away"] = _numbers(self.away)
        return found | {"settings": _numbers(self.settings)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, what: str) -> "SegmentHead":
        """Return the head that `arrays` came from.

        Raises:
            DamagedError: They are not those of a head; `what` names the file.
        """
        try:
            settings = _settings(arrays["settings"])
            away = _settings(arrays["away"]) if "away" in arrays else None
            specialist = _specialist(apart) if (apart := _under(arrays, f"{SPECIALIST}.")) else None
            known = _under(arrays, "familiarity.")
            familiarity = Familiarity.from_arrays(known) if "sketches" in known else None
            pairs, candidates = _forests(arrays)
        except (KeyError, ValueError, IndexError) as error:
            raise DamagedError(what, f"its segment head is not whole: {error}") from error
        return cls(pairs, candidates, settings, away, familiarity, specialist)


def _forests(arrays: Mapping[str, NDArray[Any]]) -> tuple[Forest, Forest]:
    pairs, candidates = (Forest.from_arrays(_under(arrays, f"{name}.")) for name in ("pairs", "candidates"))
    return pairs, candidates


def _specialist(arrays: Mapping[str, NDArray[Any]]) -> Specialist:
    return Specialist(*_forests(arrays), Familiarity.from_arrays(_under(arrays, "familiarity.")))


def _numbers(settings: HeadSettings) -> NDArray[np.float32]:
    calibration = settings.calibration
    return np.array([calibration.low, calibration.high, calibration.shift, settings.nothing], np.float32)


def _settings(numbers: NDArray[Any]) -> HeadSettings:
    low, high, shift, nothing = numbers.tolist()
    return HeadSettings(BetaCalibration(low, high, shift), nothing)


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
