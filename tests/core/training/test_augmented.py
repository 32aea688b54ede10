"""Labelled cubes in changed forms: the same cells, found in other graphs."""

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.folder import DataFolder
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.graph.graph import build_graph
from ewval.core.training import augmented
from ewval.core.training.augmented import AugmentedCubes, augment_volumes

PLAN = AugmentedCubes(forms=4, weight=0.5)
CUBE = block_cube(cells=6, pieces=40)


class Raw:
    """A source of the raw files of volume 7 alone."""

    reads = 0

    def __init__(self, folder: DataFolder) -> None: ...

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


def ids_of(volume, rows):
    return set(volume.graph.ids[rows].tolist())


def test_forms_hold_the_same_cells_by_their_ids(volume, tmp_path):
    forms = augment([volume], tmp_path / "kept")
    assert len({form.name for form in forms}) == 4
    assert sum(form.weight for form in forms) == pytest.approx(0.5)
    for form in forms:
        assert (form.kind, form.id, form.dataset, form.validates) == ("augmented", 7, "set", False)
        assert not np.array_equal(form.graph.evidence, volume.graph.evidence)
        there = set(form.graph.ids.tolist())
        assert ids_of(form, form.withheld) == ids_of(volume, volume.withheld) & there
        for cell, rows in volume.cells.items():
            assert ids_of(form, form.cells[cell]) == ids_of(volume, rows) & there
            assert [ids_of(form, seed) for seed in form.seeds[cell]] == [ids_of(volume, rows[:1])]


def test_a_segment_that_is_lost_is_in_no_cell_and_no_seed(volume, tmp_path, monkeypatch):
    lost = volume.graph.ids[volume.cells[1][0]]
    monkeypatch.setattr(augmented, "open_gaps", lambda labels: np.where(labels == lost, 0, labels).astype(labels.dtype))
    forms = augment([volume], tmp_path / "kept")
    assert lost not in forms[3].graph.ids
    assert ids_of(forms[3], forms[3].cells[1]) == ids_of(volume, volume.cells[1][1:])
    assert forms[3].seeds[1] == ()
    assert len(forms[2].seeds[1]) == 1


def test_graphs_are_measured_once_and_a_damaged_one_again(volume, tmp_path):
    augment([volume], tmp_path / "kept")
    before, reads = {p.name: p.read_bytes() for p in (tmp_path / "kept").iterdir()}, Raw.reads
    augment([volume], tmp_path / "kept")
    assert Raw.reads == reads
    cut = min((tmp_path / "kept").iterdir())
    cut.write_bytes(cut.read_bytes()[:50])
    augment([volume], tmp_path / "kept")
    assert Raw.reads == reads + 1
    assert {p.name: p.read_bytes() for p in (tmp_path / "kept").iterdir()} == before


def test_without_raw_files_there_are_no_forms(volume, tmp_path):
    gone = LabelledVolume("set/8", volume.stored, volume.cells, volume.seeds)
    assert augment([gone], tmp_path / "kept") == []


def test_other_seeds_draw_other_forms(volume, tmp_path):
    one = augment([volume], tmp_path / "one", AugmentedCubes(forms=1))
    other = augment([volume], tmp_path / "other", AugmentedCubes(forms=1, seed=1))
    assert not np.array_equal(one[0].graph.evidence, other[0].graph.evidence)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"forms": 0}, "forms must be at least 1, not 0"),
        ({"weight": 0.0}, "weight must be above 0, not 0"),
        ({"weight": float("inf")}, "weight must be a finite number, not inf"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
    ],
)
def test_plans_that_make_no_sense_are_refused(words, said):
    with pytest.raises(ValueError, match=said):
        AugmentedCubes(**words)
