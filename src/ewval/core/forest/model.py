"""The segment head: which segments of a cube belong to the neuron that a seed is part of, and how surely.

Three steps, each learned from tasks that people answered: how likely two touching segments are one cell; how likely a
candidate is part of what has grown from the seed so far; and, from the two, where stopping promises the best answer.
It works on numbers of segments and contacts alone, so it needs no accelerator and learns in minutes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError
from ewval.core.forest.boosting import Forest
from ewval.core.forest.calibration import BetaCalibration
from ewval.core.forest.candidates import Surroundings, survey
from ewval.core.forest.familiarity import Familiarity
from ewval.core.forest.growth import best_cut, grow
from ewval.core.forest.kept_odds import judged
from ewval.core.graph.graph import SegmentGraph
from ewval.core.storage.cache import BoundedCache

__all__ = ["HeadAnswer", "HeadSettings", "SegmentHead"]

GRAPHS_KEPT = 2
"""Cubes whose surroundings are kept, since tasks come ordered by volume."""


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """What turns scores into an answer.

    Args:
        calibration: From log-odds to probabilities; from validation cells.
        nothing: Weight of the case that there is nothing to add, see `ewval.core.forest.growth.best_cut`; from
            validation cells. At 0.3 a first segment is tried from about one chance in four on, at 1 from one in two.
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
        expected_f1: Of the answer, by volume, seed left out.
        familiarity: Of the cube, in [0, 1], see `ewval.core.forest.familiarity`; None where the head cannot say.
    """

    ids: NDArray[np.int64]
    probability: NDArray[np.float64]
    chosen: NDArray[np.bool_]
    expected_f1: float
    familiarity: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """A trained head.

    Args:
        pairs: Judges a contact by `SegmentGraph.evidence`.
        candidates: Judges a candidate by `Surroundings.candidates`.
        settings: From scores to an answer, in tissue like that of the cubes it learned from.
        away: The same in tissue unlike any of it; None where that was never tried.
        familiarity: Tells the one from the other; None where it cannot.
    """

    pairs: Forest
    candidates: Forest
    settings: HeadSettings = HeadSettings()
    away: HeadSettings | None = None
    familiarity: Familiarity | None = None
    _kept: BoundedCache[int, tuple[SegmentGraph, Surroundings, float | None]] = field(
        default_factory=lambda: BoundedCache(GRAPHS_KEPT), repr=False, compare=False
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
        _, around, familiarity = self._known(graph, kept)
        if not len(seed):
            return HeadAnswer(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_), 1.0, familiarity)
        settings = self.settings_at(familiarity)
        excluded = graph.rows(np.fromiter(excluded_ids, dtype=np.int64))
        growth = grow(around, seed, judge=self.candidates, excluded=excluded)
        rows = np.concatenate([growth.rows, growth.refused])
        joined = len(growth.rows)
        probability = settings.calibration.probability(np.concatenate([growth.log_odds, growth.refused_log_odds]))
        voxels = graph.voxels[growth.rows].astype(np.float64)
        cut = best_cut(voxels, probability[:joined], nothing=settings.nothing)
        return HeadAnswer(graph.ids[rows], probability, np.arange(len(rows)) < cut.count, cut.expected_f1, familiarity)

    def settings_at(self, familiarity: float | None) -> HeadSettings:
        """Return the settings for a cube of this familiarity."""
        if familiarity is None or self.away is None:
            return self.settings
        return self.settings.toward(self.away, familiarity)

    def surroundings(self, graph: SegmentGraph, *, kept: Path | None = None) -> Surroundings:
        """Return `graph` with this head's judgement of its pairs; the latest few are kept."""
        return self._known(graph, kept)[1]

    def _known(self, graph: SegmentGraph, kept: Path | None) -> tuple[SegmentGraph, Surroundings, float | None]:
        # The graph is kept, too, so that no other one can get its id.
        return self._kept.get(id(graph), lambda: (graph, *self._look(graph, kept)))

    def _look(self, graph: SegmentGraph, kept: Path | None) -> tuple[Surroundings, float | None]:
        around = survey(graph, judged(self.pairs, graph.evidence, kept=kept))
        return around, None if self.familiarity is None else self.familiarity.of(graph.evidence)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what it has learned, for a file."""
        parts = {"pairs": self.pairs, "candidates": self.candidates}
        found = {
            f"{name}.{key}": np.ascontiguousarray(value)
            for name, forest in parts.items()
            for key, value in forest.arrays().items()
        }
        if self.familiarity is not None:
            found |= {f"familiarity.{key}": value for key, value in self.familiarity.arrays().items()}
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
            forests = [Forest.from_arrays(_under(arrays, f"{name}.")) for name in ("pairs", "candidates")]
            settings = _settings(arrays["settings"])
            away = _settings(arrays["away"]) if "away" in arrays else None
            known = _under(arrays, "familiarity.")
            familiarity = Familiarity.from_arrays(known) if "sketches" in known else None
        except (KeyError, ValueError, IndexError) as error:
            raise DamagedError(what, f"its segment head is not whole: {error}") from error
        return cls(forests[0], forests[1], settings, away, familiarity)


def _numbers(settings: HeadSettings) -> NDArray[np.float32]:
    calibration = settings.calibration
    return np.array([calibration.low, calibration.high, calibration.shift, settings.nothing], np.float32)


def _settings(numbers: NDArray[Any]) -> HeadSettings:
    low, high, shift, nothing = numbers.tolist()
    return HeadSettings(BetaCalibration(low, high, shift), nothing)


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
