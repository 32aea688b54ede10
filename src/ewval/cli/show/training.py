"""What `ewval train` says of a run."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ewval.core.training.run import GraphRunSummary
    from ewval.nn.training.run import RunSummary

KINDS = {
    "blended": "blended with it",
    "start": "which did better as it is",
}


def graph_document(summary: "GraphRunSummary") -> dict[str, Any]:
    """Return the JSON document of a run of forests."""
    points = () if summary.curve is None else summary.curve.points
    return {
        "why": summary.why,
        "model": str(summary.model),
        "cells": summary.cells,
        "volumes": summary.volumes,
        "validation_score": summary.score,
        "init": summary.init,
        "kind": summary.kind,
        "curve": [{"cells": point.cells, "score": point.score} for point in points],
        "seconds": round(summary.seconds, 3),
    }


def graph_text(summary: "GraphRunSummary") -> str:
    """Return what a person reads of a run of forests."""
    from ewval.core.training.curve import curve_line

    if summary.why == "nothing":
        return f"nothing to do, the run is finished\nmodel: {summary.model}"
    if summary.why == "interrupted":
        return "interrupted; the same command resumes"
    begun = "from nothing" if summary.init is None else f"from {summary.init} ({KINDS[summary.kind or 'blended']})"
    lines = [
        f"trained {begun} on {summary.cells} cells in {summary.volumes} volumes in {summary.seconds:.0f} s: "
        f"F1 {summary.score:.2f} on cells that the forests asked had not seen",
        *([] if summary.curve is None else [curve_line(summary.curve)]),
        f"model: {summary.model}",
    ]
    return "\n".join(lines)


def network_document(summary: "RunSummary") -> dict[str, Any]:
    """Return the JSON document of a network's run."""
    return {
        **asdict(summary.fit),
        "model": str(summary.model),
        "tasks": summary.tasks,
        "validation_tasks": summary.validation_tasks,
    }


def network_text(summary: "RunSummary") -> str:
    """Return what a person reads of a network's run."""
    fit = summary.fit
    how = {
        "done": "trained",
        "early": "stopped early, no further gain",
        "interrupted": "interrupted; the same command resumes",
        "nothing": "nothing to do, the run is finished",
    }[fit.why]
    best = "" if fit.best_loss is None else f", lowest loss {fit.best_loss:.4f}"
    quality = "" if fit.seedless_iou is None else f", validation IoU without the seed {fit.seedless_iou:.3f}"
    return f"{how}: {fit.steps} steps, {fit.epochs} epochs{best}{quality}\n" + (
        f"model: {summary.model}" if summary.model.exists() else "no model yet: no epoch is finished"
    )
