"""One `ewval train --arch graph`: from data folders and a recipe to a run folder."""

import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from ewval.core.errors import MissingError, SettingError
from ewval.core.folder import DataFolder
from ewval.core.forest.adapt import Adapted, adapt_head, count_adapting_forests
from ewval.core.forest.decider import ARCH, reads, save_forest
from ewval.core.forest.labelled import LabelledVolume, VolumeKind
from ewval.core.forest.labelled_folder import dataset_names, read_labelled, share_out
from ewval.core.index.split import split_path
from ewval.core.models.card import ModelCard
from ewval.core.models.registry import load_decider
from ewval.core.progress import SILENT, Progress
from ewval.core.recipe import write_recipe
from ewval.core.training.augmented import augment_volumes
from ewval.core.training.curve import Curve, count_curve_forests, learning_curve
from ewval.core.training.init import Beginning, find_beginning
from ewval.core.training.interrupt import StopRequest
from ewval.core.training.kept_forests import Interrupted, KeptForests, key_of
from ewval.core.training.picture import draw_progress
from ewval.core.training.recipe import GeneratedCubes, GraphRecipe
from ewval.core.training.run_folder import MetricsLog, RunFolder, check_begun, read_metrics, write_config
from ewval.core.version import __version__

__all__ = ["GraphRunRequest", "GraphRunSummary", "train_graph"]

SIDES = ("train", "val")
"""Both are learned from: every cell is answered once by forests that have not seen it, and settings come from that."""
LEAST_CELLS = 2
DESCRIPTION = "Trained with `ewval train`; its settings come from cells of its own data that its forests had not seen."


@dataclass(frozen=True, slots=True)
class GraphRunRequest:
    """Everything that `ewval train` was asked for.

    Args:
        data: The data folders; one that is named twice counts once.
        run: The run folder.
        recipe: How forests are trained.
        init: Model to start from, `none` for nothing; None: the packaged model, unless it knows cells of this data.
        sides: Of the splits, whose tasks are learned from.
        fold: Of the cross-validation, None for the plain split.
        seed: Of every random choice.
        resume: A run must be there to go on with.
    """

    data: tuple[Path, ...]
    run: Path
    recipe: GraphRecipe = field(default_factory=GraphRecipe)
    init: str | None = None
    sides: tuple[str, ...] = SIDES
    fold: int | None = None
    seed: int = 0
    resume: bool = False


@dataclass(frozen=True, slots=True)
class GraphRunSummary:
    """What a run came to.

    Args:
        why: How it ended.
        model: The model's file.
        cells: That were learned from.
        volumes: That they lie in.
        score: On cells that forests had not seen; None where it did not come to that.
        init: What it started from, None for nothing.
        kind: What that came to: `blended`, `own` cells alone or the `start` as it is.
        curve: The learning curve, None where there is none.
        seconds: How long this command took.
        notes: What the user should know.
    """

    why: Literal["done", "interrupted", "nothing"]
    model: Path
    cells: int = 0
    volumes: int = 0
    score: float | None = None
    init: str | None = None
    kind: str | None = None
    curve: Curve | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


def train_graph(request: GraphRunRequest, *, cubes: Progress = SILENT, forests: Progress = SILENT) -> GraphRunSummary:
    """Train as `request` says, or go on where the same request stopped before.

    Args:
        request: What is asked for.
        cubes: Told of the cubes that are read.
        forests: Told of the forests that are fitted.

    Raises:
        UsageError: Options that make no sense, or differ from those the run was begun with; a folder that cannot be
            written to.
        MissingError: No split, too few cells, nothing to learn, no graph, no model to start from, no run to resume.
        DamagedError: A file does not hold what it should.
    """
    began, folder = time.monotonic(), RunFolder(request.run)
    request = replace(request, data=_distinct(request.data))
    beginning = find_beginning(request.init, [DataFolder(path) for path in request.data])
    options = _options(request, beginning)
    check_begun(folder, options, free=())
    if request.resume and not folder.config.is_file():
        raise MissingError(f"run {folder.root}", hint="there is no run to resume here")
    if folder.model.is_file() and any(line["kind"] == "end" for line in read_metrics(folder.metrics)):
        load_decider(folder.model)  # a finished run whose model cannot be read is damaged, not finished
        return GraphRunSummary("nothing", folder.model, init=beginning.name)
    own = _read(request, cubes)
    try:
        write_config(folder, options)  # before anything is made in the folder: other options would reuse it
        write_recipe(folder.recipe, request.recipe)
        volumes = [*itertools.chain(*own), *_made(request, own, cubes)]
        with StopRequest() as stop:
            summary = _Run(request, folder, volumes, beginning, stop, forests, began).summary()
            return replace(summary, notes=(*beginning.notes, *_notes(request.recipe, volumes)))
    except OSError as error:
        raise SettingError(
            f"{folder.root} cannot be written: {error.strerror or error}; the same command resumes", setting="run"
        ) from error


