"""`ewval predict`."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ewval.cli import options
from ewval.cli.output import message, open_output
from ewval.cli.progress import progress_bars
from ewval.cli.show.answers import Form, Presenter
from ewval.cli.show.viewing import check_viewer, show_in_viewer
from ewval.cli.streams import is_unread
from ewval.core.constants import ENV_MODEL
from ewval.core.errors import EwvalError, UsageError
from ewval.core.eyewire.credentials import read_token
from ewval.core.folder import DataFolder
from ewval.core.progress import Progress
from ewval.core.torchrun import place

if TYPE_CHECKING:
    from ewval.core.fetch.provision import Fetcher
    from ewval.core.predict.report import Reporter
    from ewval.core.predict.run import PredictRun
    from ewval.core.segments.decision import Looks

REPORT = "report.html"
BARS = ("fetch tasks", "fetch files", "pack", "predict")


def _folder(text: str) -> Path:
    """Return the folder that an option names.

    Raises:
        UsageError: It names none; an empty path would be the working folder.
    """
    if not text:
        raise UsageError("--out names no folder; . is the working folder")
    return Path(text)


Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", envvar=ENV_MODEL, help="Packaged name or path; repeat for an ensemble.", metavar="NAME|PATH"
    ),
]
Loops = Annotated[int | None, typer.Option("--loops", min=1, max=64, help="Network passes over its own answer.")]
Tta = Annotated[bool, typer.Option("--tta", help="Average over the 8 reflections of the cube.")]
Rank = Annotated[bool, typer.Option("--rank", help="Sort by review priority.")]
Segments = Annotated[bool, typer.Option("--segments", help="Print seed and answer as comma-separated ids.")]
Out = Annotated[
    Path | None, typer.Option("--out", parser=_folder, help="Save answers, masks and pictures here.", metavar="DIR")
]
Report = Annotated[bool, typer.Option("--report", help="Write report.html with slices and a 3D view.")]
View = Annotated[bool, typer.Option("--view", help="Open the first answer in neuroglancer (extra 'view').")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Samples per batch on a GPU.")]


def predict(
    task_ids: options.TaskIds = None,
    cell: options.Cells = None,
    model: Models = None,
    loops: Loops = None,
    tta: Tta = False,
    rank: Rank = False,
    segments: Segments = False,
    out: Out = None,
    report: Report = False,
    view: View = False,
    workers: options.Workers = None,
    dask: options.Dask = None,
    device: options.Device = "auto",
    batch_size: BatchSize = 8,
    data: options.Data = options.DATA_DEFAULT,
    api: options.Api = options.API_DEFAULT,
    token_file: options.TokenFile = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Say which segments to add, which to check, and why."""
    output = open_output(json=json, quiet=quiet, verbose=verbose)
    form = _form(json=json, segments=segments, quiet=quiet)
    tasks, cells = _asked_for(task_ids, cell)
    asked = Asked(
        options.data_folder(data), tasks=tasks or (), cells=cells or (), out=out, api=api, token_file=token_file
    )
    if options.hold_nothing(tasks, cells) and not place().is_shared:
        output.note("ewval: nothing to do: the list holds no ids")
        return
    presenter = Presenter(output, form, rank=rank, single=asked.is_single)

    if view:
        check_viewer()
    from ewval.core.segments.decision import Looks

    looks = Looks(loops=loops, tta=tta, batch_size=batch_size)
    with progress_bars(*BARS, quiet=quiet or (asked.is_single and not sys.stderr.isatty())) as bars:
        # Pictures of answers that nobody saves are drawn from what this process has in memory.
        several = Several(workers, dask) if out is not None or not (report or view) else Several(1, None)
        run = _run(asked, models=model, device=device, looks=looks, bars=bars, several=several, maps=report)
        reporter = _reporter(run) if report else None
        with closing(iter(run)) as results:  # so that an interrupt ends workers wherever it comes
            for result in results:
                presenter.take(result, reporter=reporter)
                if is_unread() and out is None and reporter is None:
                    break  # nobody will see the rest
    code = presenter.finish(reads_contacts=run.reads_contacts, failed_cells=run.failed_cells)
    if reporter is not None:
        presenter.report(reporter, (out or Path()) / REPORT)
    if view and presenter.first is not None:
        show_in_viewer(presenter.first, run)
    raise typer.Exit(code)


