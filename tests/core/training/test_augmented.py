"""Labelled cubes in changed forms: the same cells, found in other graphs."""

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.folder import DataFolder
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.graph.graph import build_graph
from ewval.core.training import augmented
from ewval.core.training.augmented import AugmentedCubes, augment_volumes, count_augmented

PLAN = AugmentedCubes(varied=4, magnified=2, weight=0.5)
CUBE = block_cube(edge=112, cells=6, pieces=60)


class Raw:
    """A source of the raw files of volume 7 alone."""

    reads = 0

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder

    def image(self, volume: int):
        Raw.reads += 1
        return CUBE["image"] if volume == 7 else None

    def labels(self, volume: int):
        return CUBE["labels"] if volume == 7 else None


@pytest.fixture
def volume(monkeypatch):
    monkeypatch.setattr(augmented, "VolumeSource", Raw)
    graph = build_graph(CUBE["image"], CUBE["labels"])
    owner = np.array([CUBE["truth"][CUBE["labels"] == i][0] for i in graph.ids])
    cells = {int(cell): np.flatnonzero(owner == cell) for cell in (1, 2, 3)}
    seeds = {cell: (rows[:1],) for cell, rows in cells.items()}
    return LabelledVolume("set/7", graph, cells, seeds, withheld=np.flatnonzero(owner == 4))


def augment(volumes, kept, plan=PLAN):
    return augment_volumes(DataFolder(kept.parent), volumes, plan, kept=kept)


def test_forms_hold_the_same_cells_by_their_ids(volume, tmp_path):
    forms = augment([volume], tmp_path / "kept")
    assert len(forms) == count_augmented([volume], PLAN) == 6
    assert len({form.name for form in forms}) == 6
    whole = {cell: set(volume.graph.ids[rows].tolist()) for cell, rows in volume.cells.items()}
    for form in forms:
        assert (form.kind, form.id, form.dataset, form.validates) == ("augmented", 7, "set", False)
        for cell, rows in form.cells.items():
            assert set(form.graph.ids[rows].tolist()) <= whole[cell]
            assert len(rows) >= 2
            assert all(len(seed) and np.isin(seed, rows).all() for seed in form.seeds[cell])
        assert form.cells.keys() == form.seeds.keys()
    varied = [form for form in forms if "/varied-" in form.name]
    assert sum(form.weight for form in varied) == pytest.approx(0.5)
    assert varied[0].cells.keys() == volume.cells.keys()
    assert not np.array_equal(varied[0].graph.evidence, volume.graph.evidence)


def test_what_was_withheld_stays_so_and_cells_cut_off_join_it(volume, tmp_path):
    foreign = set(volume.graph.ids[volume.withheld].tolist())
    for form in augment([volume], tmp_path / "kept"):
        withheld = set(form.graph.ids[form.withheld].tolist())
        assert foreign & set(form.graph.ids.tolist()) <= withheld
        for cell in volume.cells.keys() - form.cells.keys():
            assert set(volume.graph.ids[volume.cells[cell]].tolist()) & set(form.graph.ids.tolist()) <= withheld


def test_graphs_are_measured_once_and_a_damaged_one_again(volume, tmp_path):
    first = augment([volume], tmp_path / "kept")
    before, reads = {p.name: p.read_bytes() for p in (tmp_path / "kept").iterdir()}, Raw.reads
    augment([volume], tmp_path / "kept")
    assert Raw.reads == reads
    cut = min((tmp_path / "kept").iterdir())
    cut.write_bytes(cut.read_bytes()[:50])
    again = augment([volume], tmp_path / "kept")
    assert Raw.reads == reads + 1
    assert {p.name: p.read_bytes() for p in (tmp_path / "kept").iterdir()} == before
    assert [form.name for form in again] == [form.name for form in first]


def test_without_raw_files_there_are_no_forms(volume, tmp_path):
    gone = LabelledVolume("set/8", volume.stored, volume.cells, volume.seeds)
    assert augment([gone], tmp_path / "kept") == []


def test_other_seeds_draw_other_forms(volume, tmp_path):
    one = augment([volume], tmp_path / "one", AugmentedCubes(varied=1, magnified=0))
    other = augment([volume], tmp_path / "other", AugmentedCubes(varied=1, magnified=0, seed=1))
    assert not np.array_equal(one[0].graph.evidence, other[0].graph.evidence)


@pytest.mark.parametrize("words", [{"varied": -1}, {"magnified": -1}, {"weight": 0.0}])
def test_plans_that_make_no_sense_are_refused(words):
    with pytest.raises(ValueError, match="at least 0, weight above 0"):
        AugmentedCubes(**words)
