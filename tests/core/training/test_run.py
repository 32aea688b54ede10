"""`ewval train --arch graph`: from data folders to a run folder, going on where it stopped."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.errors import DamagedError, MissingError, SettingError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.forest import away
from ewval.core.forest.adapt import adapt_head
from ewval.core.forest.boosting import BoostingConfig
from ewval.core.forest.decider import ForestDecider
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import dataset_names, read_labelled, share_out
from ewval.core.forest.states import SamplingConfig
from ewval.core.forest.tune import Trial
from ewval.core.graph.graph import build_graph, save_graph
from ewval.core.index.split import Split, write_split
from ewval.core.models.registry import load_decider
from ewval.core.progress import Progress
from ewval.core.recipe import check_recipe, read_recipe
from ewval.core.sim.lessons import LessonPlan
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of
from ewval.core.training import augmented
from ewval.core.training import run as training
from ewval.core.training.augmented import AugmentedCubes
from ewval.core.training.recipe import GeneratedCubes, GraphRecipe
from ewval.core.training.run import GraphRunRequest, GraphRunSummary, train_graph
from worlds import make_pair, write_volume

TREES = BoostingConfig(trees=5, depth=2, rate=0.3, least_weight=0.5, ridge=1.0)
SAMPLING = SamplingConfig(growths=2, least=0, states=2)
QUICK = GraphRecipe(pairs=TREES, candidates=TREES, sampling=SAMPLING, rounds=1, curve=False)
"""Forests that take no time."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of two small cubes; each cell has a task; that of task 801 stands on the test side."""
    data = DataFolder(tmp_path_factory.mktemp("data"))
    pairs = []
    for volume in (7, 8):
        cube = block_cube(seed=volume, cells=8, pieces=36)
        graph = build_graph(cube["image"], cube["labels"])
        save_graph(data.graph(volume), graph)
        write_volume(data, volume)
        owner = np.array([cube["truth"][cube["labels"] == i][0] for i in graph.ids])
        for cell in np.unique(owner).tolist():
            mine = graph.ids[owner == cell].tolist()
            number = 100 * volume + cell
            pairs.append(make_pair(number, cell=number, volume=volume, seed=mine[:1], answer=mine))
    table = TaskTable.from_records(pairs)
    write_task_files(data, files_of(table))
    test = np.array([801])
    none = np.zeros(0, np.int64)
    write_split(Split(train=np.setdiff1d(table.ids, test), val=none, test=test, gap=none), data)
    return data.root


def train(folder: Path, run: Path, **options: Any) -> GraphRunSummary:
    return train_graph(GraphRunRequest(run=run, **({"data": (folder,), "recipe": QUICK, "init": "none"} | options)))


def forest(path: Path) -> ForestDecider:
    decider = load_decider(path)
    assert isinstance(decider, ForestDecider)
    return decider


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_folder_holds_a_model_that_answers(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "mine"
    summary = train(folder, run)
    assert (summary.why, summary.cells, summary.volumes, summary.init) == ("done", 15, 2, None)
    assert 0 <= summary.score <= 1
    model = forest(run)
    assert model.card.name == "mine"
    assert model.card.training["validation_score"] == pytest.approx(summary.score, abs=1e-4)
    assert model.card.config["settings"]["calibration"] == pytest.approx(asdict(model.head.settings)["calibration"])
    assert model.card.volumes == [7, 8]
    assert 801 not in model.card.cells
    assert len(model.card.cells) == 15
    assert model.card.maybe_threshold <= model.card.add_threshold
    volume = read_labelled(DataFolder(folder))[0]
    assert len(model.head.score(volume.graph, volume.graph.ids[:1]).ids)
    assert sorted(path.name for path in run.iterdir()) == [
        "config.json", "metrics.jsonl", "model.json", "model.safetensors", "progress.png", "recipe.toml"
    ]  # fmt: skip
    assert [line["kind"] for line in lines(run)] == ["forest"] * 11 + ["validation", "end"]
    config = json.loads((run / "config.json").read_text())
    assert (config["arch"], config["init"], config["pairs"]["trees"]) == ("graph", None, 5)


def test_the_same_command_again_has_nothing_to_do(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "r")
    before = (tmp_path / "r" / "model.safetensors").read_bytes()
    assert train(folder, tmp_path / "r").why == "nothing"
    assert (tmp_path / "r" / "model.safetensors").read_bytes() == before


def test_the_recipe_lies_beside_the_run_and_makes_it_again(folder: Path, tmp_path: Path) -> None:
    recipe = QUICK.model_copy(update={"left_out": ("*_log_outer",), "alike": ((folder.name,),), "parts": 3})
    first = train(folder, tmp_path / "first" / "r", recipe=recipe).model
    path = str(tmp_path / "first" / "r" / "recipe.toml")
    again = check_recipe(GraphRecipe, read_recipe(path), name=path)
    assert again == recipe
    assert train(folder, tmp_path / "again" / "r", recipe=again).model.read_bytes() == first.read_bytes()


def test_a_finished_run_whose_model_is_cut_short_is_damaged(folder: Path, tmp_path: Path) -> None:
    model = train(folder, tmp_path / "r").model
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedError, match=r"model\.safetensors is damaged"):
        train(folder, tmp_path / "r")
    model.unlink()
    assert train(folder, tmp_path / "r").why == "done"
    assert model.read_bytes() == whole


