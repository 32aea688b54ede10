"""What forests of a recipe reach on cells and on whole tissues that were left out of them.

    python benchmarks/left_out.py FOLDER SHARED [--recipe graph-packaged] [--run RUN] [--aside] [--cubes]

FOLDER holds the data folders fib25, gala and pinky, as `ewval fetch`, `pack` and `index` leave them; SHARED holds
data/scored.json. At home each scored task is grown by forests that neither its cell nor what touches it taught, and
the settings are those that the recipe chooses on all such tasks. Away each is grown by forests that saw nothing of
its tissue, by settings from the other tissues alone: theirs at home, theirs left out, and the mean of both by
familiarity, as the model does it. With --cubes each cube is left out as well while others of its tissue stay, by
settings from the other sets. FOLDER/forests keeps forests, so that the same command goes on where it stopped.

Prints F1 by volume (tasks with something to add; 95 % intervals over cells), that of the best prefix of each growth
and of the best fixed cut on probability, with its lead over the answers, ECE per task, the share of the wrong volume in
the fifth of the candidates that are least certain, and in the first tenth of the tasks. A quarter of the cells, drawn
by a digest of their ids, has lines of its own: choose by the others, and look at it at the end (`--aside`).
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from ewval.core.evaluation.bootstrap import ClusterSums, interval, resampled_means
from ewval.core.evaluation.calibration import ece
from ewval.core.evaluation.review import found_first
from ewval.core.folder import DataFolder
from ewval.core.forest.away import common_of, learn_away, learn_once
from ewval.core.forest.boosting import Forest, merge_forests
from ewval.core.forest.candidates import Surroundings, survey
from ewval.core.forest.fit import FittedHead, fit_head, learn_specialist, look_of_real
from ewval.core.forest.growth import Growth, best_cut, grow
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import read_labelled, share_out
from ewval.core.forest.learn import Keep, LearnConfig, named
from ewval.core.forest.model import HeadSettings, SegmentHead
from ewval.core.forest.tune import Trial, tune, tune_away
from ewval.core.recipe import check_recipe, read_recipe
from ewval.core.storage.arrays import read_arrays, write_arrays
from ewval.core.tasks.table import TaskTable
from ewval.core.training.augmented import augment_volumes
from ewval.core.training.kept_forests import key_of
from ewval.core.training.recipe import GraphRecipe

SETS, SIDES = ("fib25", "gala", "pinky"), ("train", "val", "test")
TISSUE = {"fib25": "fib25", "gala": "fib25", "pinky": "pinky"}
CUTS = tuple(round(0.1 * i, 1) for i in range(1, 10))


@dataclass(frozen=True)
class Grown:
    """A scored task as it was grown, how familiar its cube was to those who grew it, and another system's score."""

    cell: int
    trial: Trial
    familiarity: float = 1.0
    rival: float | None = None


@dataclass(frozen=True)
class Away:
    """A head that knows nothing of one tissue, its specialist included, and trials on it."""

    head: SegmentHead
    trials: list[Trial]


@dataclass(frozen=True)
class Bench:
    """What the tables are made of: data, scored tasks by set, what was learned at home, and without each tissue."""

    folder: Path
    scored: dict[str, list[dict]]
    volumes: list[LabelledVolume]
    parts: dict[int, int]
    config: LearnConfig
    keep: Keep
    fitted: FittedHead
    others: dict[str, Away]

    def real(self, name: str) -> list[LabelledVolume]:
        return [v for v in self.volumes if v.dataset == name and v.validates]

    def grown(
        self, name: str, look: Callable, judge: Callable, rivals: dict | None = None, *, only: int | None = None
    ) -> list[Grown]:
        """Return the scored tasks of a set as they are grown, of `only` one cube where it is named."""
        volumes = {v.id: v for v in self.real(name) if only in (None, v.id)}
        return grown_tasks(DataFolder(self.folder / name), self.scored[name], volumes, look, judge, rivals)

    def settings(self, sets: Sequence[str]) -> tuple[HeadSettings, HeadSettings]:
        """Return the settings that some sets choose at home, and left out with their tissue."""
        home = tune([trial for trial in self.fitted.trials if trial.dataset in sets]).settings
        away = [trial for other in self.others.values() for trial in other.trials if trial.dataset in sets]
        return home, tune_away(away)


