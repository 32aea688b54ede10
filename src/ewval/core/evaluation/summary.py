"""The figures of metrics.json, from the totals of each answerer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ewval.core.evaluation.bootstrap import ClusterSums, interval, resampled_means, resampled_sums
from ewval.core.evaluation.gathered import RATIO_COLUMNS, UNDEFINED
from ewval.core.evaluation.metrics import Floats, aggregate_metrics
from ewval.core.evaluation.review import DOUBTED_SHARE, auroc, found_first
from ewval.core.evaluation.scoring import COLUMN, COUNT_COLUMNS, SEGMENT_COLUMNS, TOLERANT_COLUMNS
from ewval.core.evaluation.totals import Totals

MEANS = (*RATIO_COLUMNS, *TOLERANT_COLUMNS)
HEADLINE = "volume_f1"


def summarize(totals: Totals) -> dict[str, Any]:
    """Return the figures of one answerer; those that need probabilities only where its answers had any."""
    clusters = totals.clusters()
    count, sums = clusters.tasks.sum(), clusters.sums.sum(axis=0)
    document: dict[str, Any] = {"loss": sums[COLUMN["loss"]] / count} if totals.has_probabilities else {}
    document |= {name: sums[COLUMN[name]] / count for name in MEANS}
    counts = {name: int(sums[COLUMN[name]]) for name in COUNT_COLUMNS}
    document |= counts | aggregate_metrics(counts)
    undefined = dict(zip(UNDEFINED, totals.gathered.undefined.tolist(), strict=True))
    document["undefined"] = {name: value for name, value in undefined.items() if value}
    if totals.gathered.packed:
        document["packed"] = totals.gathered.packed
    document["segment"] = {"extend": _segments(totals, extend_only=True), "all": _segments(totals, extend_only=False)}
    if totals.has_probabilities:
        document |= {"calibration": _calibration(totals), "review": _review(totals), "maybe": _maybe(totals)}
    if (known := _familiarity(totals)) is not None:
        document["familiarity"] = known
    document["ci95"] = _intervals(totals)
    plain: dict[str, Any] = _plain(document)
    return plain


def differences(ours: Totals, others: Mapping[str, Totals]) -> dict[str, dict[str, list[float]]]:
    """Return by how much the volume F1 on tasks with something to add lies above each other's: [mean, low, high].

    The same cells are drawn for both sides, so this is the interval of the paired difference.
    """
    column = COLUMN[HEADLINE]
    mine = ours.clusters(extend_only=True)
    if not len(mine.tasks):
        return {}
    found = {}
    for name, totals in others.items():
        theirs = totals.clusters(extend_only=True)
        gap = ClusterSums(mine.tasks, (mine.sums - theirs.sums)[:, [column]])
        low, high = interval(resampled_means(gap)[:, 0])
        found[name] = {f"segment.extend.{HEADLINE}": [float(gap.sums.sum() / gap.tasks.sum()), low, high]}
    return found


def _segments(totals: Totals, *, extend_only: bool) -> dict[str, Any]:
    clusters = totals.clusters(extend_only=extend_only)
    count = int(clusters.tasks.sum())
    means = {name: clusters.sums[:, COLUMN[name]].sum() / count if count else None for name in SEGMENT_COLUMNS}
    return {"tasks": count, **means}


def _calibration(totals: Totals) -> dict[str, Any]:
    gathered, clusters = totals.gathered, totals.clusters()
    mean = clusters.sums.sum(axis=0) / clusters.tasks.sum()
    return {
        **gathered.voxels.summary(),
        "ece_per_task": mean[COLUMN["ece"]],
        "boundary": gathered.boundary.summary(),
        "interior": gathered.interior.summary(),
        "segments": {**gathered.segments.summary(), "ece_per_task": mean[COLUMN["segment_ece"]]},
    }


def _review(totals: Totals) -> dict[str, Any]:
    priority, wrong = totals.column("review_priority"), totals.column("wrong_voxels")
    clean, faulty = totals.column("trace_priority"), totals.column("faulty_trace_priority")
    drawn = ~np.isnan(faulty)
    return {
        "first_10_percent": found_first(priority, wrong),
        "first_10_percent_wrong_tasks": found_first(priority, (wrong > 0).astype(np.float64)),
        "first_10_percent_best": found_first(wrong, wrong),
        "first_10_percent_chance": 0.1,
        "wrong_tasks": int((wrong > 0).sum()),
        "least_certain_20_percent": totals.gathered.doubt.removed_by(DOUBTED_SHARE),
        "faulty_trace_auroc": auroc(faulty[drawn], clean[drawn]),
        "faulty_traces": int(drawn.sum()),
    }


def _familiarity(totals: Totals) -> dict[str, float] | None:
    """Return how much the tasks' volumes look like what the model learned from; None where it cannot tell.

    `correlation` is that of the ranks of familiarity and volume F1, tasks with something to add; 0 where either is
    the same everywhere.
    """
    familiarity, score = totals.column("familiarity"), totals.column("volume_f1")
    told = ~np.isnan(familiarity)
    if not told.any():
        return None
    asked = told & (totals.column("extend") > 0)
    quartiles = np.quantile(familiarity[told], (0.25, 0.5, 0.75))
    names = dict(zip(("low", "median", "high"), quartiles.tolist(), strict=True))
    return {**names, "correlation": _rank_correlation(familiarity[asked], score[asked])}


def _rank_correlation(one: Floats, other: Floats) -> float:
    ranks = [np.unique(v, return_inverse=True)[1] for v in (one, other)]
    if any(len(np.unique(r)) < 2 for r in ranks):
        return 0.0
    counted = [np.cumsum(c := np.bincount(r)) - (c - 1) / 2 for r in ranks]  # ties share the mean of their ranks
    return float(np.corrcoef(counted[0][ranks[0]], counted[1][ranks[1]])[0, 1])


def _maybe(totals: Totals) -> dict[str, Any]:
    """What the 'maybe' verdicts cost and save, and what other shares of the candidates would."""
    sums = totals.clusters().sums.sum(axis=0)
    candidates, maybe = sums[COLUMN["candidates"]], sums[COLUMN["maybe"]]
    doubt = totals.gathered.doubt
    shares = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
    return {
        "candidates": int(candidates),
        "maybe": int(maybe),
        "share_sent": maybe / candidates if candidates else 0.0,
        "wrong_volume_left": {f"{share:g}": 1.0 - doubt.removed_by(share) for share in shares},
    }


def _intervals(totals: Totals) -> dict[str, list[float]]:
    clusters = totals.clusters()
    means = resampled_means(clusters)
    names = {name: name for name in MEANS}
    names |= {f"segment.all.{name}": name for name in SEGMENT_COLUMNS}
    if totals.has_probabilities:
        names |= {"loss": "loss", "calibration.ece_per_task": "ece"}
        names |= {"calibration.segments.ece_per_task": "segment_ece"}
    found = {path: list(interval(means[:, COLUMN[name]])) for path, name in names.items()}
    extend = totals.clusters(extend_only=True)
    if len(extend.tasks):
        drawn = resampled_means(extend)
        found |= {f"segment.extend.{name}": list(interval(drawn[:, COLUMN[name]])) for name in SEGMENT_COLUMNS}
    return found | _aggregate_intervals(clusters)


def _aggregate_intervals(clusters: ClusterSums) -> dict[str, list[float]]:
    _, sums = resampled_sums(clusters)
    draws = [aggregate_metrics({name: row[COLUMN[name]] for name in COUNT_COLUMNS}) for row in sums]
    return {name: list(interval(np.array([draw[name] for draw in draws]))) for name in draws[0]}


def _plain(value: Any) -> Any:
    """Return `value` with numpy's numbers as Python's, and no nan, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value
