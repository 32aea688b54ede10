"""`python -m ewval.nn.train_head`: from data folders to a model file, going on where it stopped."""

import json
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.errors import MissingError
from ewval.core.folder import DataFolder
from ewval.core.forest import boosting
from ewval.core.forest import fit as fit_head
from ewval.core.forest.boosting import BoostingConfig
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import read_labelled, share_out
from ewval.core.forest.learn import LearnConfig
from ewval.core.forest.states import SamplingConfig
from ewval.core.forest.tune import Trial
from ewval.core.graph.graph import build_graph, save_graph
from ewval.core.index.split import Split, write_split
from ewval.core.models.registry import load_decider
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of
from ewval.nn.train_head import main
from worlds import make_pair, write_volume

TREES = BoostingConfig(trees=5, depth=2, rate=0.3, least_weight=0.5, ridge=1.0)


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


@pytest.fixture
def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forests that take no time."""
    sampling = SamplingConfig(growths=2, states=2)
    small = partial(LearnConfig, pairs=TREES, candidates=TREES, sampling=sampling, rounds=1, draws=1)
    monkeypatch.setattr("ewval.nn.train_head.LearnConfig", small)


def train(folder: Path, out: Path, *words: str) -> int:
    return main(["--data", str(folder), "--out", str(out), *words])


def test_a_model_is_written_whose_head_answers(folder: Path, tmp_path: Path, small_trees: None) -> None:
    out = tmp_path / "mine.safetensors"
    about = tmp_path / "about.json"
    about.write_text(json.dumps({"description": "For tests.", "training": {"command": "x"}}))
    assert train(folder, out, "--about", str(about)) == 0
    model = load_decider(out)
    assert (model.card.name, model.card.description) == ("mine", "For tests.")
    assert model.card.training["command"] == "x"
    assert 0 <= model.card.training["validation_score"] <= 1
    assert model.card.scores == {}
    settings = asdict(model.head.settings)
    assert model.card.config["settings"]["calibration"] == pytest.approx(settings["calibration"])
    assert model.card.volumes == [7, 8]
    assert 801 not in model.card.cells
    assert -801 not in model.card.cells
    assert len(model.card.cells) == 15
    assert model.card.maybe_threshold <= model.card.add_threshold
    volume = read_labelled(DataFolder(folder))[0]
    answer = model.head.score(volume.graph, volume.graph.ids[:1])
    assert len(answer.ids)
    assert not (tmp_path / "mine.parts").exists()


def test_an_interrupted_training_goes_on_to_the_same_weights(
    folder: Path, tmp_path: Path, small_trees: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = []

    def stop_at_fourth(*rows: object, **options: object) -> boosting.Forest:
        fits.append(1)
        if len(fits) == 4:
            raise KeyboardInterrupt
        return boosting.fit_forest(*rows, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("ewval.core.forest.learn.fit_forest", stop_at_fourth)
    out, whole = tmp_path / "mine.safetensors", tmp_path / "whole" / "mine.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(folder, out)
    assert not out.exists()
    broken = sorted((tmp_path / "mine.parts").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:100])
    assert train(folder, out) == 0
    assert len(fits) == 4 + 11 - 2  # eleven forests in all; two were kept, one was damaged, one was never done
    assert train(folder, whole) == 0
    assert out.read_bytes() == whole.read_bytes()


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


def test_what_makes_no_sense_is_one_line(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "mine.safetensors"
    wrong = tmp_path / "about.json"
    wrong.write_text('{"nme": 1}')
    assert train(folder, tmp_path / "mine.pt") == 1
    assert train(folder, out, "--sides", "train,tests") == 1
    assert train(folder, out, "--about", str(wrong)) == 1
    assert train(folder, out, "--about", str(tmp_path / "none.json")) == 1
    assert train(folder, out, "--sides", "test") == 1
    assert train(tmp_path / "nowhere", out) == 1
    texts = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    expected = ["does not end in .safetensors", "sides are train, val and test", "with keys among", "none.json"]
    expected += ["too few to learn from", "nowhere"]
    assert all(part in text for part, text in zip(expected, texts, strict=True))
    assert not out.exists()


def test_a_volume_without_its_files_as_downloaded_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    DataFolder(copy).graph(7).unlink()
    with pytest.raises(MissingError, match="raw"):
        read_labelled(DataFolder(copy))


def test_generated_cubes_teach_but_choose_no_settings(
    folder: Path, tmp_path: Path, small_trees: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown: list[str] = []

    def note(volume: LabelledVolume, *arguments: object, **named: object) -> list[Trial]:
        grown.append(volume.dataset)
        return try_cells(volume, *arguments, **named)

    try_cells: Any = fit_head._try
    monkeypatch.setattr(fit_head, "_try", note)
    shutil.copytree(folder, tmp_path / "generated")
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    assert train(folder, one) == 0
    assert train(folder, two, "--also", str(tmp_path / "generated")) == 0
    assert set(grown) == {folder.name}
    assert any(name.startswith("generated/") for name in load_decider(two).card.data)
    first, second = load_decider(one).head, load_decider(two).head
    assert not np.array_equal(first.pairs.leaf, second.pairs.leaf)