class _Run:
    """One training under way."""

    def __init__(
        self,
        request: GraphRunRequest,
        folder: RunFolder,
        volumes: Sequence[LabelledVolume],
        beginning: Beginning,
        stop: StopRequest,
        progress: Progress,
        began: float,
    ) -> None:
        self._request, self._folder, self._volumes, self._beginning = request, folder, volumes, beginning
        self._config = request.recipe.learning(seed=request.seed)
        self._cells = sorted({cell for volume in volumes for cell in volume.cells})
        self._own = sorted({cell for volume in volumes if volume.validates for cell in volume.cells})
        self._progress, self._began, self._seconds = progress, began, list[float]()
        self._log = MetricsLog(folder.metrics, step=0)
        self._curve: Curve | None = None
        parts = self._parts
        key = key_of(volumes, parts=parts, config=self._config, start=beginning.start)
        self._keep = KeptForests(folder.root / "forests", key, stop, self._done)

    @property
    def _parts(self) -> int:
        return min(self._request.recipe.parts, len(self._own))

    def summary(self) -> GraphRunSummary:
        """Train; return what came of it."""
        recipe = self._request.recipe
        has_start, cells = self._beginning.start is not None, len(self._own)
        total = count_adapting_forests(
            self._volumes, cells=cells, parts=self._parts, config=self._config, has_start=has_start
        )
        if recipe.curve:
            total += count_curve_forests(
                self._volumes, cells=cells, parts=recipe.parts, config=self._config, has_start=has_start
            )
        self._progress.start(total, unit="forests")
        try:
            adapted = self._fit()
            save_forest(self._folder.model, self._card(adapted), adapted.fitted.head)
            tuned = adapted.fitted.tuned
            self._write("validation", score=tuned.score, kind_of_model=adapted.kind, scores=dict(adapted.scores))
            self._draw_curve()
        except Interrupted:
            return self._summary("interrupted", None)
        finally:
            self._log.close()
        for folder in (self._keep.folder, _augmented(self._request.run)):
            shutil.rmtree(folder, ignore_errors=True)
        return self._summary("done", adapted)

    def _fit(self) -> Adapted:
        parts = share_out(self._volumes, parts=self._parts, seed=self._request.seed)
        try:
            return adapt_head(self._volumes, parts, config=self._config, start=self._beginning.start, keep=self._keep)
        except ValueError as error:
            raise MissingError("enough to learn from", hint=f"{error}; `ewval fetch` gets more cells") from error

    def _draw_curve(self) -> None:
        recipe = self._request.recipe
        if recipe.curve:
            curves = learning_curve(
                self._volumes,
                parts=recipe.parts,
                config=self._config,
                start=self._beginning.start,
                keep=self._keep,
            )
            for self._curve in curves:
                last = self._curve.points[-1]
                self._write("curve", cells=last.cells, score=last.score, held_out=self._curve.held_out)
                draw_progress(self._folder.picture, curve=self._curve, seconds=self._seconds)
        self._write("end")
        draw_progress(self._folder.picture, curve=self._curve, seconds=self._seconds)

    def _done(self, name: str, seconds: float, is_kept: bool) -> None:
        self._seconds.append(seconds)
        self._write("forest", forest=name, seconds=round(seconds, 3), kept=is_kept)
        self._progress.advance(1)

    def _write(self, kind: str, **values: Any) -> None:
        self._log.write({"kind": kind, "step": len(self._seconds), **values})

    def _card(self, adapted: Adapted) -> ModelCard:
        tuned, start, real = adapted.fitted.tuned, self._beginning.card, [v for v in self._volumes if v.validates]
        before = (set(), set()) if start is None else (set(start.cells), set(start.volumes))
        return ModelCard(
            name=self._folder.root.resolve().name,
            arch=ARCH,
            context=0,
            add_threshold=tuned.thresholds.add,
            maybe_threshold=tuned.thresholds.maybe,
            config={
                **reads(),
                "parts": self._parts,
                "forms": sum(volume.kind == "augmented" for volume in self._volumes),
                **asdict(self._config),
                "settings": asdict(tuned.settings),
            },
            description=DESCRIPTION,
            data={v.name: f"{len(v.cells)} cells" for v in self._volumes if v.kind != "augmented"},
            training={
                "version": __version__,
                "init": self._beginning.name,
                "kind": adapted.kind,
                "scores": {kind: round(score, 4) for kind, score in adapted.scores.items()},
                "validation_score": round(tuned.score, 4),
                "rejected_wrong": round(tuned.rejected_wrong, 4),
            },
            cells=sorted(before[0] | set(self._own)),
            volumes=sorted(before[1] | {volume.id for volume in real}),
        )

    def _summary(self, why: Literal["done", "interrupted"], adapted: Adapted | None) -> GraphRunSummary:
        return GraphRunSummary(
            why=why,
            model=self._folder.model,
            cells=len(self._own),
            volumes=sum(volume.validates for volume in self._volumes),
            score=None if adapted is None else adapted.fitted.tuned.score,
            init=self._beginning.name,
            kind=None if adapted is None else adapted.kind,
            curve=self._curve,
            seconds=time.monotonic() - self._began,
        )