def keeper(folder: Path) -> Callable[[str, Callable[[], Forest]], Forest]:
    """Return a keeper of forests in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name: str, fit: Callable[[], Forest]) -> Forest:
        path = folder / f"{name}.npz"
        if not path.is_file():
            write_arrays(path, fit().arrays())
        return Forest.from_arrays(read_arrays(path))

    return keep


def elsewhere(volumes: Sequence[LabelledVolume], parts: dict, config: LearnConfig, keep: Callable) -> dict[str, Away]:
    """Return by tissue what was learned without it, in the same way as the recipe does."""
    found = {}
    for one in learn_away(volumes, parts, config=config, keep=keep):
        rest = [*one.others, *(volume for volume in volumes if volume.kind == "apart")]
        specialist = learn_specialist(rest, parts, config=config, keep=named(keep, f"without-{one.tissue}-"))
        head = SegmentHead(one.pairs, one.candidates, familiarity=look_of_real(rest), specialist=specialist)
        found[one.tissue] = Away(head, list(one.trials))
    return found


def grown_tasks(
    folder: DataFolder,
    rows: list[dict],
    volumes: dict[int, LabelledVolume],
    look: Callable,
    judge: Callable,
    rivals: dict[int, list[int]] | None = None,
) -> list[Grown]:
    """Grow scored tasks.

    Args:
        folder: Of the set.
        rows: Of scored.json.
        volumes: By id; tasks of others are left aside.
        look: From a volume to its surroundings and familiarity.
        judge: From a volume and a cell to the forest of candidates.
        rivals: What another system answered, by task.
    """
    table, cell_of, looks, found = TaskTable.load(folder), {row["task"]: row["cell"] for row in rows}, {}, []
    for row in map(int, table.rows(np.array(sorted(cell_of)))):
        if int(table.volume[row]) not in volumes:
            continue
        volume = volumes[int(table.volume[row])]
        if volume.name not in looks:
            looks[volume.name] = look(volume)
        around, familiarity = looks[volume.name]
        seed, target = volume.graph.rows(table.seed(row)), np.zeros(len(volume.graph.ids), bool)
        target[np.setdiff1d(volume.graph.rows(table.aggregate(row)), seed)] = True
        growth = grow(around, seed, judge=judge(volume, int(table.group[row])))
        trial = Trial(volume.dataset, growth, volume.graph.voxels.astype(float), target)
        task = int(table.ids[row])
        answer = None if rivals is None else np.setdiff1d(volume.graph.rows(np.array(rivals[task], int)), seed)
        found.append(Grown(cell_of[task], trial, familiarity, None if answer is None else f1_of(trial, answer)))
    return found


def f1_of(trial: Trial, rows: np.ndarray) -> float:
    """Return the volume F1 of an answer, rows of the graph without those of the seed."""
    total = trial.voxels[rows].sum() + trial.voxels[trial.target].sum()
    return float(2 * trial.voxels[rows[trial.target[rows]]].sum() / total) if total else 1.0


def answer_of(trial: Trial, settings: HeadSettings) -> int:
    """Return how many of the segments that joined are the answer: the first so many."""
    growth: Growth = trial.growth
    chance = settings.calibration.probability(growth.log_odds)
    return best_cut(trial.voxels[growth.rows], chance, nothing=settings.nothing)


def paired(tasks: list[Grown], settings: HeadSettings) -> str:
    """Return how far the answers are ahead of the other system's, over tasks with something to add."""
    gains = []
    for task in (task for task in tasks if task.rival is not None and task.trial.target.any()):
        gains.append((task.cell, task.trial.f1(answer_of(task.trial, settings)) - task.rival))
    return with_interval(gains)


def recorded(path: Path) -> dict[int, list[int]] | None:
    """Return another system's answers by task, where there are some."""
    if not path.is_file():
        return None
    return {line["task"]: line["segments"] for line in map(json.loads, path.read_text().splitlines())}


def at_home(fitted: FittedHead) -> tuple[Callable, Callable]:
    """Return how cubes and cells are looked at by forests that have not seen them."""

    def look(volume: LabelledVolume) -> tuple[Surroundings, float]:
        return survey(volume.graph, fitted.log_odds(volume)), 1.0

    def judge(_: LabelledVolume, cell: int) -> Forest:
        return merge_forests([course.candidates.without[course.pairs.parts[cell]] for course in fitted.courses])

    return look, judge


