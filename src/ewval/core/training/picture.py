"""The picture of a training of forests."""

from pathlib import Path

import numpy as np

from ewval.core.show.figures import new_figure
from ewval.core.storage.files import replacing
from ewval.core.training.curve import Curve, trend

__all__ = ["draw_progress"]


def draw_progress(path: Path, *, curve: Curve | None, seconds: list[float]) -> None:
    """Draw a PNG at `path`: the learning curve with its trend, and the time that each forest took."""
    figure = new_figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    if curve is None:
        left.text(0.5, 0.5, "no learning curve yet", ha="center", transform=left.transAxes)
    else:
        _draw_curve(left, curve)
    left.set(xlabel="cells", ylabel="F1 of volume on held-out cells", title="Learning curve", ylim=(0, 1))
    right.plot(np.arange(1, len(seconds) + 1), np.cumsum(seconds), drawstyle="steps-post")
    right.set(xlabel="forests", ylabel="seconds", title="Forests done")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _draw_curve(axes: object, curve: Curve) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.plot([p.cells for p in curve.points], [p.score for p in curve.points], "o-", label="learned from")
    expect, most = trend(curve), curve.points[-1].cells
    if expect is not None:
        beyond = [most, 2 * most, 4 * most]
        axes.plot(beyond, [expect(cells) for cells in beyond], "x--", color="tab:grey", label="trend")
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.legend()
