"""The plots of an evaluation, from its totals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ewval.core.evaluation.calibration import Calibration
from ewval.core.evaluation.gathered import RATIO_COLUMNS
from ewval.core.evaluation.report.drawing import BLUE, COLOURS, GREEN, GREY, INK, ORANGE, RED, Plot
from ewval.core.evaluation.report.pictures import RATIO_BINS, SCATTERS, VOLUME_DECADES, Scatter
from ewval.core.evaluation.review import DOUBTED_SHARE, FIRST_SHARE, queue
from ewval.core.evaluation.totals import Totals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Document = Mapping[str, Any]
Kind = TypeVar("Kind")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class PlotSet(Generic[Kind]):
    """The plots by what they are about, `Plot` before they are drawn and `Rendered` afterwards.

    Args:
        headline: Who answers how well.
        calibration: Whether probabilities mean what they say.
        review: Whether doubt leads people to the errors.
        seed_system: The pictures of the 2019 seed system's analysis.
    """

    headline: list[Kind]
    calibration: list[Kind]
    review: list[Kind]
    seed_system: list[Kind]

    @property
    def all(self) -> list[Kind]:
        """Every plot."""
        return [*self.headline, *self.calibration, *self.review, *self.seed_system]

    def each(self, change: Callable[[Kind], Other]) -> "PlotSet[Other]":
        """Return what `change` makes of every plot, in order."""
        parts = (self.headline, self.calibration, self.review, self.seed_system)
        return PlotSet(*([change(plot) for plot in part] for part in parts))


def plan_plots(document: Document, totals: Mapping[str, Totals]) -> PlotSet[Plot]:
    """Return all plots of an evaluation, to be drawn; `document` is its metrics.json."""
    settings = {name: totals[name] for name in document["settings"]}
    main = next(iter(settings.values()))
    seed_system = [*_histograms(settings), *(_scatter(main, scatter) for scatter in SCATTERS), _darkness(main)]
    return PlotSet(
        headline=[_headline(document)],
        calibration=[*_reliability(main), *_risk(main)],
        review=[_maybe(main, document), _queue(main), _faults(main)],
        seed_system=seed_system,
    )


def _headline(document: Document) -> Plot:
    rows = [*document["settings"].items(), *document["baselines"].items()]
    shown = [(name, figures) for name, figures in rows if figures["segment"]["extend"]["volume_f1"] is not None]

    def draw(axes: "Axes") -> None:
        for place, (name, figures) in enumerate(reversed(shown)):
            value = figures["segment"]["extend"]["volume_f1"]
            low, high = figures["ci95"]["segment.extend.volume_f1"]
            colour = BLUE if name in document["settings"] else GREY
            axes.barh(place, value, color=colour, height=0.62)
            axes.plot([low, high], [place, place], color=INK, linewidth=1.4)
            axes.text(max(high, value) + 0.015, place, f"{value:.3f}", va="center", color=INK, fontsize=9)
        axes.set_yticks(range(len(shown)), [name for name, _ in reversed(shown)])
        axes.set_xlim(0, 1.12)
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("F1 by volume, seed left out")

    caption = (
        "Segments to be added, weighed by volume, on tasks with something to add; lines are 95 % intervals by cell."
    )
    return Plot("segment-f1", caption, draw, width=5.4, height=0.8 + 0.32 * max(len(shown), 1))


def _reliability(totals: Totals) -> list[Plot]:
    gathered = totals.gathered
    parts = {"boundary": gathered.boundary, "interior": gathered.interior}
    voxels = _reliability_plot("reliability-voxels", "voxels outside the seed", parts)
    segments = _reliability_plot("reliability-segments", "candidate segments", {"candidates": gathered.segments})
    return [segments, voxels]


def _reliability_plot(name: str, what: str, parts: Mapping[str, Calibration]) -> Plot:
    def draw(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        for (label, calibration), colour in zip(parts.items(), COLOURS, strict=False):
            said, true, count = calibration.reliability()
            kept = count > 0
            size = 12 + 60 * np.sqrt(count[kept] / max(count.max(), 1))
            axes.plot(said[kept], true[kept], color=colour, linewidth=1.2)
            axes.scatter(said[kept], true[kept], s=size, color=colour, label=f"{label}, ECE {calibration.ece:.3f}")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability said", ylabel="share that came true")
        axes.set_title(f"Reliability: {what}")
        axes.legend(loc="upper left")

    return Plot(name, "On the dashed line, probabilities mean what they say; larger dots hold more answers.", draw)


def _risk(totals: Totals) -> list[Plot]:
    gathered = totals.gathered
    parts = {"segments": gathered.segments, "voxels": gathered.voxels}
    return [_risk_plot(name, calibration) for name, calibration in parts.items()]


def _risk_plot(what: str, calibration: Calibration) -> Plot:
    def draw(axes: "Axes") -> None:
        curve = calibration.risk_coverage()
        chance = curve.risk[-1]
        axes.plot([0, 1], [0, chance], color=GREY, linestyle="--", linewidth=1, label="confidence drawn by lot")
        axes.plot(curve.coverage, curve.risk, color=BLUE, label=f"AUGRC {curve.area:.4f}")
        axes.fill_between(curve.coverage, curve.risk, color=BLUE, alpha=0.12, linewidth=0)
        axes.set(xlabel="share of answers accepted, surest first", ylabel="errors let through / all answers")
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_title(f"Risk and coverage: {what}")
        axes.legend(loc="upper left")

    return Plot(f"risk-coverage-{what}", "The lower the area, the fewer errors slip through unnoticed.", draw)


def _maybe(totals: Totals, document: Document) -> Plot:
    sent, left = totals.gathered.doubt.curve()
    maybe = next(iter(document["settings"].values()))["maybe"]

    def draw(axes: "Axes") -> None:
        axes.plot([0, 1], [1, left[-1]], color=GREY, linestyle="--", linewidth=1, label="drawn by lot")
        axes.plot(sent, left, color=BLUE, label="most doubtful first")
        at = float(np.interp(DOUBTED_SHARE, sent, left))
        axes.plot(DOUBTED_SHARE, at, "o", color=ORANGE, label=f"{DOUBTED_SHARE:.0%} looked at: {at:.0%} left")
        axes.axvline(maybe["share_sent"], color=GREEN, linewidth=1, label=f"'maybe': {maybe['share_sent']:.1%} of all")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="share of candidate segments sent to people")
        axes.set_ylabel("wrong volume left")
        axes.set_title("What 'maybe' costs and saves")
        axes.legend(loc="upper right")

    caption = "Of the volume judged wrongly, what is left when people settle the most doubtful candidates."
    return Plot("maybe-trade-off", caption, draw)


def _queue(totals: Totals) -> Plot:
    wrong = totals.column("wrong_voxels")
    looked_at, found = queue(totals.column("review_priority"), wrong)
    best_at, best = queue(wrong, wrong)

    def draw(axes: "Axes") -> None:
        at = float(np.interp(FIRST_SHARE, looked_at, found))
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="by lot")
        axes.plot(best_at, best, color=GREY, linewidth=1, label="best possible")
        axes.plot(looked_at, found, color=BLUE, label="by review priority")
        axes.plot(FIRST_SHARE, at, "o", color=ORANGE, label=f"first {FIRST_SHARE:.0%}: {at:.0%} found")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="share of tasks looked at", ylabel="wrong volume found")
        axes.set_title("The review queue")
        axes.legend(loc="lower right")

    return Plot("review-queue", "How much of what is wrong people find who follow the queue.", draw)


def _faults(totals: Totals) -> Plot:
    clean, faulty = totals.column("trace_priority"), totals.column("faulty_trace_priority")
    bins = np.linspace(0, 1, 26).tolist()

    def draw(axes: "Axes") -> None:
        from matplotlib.ticker import MaxNLocator

        for values, colour, label in ((clean, GREEN, "as the players left it"), (faulty, RED, "with a fault")):
            axes.hist(values[~np.isnan(values)], bins=bins, color=colour, alpha=0.55, label=label)
        axes.set(xlim=(0, 1), xlabel="review priority of the players' trace", ylabel="tasks")
        axes.set_title("Traces with a fault put into them")
        axes.margins(y=0.3)  # room for the legend
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper center", ncols=2)

    return Plot("faulty-traces", "One segment taken out, or a foreign one added: the two should stand apart.", draw)


def _histograms(settings: Mapping[str, Totals]) -> list[Plot]:
    return [_histogram(name, settings) for name in RATIO_COLUMNS]


def _histogram(name: str, settings: Mapping[str, Totals]) -> Plot:
    edges = np.linspace(0, 1, RATIO_BINS + 1)

    def draw(axes: "Axes") -> None:
        for (label, totals), colour in zip(settings.items(), COLOURS, strict=False):
            axes.stairs(totals.pictures.ratios[name], edges, fill=True, color=colour, alpha=0.35)
            axes.stairs(totals.pictures.ratios[name], edges, color=colour, linewidth=1.1, label=label)
        axes.set_yscale("symlog", linthresh=1)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set(xlim=(0, 1), xlabel=_words(name), ylabel="tasks (log)")
        axes.set_ylim(bottom=0)
        axes.set_title(_title(name))
        axes.legend(loc="upper center")

    return Plot(f"histogram-{name}".replace("_", "-"), f"Tasks by voxel {_words(name)}; counts on a log scale.", draw)


def _scatter(totals: Totals, scatter: Scatter) -> Plot:
    counts = totals.pictures.scatters[scatter]

    def draw(axes: "Axes") -> None:
        x, y = _edges(scatter.x_is_volume, counts.shape[0]), _edges(scatter.y_is_volume, counts.shape[1])
        _heat(axes, x, y, counts, label="tasks")
        if scatter.x_is_volume == scatter.y_is_volume:
            axes.plot([x[0], x[-1]], [x[0], x[-1]], color=GREY, linestyle="--", linewidth=0.8)
        _scale(axes, is_volume=scatter.x_is_volume, which="x")
        _scale(axes, is_volume=scatter.y_is_volume, which="y")
        axes.set(xlabel=_words(scatter.x), ylabel=_words(scatter.y))

    name = f"scatter-{scatter.y}-{scatter.x}".replace("_", "-")
    return Plot(name, f"{_title(scatter.y)} against {_words(scatter.x)}, task by task.", draw)


def _darkness(totals: Totals) -> Plot:
    counts = totals.gathered.darkness

    def draw(axes: "Axes") -> None:
        x, y = np.linspace(0, 256, counts.shape[0] + 1), np.linspace(0, 1, counts.shape[1] + 1)
        _heat(axes, x, y, counts, label="voxels")
        mean = counts @ ((y[1:] + y[:-1]) / 2) / np.maximum(counts.sum(axis=1), 1)
        used = counts.sum(axis=1) > 0
        axes.plot(((x[1:] + x[:-1]) / 2)[used], mean[used], color=RED, linewidth=1.4, label="mean")
        axes.set(xlabel="image value (0 is black)", ylabel="uncertainty (1 at p = 1/2)", xlim=(0, 256), ylim=(0, 1))
        axes.legend(loc="upper right")

    caption = "Uncertainty of voxels outside the seed by how dark they are; black spills would show at the left."
    return Plot("uncertainty-darkness", caption, draw)


def _heat(axes: "Axes", x: Any, y: Any, counts: Any, *, label: str) -> None:
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_equal(counts.T, 0)
    top = max(int(counts.max()), 2)
    mesh = axes.pcolormesh(x, y, shown, cmap="viridis_r", norm=LogNorm(1, top), rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, label=f"{label} (log)", pad=0.01)
    decades = [10**power for power in range(10) if 10**power <= top]
    bar.ax.minorticks_off()
    bar.set_ticks(decades, labels=[f"{decade:,}" for decade in decades])


def _edges(is_volume: bool, bins: int) -> Any:
    return np.linspace(0, VOLUME_DECADES if is_volume else 1.0, bins + 1)


def _scale(axes: "Axes", *, is_volume: bool, which: str) -> None:
    low, high = (0.0, VOLUME_DECADES) if is_volume else (0.0, 1.0)
    axes.set(**{f"{which}lim": (low, high)})
    if is_volume:
        axes.set(**{f"{which}ticks": range(6), f"{which}ticklabels": ["0", "10", "100", "1k", "10k", "100k"]})


def _title(column: str) -> str:
    words = _words(column)
    return words[0].upper() + words[1:]


def _words(column: str) -> str:
    names = {"iou": "IoU", "gt": "true voxels", "guesses": "guessed voxels", "intersection": "voxels guessed rightly"}
    plain = column.removeprefix("count_")
    seedless, rest = plain.startswith("seedless_"), plain.removeprefix("seedless_")
    return ("seedless " if seedless else "") + names.get(rest, rest)