def _options(request: GraphRunRequest, beginning: Beginning) -> dict[str, Any]:
    """Return every option that the result depends on, as config.json holds it."""
    splits = [split_path(DataFolder(path), fold=request.fold) for path in request.data]
    return {
        "data": [str(path.resolve()) for path in request.data],
        "split_sha256": [sha256(path.read_bytes()).hexdigest() if path.is_file() else None for path in splits],
        **request.recipe.model_dump(mode="json"),
        "init": beginning.name,
        "init_sha256": None if beginning.card is None else beginning.card.sha256,
        "sides": list(request.sides),
        "fold": request.fold,
        "seed": request.seed,
    }


def _distinct(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the paths without those that lead to the folder of an earlier one: its cells would count twice."""
    found: dict[Path, Path] = {}
    for path in paths:
        found.setdefault(path.resolve(), path)
    return tuple(found.values())


def _names(request: GraphRunRequest) -> dict[Path, str]:
    """Return the names of all data sets that are learned from, by their folders."""
    paths = [*request.data, *(_generated_folder(request.run, look) for look in request.recipe.generated)]
    return dict(zip(paths, dataset_names([DataFolder(path) for path in paths]), strict=True))


def _generated_folder(run: Path, look: str) -> Path:
    return run / f"generated-{look}"


def _read(request: GraphRunRequest, progress: Progress) -> list[list[LabelledVolume]]:
    """Return the cubes of each data folder.

    Raises:
        MissingError: Too few of their cells have an answer.
    """
    names = _names(request)
    own = [
        read_labelled(
            DataFolder(path),
            name=names[path],
            sides=request.sides,
            fold=request.fold,
            most=request.recipe.bounds.volumes,
            seed=request.seed,
            progress=progress,
        )
        for path in request.data
    ]
    cells = {cell for volume in itertools.chain(*own) for cell in volume.cells}
    if len(cells) < LEAST_CELLS:
        raise MissingError(
            f"cells to learn from (there are {len(cells)} with answers, at least {LEAST_CELLS} are needed)",
            hint="`ewval fetch` gets more, `ewval index` lists them",
        )
    return own


def _made(
    request: GraphRunRequest, own: Sequence[Sequence[LabelledVolume]], progress: Progress
) -> list[LabelledVolume]:
    """Return what the recipe adds to the cubes that are there: further forms of them, and generated ones."""
    augmented, made = request.recipe.augmented, list[LabelledVolume]()
    if augmented is not None:
        progress.start(sum(map(len, own)) * augmented.forms, unit="forms of cubes")
        for number, (path, cubes) in enumerate(zip(request.data, own, strict=True)):
            kept = _augmented(request.run) / str(number)
            made += augment_volumes(DataFolder(path), cubes, augmented, kept=kept, progress=progress)
    for look, generated in request.recipe.generated.items():
        made += _generated(request, look, generated, progress)
    return made


def _notes(recipe: GraphRecipe, volumes: Sequence[LabelledVolume]) -> Iterator[str]:
    """Say of which cubes there should be changed forms, and are none."""
    real, formed = ({(v.dataset, v.id) for v in volumes if v.kind == kind} for kind in ("real", "augmented"))
    if recipe.augmented is not None and real - formed:
        yield f"no changed forms of {len(real - formed)} of {len(real)} cubes: their raw files are not at hand"


def _augmented(run: Path) -> Path:
    """Return where graphs of changed forms are kept until the run is done."""
    return run / "augmented"


def _generated(request: GraphRunRequest, look: str, plan: GeneratedCubes, progress: Progress) -> list[LabelledVolume]:
    """Return generated cubes, made in the run's folder where they are not there yet."""
    from ewval.core.fetch.download import discard
    from ewval.core.sim.lessons import LessonPlan, write_lessons

    path = _generated_folder(request.run, look)
    folder = DataFolder(path)
    if not folder.task_data.is_file():
        lessons = LessonPlan(cubes=plan.cubes, tasks=plan.tasks, seed=plan.seed, raw=True, look=look)
        write_lessons(folder, lessons, progress=progress)
    kind: VolumeKind = "apart" if plan.apart else "generated"
    name = _names(request)[path]
    volumes = read_labelled(folder, name=name, weight=plan.weight, kind=kind, progress=progress)
    for volume in volumes:  # 8 MB each, and the graph is kept
        discard(folder.raw(volume.id))
    return volumes