def _asked_for(task_ids: list[str] | None, cell: list[str] | None) -> tuple[options.Ids, options.Ids]:
    """Return tasks and cells; nothing in all but the first process of torchrun, which share one stdin.

    Raises:
        UsageError: Nothing is asked for, or something that is no id.
    """
    if place().rank:
        return (), ()
    tasks, cells = options.parse_ids(task_ids), options.parse_ids(cell, what="cell id")
    if tasks is None and cells is None:
        raise UsageError("nothing to predict: give task ids, - to read them from stdin, or --cell ID")
    return tasks, cells


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, and where what is missing comes from."""

    folder: DataFolder
    tasks: tuple[int, ...]
    cells: tuple[int, ...]
    out: Path | None
    api: str
    token_file: Path | None

    @property
    def is_single(self) -> bool:
        """Whether one task is asked for, by its id."""
        return len(self.tasks) == 1 and not self.cells


@dataclass(frozen=True, slots=True)
class Several:
    """Who answers: `--workers` and `--dask`."""

    workers: int | None
    dask: str | None


def _run(
    asked: Asked,
    *,
    models: list[str] | None,
    device: str,
    looks: "Looks",
    bars: tuple[Progress, ...],
    several: Several,
    maps: bool,
) -> "PredictRun":
    from ewval.core.models.registry import load_ensemble
    from ewval.core.predict.run import PredictRequest, PredictRun
    from ewval.core.predict.work import WorkerModel
    from ewval.core.workers import Workers

    model = WorkerModel(tuple(models or (None,)), options.checked_device(device))
    decider = load_ensemble(model.names, device=model.device)
    # A network uses all cores, or the one GPU, by itself.
    count = several.workers or (None if decider.loops is None else 1)
    if decider.loops is None:
        _warn_of_ignored(looks, decider.name)
    request = PredictRequest(
        folder=asked.folder,
        tasks=asked.tasks,
        cells=asked.cells,
        decider=decider,
        looks=looks,
        out=asked.out,
        maps=maps and asked.out is None,
        model=model,
        workers=Workers(count, several.dask),
    )
    tasks, files, packing, answers = bars
    shards = options.shards_of_torchrun()
    return PredictRun(request, fetch=_fetcher(asked, tasks, files), progress=answers, packing=packing, shards=shards)


def _warn_of_ignored(looks: "Looks", model: str) -> None:
    """Name the options that a model without a network has no use for."""
    if looks.loops is not None:
        message(f"ewval: warning: --loops is ignored: model {model} has no loops")
    if looks.tta:
        message(f"ewval: warning: --tta is ignored: model {model} does not look at the cube")


def _reporter(run: "PredictRun") -> "Reporter":
    from ewval.core.predict.report import Reporter

    return Reporter(run)


def _fetcher(asked: Asked, progress: Progress, files: Progress) -> "Fetcher":
    from ewval.core.fetch.request import FetchRequest

    # Made at once, so that nonsense in the options is told whether or not anything has to be fetched.
    nothing = FetchRequest(asked.folder, api=asked.api, token=read_token(asked.token_file))

    def fetch(tasks: Sequence[int], cells: Sequence[int], context: int) -> Mapping[int, EwvalError]:
        from ewval.core.fetch.run import fetch as fetch_all

        request = replace(nothing, tasks=tuple(tasks), cells=tuple(cells), context=context, waits=True)
        summary = fetch_all(request, progress=progress, files=files)
        if (reason := summary.error or summary.stopped) is not None:
            raise reason
        return summary.volume_errors

    return fetch


def _form(*, json: bool, segments: bool, quiet: bool) -> Form:
    """Return how answers are shown.

    Raises:
        UsageError: Two forms at once.
    """
    if json and segments:
        raise UsageError("--json and --segments cannot be used together")
    return "json" if json else "segments" if segments else "quiet" if quiet else "text"
