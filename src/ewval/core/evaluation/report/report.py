"""report.html: one page that says how good the model is, whether to believe it, and where it fails."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ewval.core.evaluation.report.drawing import Rendered
from ewval.core.evaluation.report.gallery import Exhibit
from ewval.core.evaluation.report.page import page, picture, table, tile
from ewval.core.evaluation.report.plots import PlotSet
from ewval.core.show.slices import COLOURS

Document = Mapping[str, Any]

GUARD_TITLES = {
    "own_answer": "Does a task's own answer reach its input?",
    "shuffled_image": "Does the score fall when the image is shuffled?",
    "zeroed_context": "Is anything left without the ancestors' answers?",
    "split_overlap": "Is anything tested that was learned from?",
}
VOXEL_ROWS = {
    "Loss (nats a voxel)": "loss",
    "Precision": "precision",
    "Recall": "recall",
    "IoU": "iou",
    "Seedless precision": "seedless_precision",
    "Seedless recall": "seedless_recall",
    "Seedless IoU": "seedless_iou",
    "IoU, one voxel of tolerance": "tolerant_iou",
    "Seedless IoU, one voxel of tolerance": "tolerant_seedless_iou",
    "Aggregate precision": "agg_precision",
    "Aggregate recall": "agg_recall",
    "Aggregate IoU": "agg_iou",
    "Aggregate seedless precision": "agg_seedless_precision",
    "Aggregate seedless recall": "agg_seedless_recall",
    "Aggregate seedless IoU": "agg_seedless_iou",
}
DEFINITIONS = {
    "F1 by volume": "2 x right / (chosen + true), over the full-resolution voxels of the segments to be added; the "
    "seed is left out. By count: the same over segments. 1 where nothing is true and nothing chosen.",
    "Extend": "Tasks in which the players added something to the seed. On the others, adding nothing is right.",
    "Voxel figures": "At 64^3, with the seed; seedless: without its voxels. Means over tasks. Aggregate: from counts "
    "summed over tasks. With tolerance: voxels beside the target's surface are not counted.",
    "95 %": "2,000 resamples of cells, not of tasks: tasks of one cell are alike.",
    "ECE": "Mean gap between the probability said and the share that came true, over 15 bins; per task, then averaged.",
    "AUGRC": "Mean share of errors that slip through over all shares accepted (arXiv 2407.01032); 0 is perfect.",
    "Review priority": "Rises with the voxels that the model expects to be wrong. 'First 10 %': share of the wrong "
    "volume in the tenth of the tasks that ask most urgently; drawn by lot it would be 10 %.",
    "Faulty traces": "The players' trace with one segment taken out or a foreign neighbour added, larger segments more "
    "often. AUROC: how often a faulty trace asks for review more urgently than a whole one.",
    "Growth by image evidence": "Crosses every contact of two segments that is hardly darker than what lies behind it; "
    "how much darker it may be is chosen on validation tasks.",
}


def build_report(
    document: Document, plots: PlotSet[Rendered], *, worst: Sequence[Exhibit], best: Sequence[Exhibit], about: str
) -> str:
    """Return report.html.

    Args:
        document: What stands in metrics.json.
        plots: All plots.
        worst: The tasks that went worst.
        best: The tasks that went best.
        about: One sentence on the data.
    """
    title = f"{document['model']} on {document['tasks']:,} {document['split']} tasks"
    body = [
        f'<p class="soft">ewval eval</p><h1>{escape(title)}</h1><p class="soft">{escape(about)}</p>',
        *_alarm(document),
        *_headline(document, plots),
        *_guards(document),
        *_review(document, plots),
        *_calibration(document, plots),
        *_voxels(document, plots),
        *_gallery("Where it fails", "The most wrong volume first.", worst),
        *_gallery("Where it does best", "Tasks with something to add, best first.", best),
        _definitions(),
    ]
    return page(title, body)


def _alarm(document: Document) -> Iterator[str]:
    for name, guard in document["guards"].items():
        if guard["state"] == "fail":
            reason = escape(guard["reason"])
            yield f'<p class="card alarm">Do not believe these figures: guard {name} failed. {reason}</p>'


def _headline(document: Document, plots: PlotSet[Rendered]) -> Iterator[str]:
    yield "<h2>How good is it?</h2>"
    yield '<div class="wide">' + "".join(map(_plot, plots.headline)) + "</div>"
    everyone = {**document["settings"], **document["baselines"]}
    columns = ("", "F1 by volume", "F1 by count", "precision", "recall", "F1, all tasks", "voxel IoU", "seedless IoU")
    yield table(columns, map(_who, everyone.items()), main_rows=len(document["settings"]))
    extend = next(iter(everyone.values()))["segment"]["extend"]["tasks"]
    yield f'<p class="soft">F1, precision and recall by volume on the {extend:,} tasks with something to add.</p>'
    for name, figures in everyone.items():
        if "note" in figures:
            yield f'<p class="soft">{escape(name.capitalize())}: {escape(figures["note"])}.</p>'
    yield from _ahead(document)


def _who(row: tuple[str, Document]) -> list[str]:
    name, figures = row
    segment, interval = figures["segment"], figures["ci95"]
    extend = [_with_interval(segment["extend"][key], interval.get(f"segment.extend.{key}")) for key in _EXTEND]
    everything = _with_interval(segment["all"]["volume_f1"], interval.get("segment.all.volume_f1"))
    voxels = [_with_interval(figures[key], interval.get(key)) for key in ("iou", "seedless_iou")]
    return [escape(name), *extend, everything, *voxels]


_EXTEND = ("volume_f1", "count_f1", "volume_precision", "volume_recall")


def _ahead(document: Document) -> Iterator[str]:
    name, figures = next(iter(document["settings"].items()))
    for other, gap in figures["ahead_of"].items():
        mean, low, high = gap["segment.extend.volume_f1"]
        verdict = "ahead of" if low > 0 else "behind" if high < 0 else "not told apart from"
        yield f"<p>{escape(name)} is {verdict} <b>{escape(other)}</b>: {mean:+.3f} [{low:+.3f}, {high:+.3f}] in F1.</p>"


def _guards(document: Document) -> Iterator[str]:
    yield '<h2>Can it be believed?</h2><p class="soft">Checked on at most 64 tasks.</p>'
    cards = (
        f'<div class="tile"><span class="state {guard["state"]}">{guard["state"]}</span>'
        f'<p><strong>{GUARD_TITLES[name]}</strong></p><p class="soft">{escape(guard["reason"])}</p></div>'
        for name, guard in document["guards"].items()
    )
    yield f'<div class="tiles">{"".join(cards)}</div>'


def _review(document: Document, plots: PlotSet[Rendered]) -> Iterator[str]:
    figures = next(iter(document["settings"].values()))
    review, maybe = figures["review"], figures["maybe"]
    traces = review["faulty_traces"]
    yield "<h2>Does its doubt lead people to the errors?</h2>"
    tiles = [
        tile(_percent(review["first_10_percent"]), "of the wrong volume lies in the first 10 % of the review queue"),
        tile(
            _percent(review["least_certain_20_percent"]),
            "of it goes when people settle the 20 % least certain segments",
        ),
        tile(
            _number(review["faulty_trace_auroc"], 3),
            f"AUROC of finding faults put into {traces:,} players' traces",
        ),
        tile(_percent(maybe["share_sent"]), f"of {maybe['candidates']:,} candidate segments are marked 'maybe'"),
    ]
    yield f'<div class="tiles">{"".join(tiles)}</div>'
    yield f'<div class="plots">{"".join(map(_plot, plots.review))}</div>'


def _calibration(document: Document, plots: PlotSet[Rendered]) -> Iterator[str]:
    yield "<h2>Do its probabilities mean what they say?</h2>"
    columns = ("", "NLL", "Brier", "ECE pooled", "ECE per task", "AUGRC")
    rows = []
    for name, figures in {**document["settings"], **document["baselines"]}.items():
        if "calibration" not in figures:
            continue
        calibration = figures["calibration"]
        parts = {"segments": calibration["segments"], "voxels": calibration}
        parts |= {f"voxels, {part}": calibration[part] for part in ("boundary", "interior")}
        for part, values in parts.items():
            numbers = (values.get(key) for key in ("nll", "brier", "ece", "ece_per_task", "augrc"))
            rows.append([f"{escape(name)}<small>{part}</small>", *(_number(number, 4) for number in numbers)])
    yield table(columns, rows)
    yield f'<div class="plots">{"".join(map(_plot, plots.calibration))}</div>'


def _voxels(document: Document, plots: PlotSet[Rendered]) -> Iterator[str]:
    settings = document["settings"]
    yield "<h2>Voxel by voxel</h2>"
    rows = [
        [escape(title), *(_with_interval(figures[key], figures["ci95"].get(key)) for figures in settings.values())]
        for title, key in VOXEL_ROWS.items()
    ]
    yield table(("", *settings), rows)
    for name, figures in settings.items():
        if figures["undefined"]:
            cases = ", ".join(f"{key.replace('_', ' ')} in {count:,}" for key, count in figures["undefined"].items())
            yield f'<p class="soft">{escape(name)}: 0/0 was settled by rule for {cases} tasks.</p>'
    plots_html = "".join(map(_plot, plots.seed_system))
    yield f"<details open><summary>Distributions</summary><div class=plots>{plots_html}</div></details>"


def _gallery(title: str, note: str, exhibits: Sequence[Exhibit]) -> Iterator[str]:
    yield f'<h2>{title}</h2><p class="soft">{note} Rows: the planes xy, xz, yz. {_legend()}</p>'
    if not exhibits:
        yield "<p>There is no such task.</p>"
    yield '<div class="slices">' + "".join(map(_exhibit, exhibits)) + "</div>"


def _legend() -> str:
    names = {"seed": "seed", "consensus": "players", "add": "added", "maybe": "maybe"}
    keys = (f'<span class="key" style="background:rgb{COLOURS[key]}"></span>{text}' for key, text in names.items())
    return "".join(keys)


def _exhibit(exhibit: Exhibit) -> str:
    cell = f", cell {exhibit.cell}" if exhibit.cell >= 0 else ""
    caption = (
        f"Task {exhibit.task}{cell}: F1 {exhibit.volume_f1:.3f}; {exhibit.right} right, {exhibit.extra} added in "
        f"error, {exhibit.missed} missed; {exhibit.wrong_voxels:,} voxels wrong."
    )
    return picture(exhibit.picture, kind="image/jpeg", alt=f"Slices of task {exhibit.task}", caption=caption)


def _definitions() -> str:
    entries = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in DEFINITIONS.items())
    return f"<h2>What the words mean</h2><dl>{entries}</dl>"


def _plot(plot: Rendered) -> str:
    return picture(plot.svg, kind="image/svg+xml", alt=plot.caption, caption=plot.caption)


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + (f"<small>{interval[0]:.3f} to {interval[1]:.3f}</small>" if interval else "")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
