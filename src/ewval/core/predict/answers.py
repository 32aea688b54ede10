"""A prediction beside what the players chose, and the JSON document of both."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ewval.core.predict.prediction import TaskPrediction
from ewval.core.segments.doubts import Doubt, doubts
from ewval.core.segments.verdicts import DECIMALS, SegmentScore, Verdict, agreement, review_priority

LISTS = ("seed", "add", "maybe", "remove", "segments", "missing", "doubts", "unscored")
OTHERS = ("volume", "cell", "model", "loops", "consensus", "agreement", "review_priority", "resolution")
"""What every answer of a file holds beside its task, lists and others; those of early versions lack familiarity."""
SCORE_FIELDS, DOUBT_FIELDS = (tuple(field.name for field in fields(kind)) for kind in (SegmentScore, Doubt))


@dataclass(frozen=True, slots=True)
class Answer:
    """One task's prediction and how it compares.

    Args:
        prediction: The model's answer.
        consensus: What the players agreed on, the seed included, ascending; None without an aggregate.
        agreement: Volume-weighted F1 of consensus and answer, the seed left out; None without an aggregate.
        missing: Segments of the answer that the consensus lacks; empty without an aggregate.
        doubts: Segments of the seed and the consensus (without one: of the answer) to be looked at again.
        segments: Every candidate and every scored segment of the consensus, most probable first.
        unscored: Segments of seed or consensus that could not be scored, being too small for the packed cube.
        review_priority: How much a person's look at the trace (consensus, else answer) is worth, in [0, 1).
    """

    prediction: TaskPrediction
    consensus: tuple[int, ...] | None
    agreement: float | None
    missing: tuple[int, ...]
    doubts: tuple[Doubt, ...]
    segments: tuple[SegmentScore, ...]
    unscored: tuple[int, ...]
    review_priority: float

    @property
    def task(self) -> int:
        """The task's id."""
        return self.prediction.task

    @property
    def remove(self) -> tuple[int, ...]:
        """Consensus segments that the model takes for foreign, ascending."""
        return tuple(d.id for d in self.doubts if d.reason == "unlikely") if self.consensus is not None else ()


def judge(prediction: TaskPrediction, *, consensus: Collection[int] | None) -> Answer:
    """Return the prediction beside the players' consensus (seed included), or alone where that is None."""
    seed, add = prediction.seed, prediction.add
    trace = add if consensus is None else tuple(sorted(consensus))
    table, sizes = prediction.table, prediction.sizes
    segments = _with_consensus(prediction, trace)
    scored = {score.id for score in segments} | set(table.ids.tolist())
    return Answer(
        prediction=prediction,
        consensus=None if consensus is None else trace,
        agreement=None if consensus is None else round(agreement(trace, add, seed=seed, sizes=sizes), DECIMALS),
        missing=() if consensus is None else tuple(sorted(set(add) - set(trace))),
        doubts=doubts(trace, table, seed=seed, thresholds=prediction.thresholds),
        segments=segments,
        unscored=tuple(sorted(({*seed, *trace}) - scored)),
        review_priority=review_priority(trace, segments),
    )


def to_document(answer: Answer) -> dict[str, Any]:
    """Return the line that `ewval predict --json` prints for one task."""
    prediction = answer.prediction
    return {
        "task": prediction.task,
        "volume": prediction.volume,
        "cell": prediction.cell,
        "model": prediction.model,
        "loops": prediction.loops,
        "seed": list(prediction.seed),
        "consensus": None if answer.consensus is None else list(answer.consensus),
        "add": list(prediction.add),
        "maybe": list(prediction.maybe),
        "remove": list(answer.remove),
        "segments": [as_fields(score, SCORE_FIELDS) for score in answer.segments],
        "agreement": answer.agreement,
        "review_priority": answer.review_priority,
        "familiarity": None if prediction.familiarity is None else round(prediction.familiarity, DECIMALS),
        "missing": list(answer.missing),
        "doubts": [as_fields(doubt, DOUBT_FIELDS) for doubt in answer.doubts],
        "unscored": list(answer.unscored),
        "resolution": prediction.resolution,
    }


def is_answer_to(task: int, document: Mapping[str, Any]) -> bool:
    """Whether a document that lay in a file has the form of an answer, and is that to `task`."""
    is_whole = all(name in document for name in OTHERS)
    return is_whole and document.get("task") == task and all(isinstance(document.get(name), list) for name in LISTS)


def as_fields(value: object, names: Sequence[str]) -> dict[str, Any]:
    """Return fields of a dataclass that hold plain values, which `dataclasses.asdict` would copy one by one."""
    return {name: getattr(value, name) for name in names}


def _with_consensus(prediction: TaskPrediction, trace: Collection[int]) -> tuple[SegmentScore, ...]:
    """The candidates and what else the players chose; the latter is not joined to the seed, so it is rejected."""
    verdicts: dict[int, Verdict] = dict.fromkeys(set(trace) - set(prediction.seed), "reject")
    verdicts |= {score.id: score.verdict for score in prediction.segments}
    return prediction.table.scores(verdicts)