def away_from(other: Away) -> tuple[Callable, Callable]:
    """Return how the tissue is looked at that was left out."""

    def look(volume: LabelledVolume) -> tuple[Surroundings, float]:
        known = other.head.known(volume.graph)
        return known.around, known.familiarity

    return look, lambda volume, _: other.head.known(volume.graph).judge


def line(label: str, tasks: list[Grown], settings_of: Callable[[Grown], HeadSettings]) -> str:
    """Return one line of the table."""
    scores, figures, cuts = [], {"ece": [], "best": [], "wrong": [], "expected": []}, {cut: [] for cut in CUTS}
    doubts, errors = [], []
    for task in tasks:
        trial, settings = task.trial, settings_of(task)
        growth: Growth = trial.growth
        chance = settings.calibration.probability(np.concatenate([growth.log_odds, growth.refused_log_odds]))
        joined, rows = chance[: len(growth.rows)], np.concatenate([growth.rows, growth.refused])
        count = answer_of(trial, settings)
        chosen = np.arange(len(rows)) < count
        wrong = np.where(chosen != trial.target[rows], trial.voxels[rows], 0.0)
        unseen = trial.target.copy()
        unseen[rows] = False
        figures["wrong"].append(wrong.sum() + trial.voxels[unseen].sum())
        figures["expected"].append(float((np.where(chosen, 1 - chance, chance) * trial.voxels[rows]).sum()))
        doubts.append(np.minimum(chance, 1 - chance))
        errors.append(wrong)
        if len(rows):
            figures["ece"].append(ece(chance, trial.target[rows]))
        if trial.target.any():
            scores.append((task.cell, trial.f1(count)))
            figures["best"].append(max(trial.f1(n) for n in range(len(growth.rows) + 1)))
            for cut in CUTS:
                cuts[cut].append(trial.f1(int((joined >= cut).sum())))
    order = np.argsort(-np.concatenate(doubts), kind="stable")
    doubtful = np.concatenate(errors)[order][: len(order) // 5].sum() / max(sum(figures["wrong"]), 1)
    first = found_first(np.array(figures["expected"]), np.array(figures["wrong"]))
    best_cut_at = max(CUTS, key=lambda cut: np.mean(cuts[cut]))
    best, error = np.mean(figures["best"]), np.mean(figures["ece"])
    lead = [(cell, cut - f1) for (cell, f1), cut in zip(scores, cuts[best_cut_at], strict=True)]
    fixed = f"{np.mean(cuts[best_cut_at]):.3f} at {best_cut_at}, ahead by {with_interval(lead)}"
    reached = f"{with_interval(scores)} | {best:.3f} | {fixed}"
    return f"| {label} | {reached} | {error:.3f} | {doubtful:.2f} | {first:.2f} |"


def is_aside(cell: int) -> bool:
    """Whether a cell is of the quarter that is looked at only in the end."""
    return int(sha256(str(cell).encode()).hexdigest(), 16) % 4 == 0


def with_interval(scores: list[tuple[int, float]]) -> str:
    cells = sorted({cell for cell, _ in scores})
    sums = np.array([[sum(f1 for cell, f1 in scores if cell == one)] for one in cells])
    counts = np.array([sum(cell == one for cell, _ in scores) for one in cells], dtype=np.int64)
    low, high = interval(resampled_means(ClusterSums(counts, sums))[:, 0])
    return f"{np.mean([f1 for _, f1 in scores]):.3f} [{low:.3f}, {high:.3f}] ({len(scores)})"


def print_home(bench: Bench, shared: Path, *, aside: bool) -> None:
    settings = bench.fitted.head.settings
    for name in SETS:
        rivals = recorded(shared / "data" / name / "rival-ffn.jsonl")
        tasks = bench.grown(name, *at_home(bench.fitted), rivals)
        print(line(f"{name} at home", tasks, lambda _: settings), flush=True)
        for label, kept in (("three quarters", False), ("the last quarter", True)) if aside else ():
            some = [task for task in tasks if is_aside(task.cell) == kept]
            print(line(f"- of these {label} of the cells", some, lambda _: settings))
        if rivals is not None:
            print(f"| - ahead of Flood-Filling Networks by | {paired(tasks, settings)} |", flush=True)


def print_away(bench: Bench) -> None:
    for name in SETS:
        mine = TISSUE[name]
        tasks = bench.grown(name, *away_from(bench.others[mine]))
        print_settings(f"{name} away", tasks, *bench.settings([one for one in SETS if TISSUE[one] != mine]))


def print_cubes(bench: Bench) -> None:
    """Leave out each cube, others of its tissue known."""
    for name in SETS:
        tasks = []
        for volume in bench.real(name):
            left = [v for v in bench.volumes if v.id == volume.id and v.kind in ("real", "augmented")]
            rest = [v for v in bench.volumes if v not in left]
            keep = named(bench.keep, f"without-{volume.id}-")
            forests = learn_once(common_of(rest), bench.parts, config=bench.config, keep=keep)
            specialist = learn_specialist(rest, bench.parts, config=bench.config, keep=keep)
            head = SegmentHead(*forests, familiarity=look_of_real(rest), specialist=specialist)
            tasks += bench.grown(name, *away_from(Away(head, [])), only=volume.id)
        low, high = (pick(task.familiarity for task in tasks) for pick in (min, max))
        label = f"{name}, cube left out (familiarity {low:.2f} to {high:.2f})"
        print_settings(label, tasks, *bench.settings([one for one in SETS if one != name]))


def print_settings(label: str, tasks: list[Grown], home: HeadSettings, away: HeadSettings) -> None:
    """Print the line of the settings of others at home, left out, and of the mean of both as the model takes it."""
    print(line(f"{label}, settings of others at home", tasks, lambda _: home))
    print(line("- settings of tissues left out", tasks, lambda _: away))
    print(
        line("- the mean of both by familiarity", tasks, lambda task: home.toward(away, task.familiarity)), flush=True
    )


def read_volumes(folder: Path, recipe: GraphRecipe, run: Path | None) -> list[LabelledVolume]:
    """Return all that the recipe learns from."""
    volumes = [v for name in SETS for v in read_labelled(DataFolder(folder / name), sides=SIDES)]
    for name in SETS if recipe.augmented is not None else ():
        mine, kept = [v for v in volumes if v.dataset == name], folder / "augmented" / name
        volumes += augment_volumes(DataFolder(folder / name), mine, recipe.augmented, kept=kept)
    for look, plan in recipe.generated.items():
        cubes = DataFolder(run / f"generated-{look}")
        volumes += read_labelled(cubes, weight=plan.weight, kind="apart" if plan.apart else "generated")
    return volumes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--recipe", default="graph-packaged")
    parser.add_argument("--run", type=Path, help="of the recipe: has its generated cubes")
    parser.add_argument("--aside", action="store_true", help="the kept quarter of the cells, and the others, apart")
    parser.add_argument("--cubes", action="store_true", help="single cubes left out, too, others of their tissue known")
    chosen = parser.parse_args()
    recipe = check_recipe(GraphRecipe, read_recipe(chosen.recipe), name=chosen.recipe)
    config = recipe.learning(seed=0)
    if recipe.generated and chosen.run is None:
        parser.error(f"the recipe {chosen.recipe} learns from generated cubes: name its run (--run)")
    volumes = read_volumes(chosen.folder, recipe, chosen.run)
    parts = share_out(volumes, parts=recipe.parts, seed=0)
    keep = keeper(chosen.folder / "forests" / key_of(volumes, parts=recipe.parts, config=config, start=None))
    fitted = fit_head(volumes, parts, config=replace(config, away=False), keep=keep)
    scored = json.loads((chosen.shared / "data" / "scored.json").read_text())["tasks"]
    others = elsewhere(volumes, parts, config, keep)
    bench = Bench(chosen.folder, scored, volumes, parts, config, keep, fitted, others)
    print("| | F1 (tasks) | best prefix | best fixed cut | ECE per task | least certain 20 % | first 10 % |")
    print("|---|---|---|---|---|---|---|")
    print_home(bench, chosen.shared, aside=chosen.aside)
    print_away(bench)
    if chosen.cubes:
        print_cubes(bench)


if __name__ == "__main__":
    main()
