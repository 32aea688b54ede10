"""What `ewval train --arch graph` says of a run."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ewval.core.training.run import GraphRunSummary


def graph_document(summary: "GraphRunSummary") -> dict[str, Any]:
    """Return the JSON document of a run."""
    points = () if summary.curve is None else summary.curve.points
    return {
        "why": summary.why,
        "model": str(summary.model),
        "cells": summary.cells,
        "volumes": summary.volumes,
        "validation_score": summary.score,
        "init": summary.init,
        "curve": [{"cells": point.cells, "score": point.score} for point in points],
        "seconds": round(summary.seconds, 3),
    }


def graph_text(summary: "GraphRunSummary") -> str:
    """Return what a person reads."""
    from ewval.core.training.curve import curve_line

    if summary.why == "nothing":
        return f"nothing to do, the run is finished\nmodel: {summary.model}"
    if summary.why == "interrupted":
        return "interrupted; the same command resumes"
    begun = "from nothing" if summary.init is None else f"from {summary.init}"
    lines = [
        f"trained {begun} on {summary.cells} cells in {summary.volumes} volumes in {summary.seconds:.0f} s: "
        f"F1 {summary.score:.2f} on cells that the forests asked had not seen",
        *([] if summary.curve is None else [curve_line(summary.curve)]),
        f"model: {summary.model}",
    ]
    return "\n".join(lines)