def test_an_interrupted_training_goes_on_to_the_same_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopAtFourth(training.StopRequest):
        asked = 0

        @property
        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 3

        @is_set.setter
        def is_set(self, value: bool) -> None:
            pass

    run, whole = tmp_path / "cut" / "mine", tmp_path / "whole" / "mine"
    with monkeypatch.context() as patch:
        patch.setattr(training, "StopRequest", StopAtFourth)
        assert train(folder, run).why == "interrupted"
    assert not (run / "model.safetensors").exists()
    kept = sorted((run / "forests").iterdir())
    assert len(kept) == 3
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    assert train(folder, run, resume=True).why == "done"
    assert [line["kept"] for line in lines(run) if line["kind"] == "forest"].count(True) == 2
    assert train(folder, whole).why == "done"
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_of_a_start_that_becomes_what_scores_best(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "start")
    data = copied(folder, tmp_path / "data")
    table = TaskTable.load(data)
    pairs = [
        make_pair(
            int(i) + 5000,
            cell=int(i) + 5000,
            volume=int(v),
            seed=table.seed(row).tolist(),
            answer=table.aggregate(row).tolist(),
        )
        for row, (i, v) in enumerate(zip(table.ids, table.volume, strict=True))
    ]
    others = TaskTable.from_records(pairs)
    write_task_files(data, files_of(others))
    none = np.zeros(0, np.int64)
    write_split(Split(train=others.ids, val=none, test=none, gap=none), data)
    summary = train(data.root, tmp_path / "more", init=str(tmp_path / "start"))
    assert summary.init == str(tmp_path / "start")
    start, more = forest(tmp_path / "start"), forest(tmp_path / "more")
    scores = more.card.training["scores"]
    assert scores.keys() == {"blended", "start"}
    assert scores[summary.kind] == max(scores.values()) == pytest.approx(summary.score, abs=1e-4)
    assert set(start.card.cells) < set(more.card.cells)


def test_a_start_that_knows_cells_of_the_data_is_refused(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "start")
    with pytest.raises(SettingError, match="has learned from 15 of the cells of this data"):
        train(folder, tmp_path / "more", init=str(tmp_path / "start"))
    with pytest.raises(SettingError, match="lwunet is a network"):
        train(folder, tmp_path / "more", init="lwunet")
    assert not (tmp_path / "more").exists()


def test_a_run_ends_with_its_learning_curve(folder: Path, tmp_path: Path) -> None:
    summary = train(folder, tmp_path / "r", recipe=QUICK.model_copy(update={"curve": True}))
    assert summary.curve is not None
    assert [point.cells for point in summary.curve.points] == [2, 3, 6, 12]
    assert summary.curve.held_out == 3
    said = [line for line in lines(tmp_path / "r") if line["kind"] == "curve"]
    assert [line["cells"] for line in said] == [2, 3, 6, 12]
    assert (tmp_path / "r" / "progress.png").stat().st_size > 1000


def test_only_the_sides_asked_for_count_as_known(folder: Path) -> None:
    data = DataFolder(folder)
    known = {cell for volume in read_labelled(data) for cell in volume.cells}
    everything = {cell for volume in read_labelled(data, sides=("train", "val", "test")) for cell in volume.cells}
    assert everything - known == {-801}  # where no ledger tells the cell, a root stands for it


def test_cells_of_the_other_sides_are_withheld_with_what_touches_them(folder: Path) -> None:
    first, second = read_labelled(DataFolder(folder))
    everything = read_labelled(DataFolder(folder), sides=("train", "val", "test"))
    assert not len(first.withheld)
    assert not any(len(volume.withheld) for volume in everything)
    held_out = everything[1].cells[-801]
    assert len(held_out)
    assert set(held_out.tolist()) <= set(second.withheld.tolist())
    assert not np.isin(np.concatenate(list(second.cells.values())), second.withheld).any()


def test_a_cube_whose_seeds_are_all_unknown_to_its_graph_teaches_nothing(folder: Path, tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    table = TaskTable.from_records([make_pair(n, cell=n, volume=7, seed=[65000], answer=[65000]) for n in (1, 2)])
    write_volume(data, 7)
    shutil.copytree(folder / "graphs", data.root / "graphs")
    write_task_files(data, files_of(table))
    none = np.zeros(0, np.int64)
    write_split(Split(train=np.array([1]), val=none, test=np.array([2]), gap=none), data)
    (volume,) = read_labelled(data)
    assert (dict(volume.cells), len(volume.withheld)) == ({}, 0)


def test_a_cell_is_in_one_part_and_parts_are_of_a_size(folder: Path) -> None:
    parts = share_out(read_labelled(DataFolder(folder)), parts=5)
    sizes = np.bincount(list(parts.values()))
    assert len(parts) == 15
    assert sizes.tolist() == [3, 3, 3, 3, 3]


def test_what_nothing_can_be_learned_from_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there are 1 with answers, at least 2 are needed"):
        train(folder, tmp_path / "few", sides=("test",))
    data = copied(folder, tmp_path / "alone")
    pairs = [make_pair(n, cell=n, volume=7, seed=[n], answer=[n]) for n in (1, 2, 3)]
    write_task_files(data, files_of(TaskTable.from_records(pairs)))
    none = np.zeros(0, np.int64)
    write_split(Split(train=np.array([1, 2, 3]), val=none, test=none, gap=none), data)
    with pytest.raises(MissingError, match=r"enough to learn from not found; .*true and false"):
        train(data.root, tmp_path / "alike")
    with pytest.raises(MissingError, match="`ewval index` makes it"):
        train(tmp_path, tmp_path / "nowhere")


def test_a_run_of_other_options_or_another_kind_is_left_alone(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "r")
    with pytest.raises(UsageError, match=r"begun with other options \(seed was 0, not 1"):
        train(folder, tmp_path / "r", seed=1)
    with pytest.raises(UsageError, match="parts was 5, not 3"):
        train(folder, tmp_path / "r", recipe=QUICK.model_copy(update={"parts": 3}))
    (tmp_path / "r" / "config.json").write_text('{"arch": "lwunet"}')
    with pytest.raises(UsageError, match="arch was lwunet, not graph"):
        train(folder, tmp_path / "r")
    with pytest.raises(MissingError, match="there is no run to resume here"):
        train(folder, tmp_path / "fresh", resume=True)


def test_a_folder_that_cannot_be_written_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ewval.core.training.kept_forests.write_arrays", full)
        with pytest.raises(UsageError, match="cannot be written: No space left on device; the same command resumes"):
            train(folder, tmp_path / "r")
    assert train(folder, tmp_path / "r").why == "done"


def test_a_graph_that_is_damaged_is_named(folder: Path, tmp_path: Path) -> None:
    data = copied(folder, tmp_path / "data")
    blob = bytearray(data.graph(7).read_bytes())
    blob[len(blob) // 2] ^= 255
    data.graph(7).write_bytes(bytes(blob))
    with pytest.raises((DamagedError, MissingError), match=r"graphs/7\.npz"):
        train(data.root, tmp_path / "r")


def test_a_volume_without_its_files_as_downloaded_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    DataFolder(copy).graph(7).unlink()
    with pytest.raises(MissingError, match="raw"):
        read_labelled(DataFolder(copy))


def test_generated_cubes_teach_but_choose_no_settings(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown: list[str] = []

    def note(volume: LabelledVolume, *arguments: object, **named: object) -> list[Trial]:
        grown.append(volume.dataset)
        return try_cell(volume, *arguments, **named)

    def make(target: DataFolder, plan: LessonPlan, *, progress: Progress) -> None:
        assert (plan.cubes, plan.tasks, plan.seed, plan.raw, plan.look) == (2, 3, 9, True, "retina")
        shutil.copytree(folder, target.root)
        for graph in (folder / "graphs").glob("*.npz"):
            target.raw(int(graph.stem)).mkdir(parents=True)
            (target.raw(int(graph.stem)) / "metadata.json").touch()

    try_cell: Any = away._try_cell
    monkeypatch.setattr(away, "_try_cell", note)
    monkeypatch.setattr("ewval.core.sim.lessons.write_lessons", make)
    train(folder, tmp_path / "one")
    generated = GeneratedCubes(cubes=2, tasks=3, seed=9)
    train(folder, tmp_path / "two", recipe=QUICK.model_copy(update={"generated": {"retina": generated}}))
    assert set(grown) == {folder.name}
    one, two = forest(tmp_path / "one"), forest(tmp_path / "two")
    assert any(name.startswith("generated-retina/") for name in two.card.data)
    assert not list((tmp_path / "two" / "generated-retina" / "raw").iterdir())  # the graphs are enough
    assert one.card.cells == two.card.cells
    assert not np.array_equal(one.head.pairs.leaf, two.head.pairs.leaf)


def test_of_many_cubes_some_are_drawn_that_hold_every_cell(folder: Path) -> None:
    both, one = (read_labelled(DataFolder(folder), most=most) for most in (2, 1))
    assert [volume.id for volume in both] == [7, 8]
    assert len(one) == 1


def test_data_sets_of_one_name_are_told_apart() -> None:
    def names(*paths: str) -> list[str]:
        return dataset_names([DataFolder(Path(path)) for path in paths])

    assert names("a/fib25", "gala") == ["fib25", "gala"]
    assert names("a/x", "b/x", "x-2", "c/x") == ["x", "x-3", "x-2", "x-4"]


def test_cubes_of_one_id_in_folders_of_one_name_are_told_apart(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def note(volumes: list[LabelledVolume], *arguments: Any, **named: Any) -> Any:
        read.extend(volume.name for volume in volumes)
        return adapt_head(volumes, *arguments, **named)

    monkeypatch.setattr(training, "adapt_head", note)
    data = copied(folder, tmp_path / "elsewhere" / folder.name)
    train(folder, tmp_path / "r", data=(folder, data.root))
    expected = [f"{name}/{volume}" for name in (folder.name, f"{folder.name}-2") for volume in (7, 8)]
    assert read == expected
    assert sorted(forest(tmp_path / "r").card.data) == sorted(expected)


def test_a_folder_that_is_named_twice_counts_once(folder: Path, tmp_path: Path) -> None:
    once = train(folder, tmp_path / "once" / "r").model
    twice = train(folder, tmp_path / "twice" / "r", data=(folder, folder / ".." / folder.name)).model
    assert twice.read_bytes() == once.read_bytes()


def copied(folder: Path, target: Path) -> DataFolder:
    shutil.copytree(folder, target)
    return DataFolder(target)


def test_changed_forms_of_cubes_teach_where_raw_files_are_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Raw:
        def __init__(self, _: DataFolder) -> None: ...

        def image(self, volume: int) -> np.ndarray | None:
            return block_cube(seed=volume, cells=8, pieces=36)["image"] if volume == 7 else None

        def labels(self, volume: int) -> np.ndarray | None:
            return block_cube(seed=volume, cells=8, pieces=36)["labels"] if volume == 7 else None

    monkeypatch.setattr(augmented, "VolumeSource", Raw)
    recipe = QUICK.model_copy(update={"augmented": AugmentedCubes(forms=2)})
    summary, unchanged = train(folder, tmp_path / "r", recipe=recipe), train(folder, tmp_path / "plain").model
    card = forest(tmp_path / "r").card
    assert (summary.why, summary.cells, summary.volumes) == ("done", 15, 2)
    assert summary.notes == ("no changed forms of 1 of 2 cubes: their raw files are not at hand",)
    assert card.config["forms"] == 2
    assert (len(card.data), card.volumes) == (2, [7, 8])
    assert (tmp_path / "r" / "model.safetensors").read_bytes() != unchanged.read_bytes()
    assert len(forest(tmp_path / "r").head.familiarity.sketches) == 2
    assert not (tmp_path / "r" / "augmented").exists()


def test_a_run_that_failed_while_forms_were_made_takes_no_other_recipe(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def recipe(seed: int) -> GraphRecipe:
        return QUICK.model_copy(update={"augmented": AugmentedCubes(forms=1, seed=seed)})

    with monkeypatch.context() as patch:
        patch.setattr(training, "augment_volumes", full)
        with pytest.raises(SettingError, match="No space left on device; the same command resumes"):
            train(folder, tmp_path / "r", recipe=recipe(0))
    with pytest.raises(UsageError, match="augmented"):
        train(folder, tmp_path / "r", recipe=recipe(1))
    assert train(folder, tmp_path / "r", recipe=recipe(0)).why == "done"
