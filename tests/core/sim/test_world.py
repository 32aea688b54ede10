import json
import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ewval.core.sim.world import TINY, World, WorldSpec, generate_world


@pytest.fixture
def world(generated_world: World) -> World:
    return generated_world


def test_the_overlap_shows_the_same_tissue(world: World) -> None:
    left, right = world.volumes
    boxes = left.shared_with(right)
    assert boxes is not None
    assert left.labels[boxes[0]].shape == (256, 256, 32)
    owners_left, owners_right = left.owners[left.labels[boxes[0]]], right.owners[right.labels[boxes[1]]]
    both = (owners_left > 0) & (owners_right > 0)
    assert (owners_left == owners_right)[both].mean() > 0.9


def test_tasks_form_a_tree_through_the_overlaps(world: World) -> None:
    tasks = {task.id: task for task in world.tasks}
    children = [task for task in world.tasks if task.parent is not None]
    assert len(children) >= 6
    for child in children:
        parent = tasks[child.parent or 0]
        assert parent.id < child.id
        assert (parent.cell, parent.depth + 1) == (child.cell, child.depth)
        assert parent.volume.is_neighbour(child.volume)
        boxes = parent.volume.shared_with(child.volume)
        assert boxes is not None
        covered = np.isin(parent.volume.labels[boxes[0]], parent.answer)
        given = np.isin(child.volume.labels[boxes[1]], child.seed)
        assert covered[given].mean() > 0.6


def test_an_answer_is_a_connected_part_of_one_neurite_and_holds_the_seed(world: World) -> None:
    for cell in world.cells:
        for task in cell.tasks:
            assert set(task.seed) <= set(task.answer)
            assert set(task.volume.owners[list(task.answer)]) == {cell.neurite}
    assert sum(task.answer != task.seed for task in world.tasks) > len(world.tasks) / 2


def test_no_part_of_a_volume_is_asked_for_twice_with_the_same_seed(world: World) -> None:
    asked = [(task.cell, task.volume.id, task.seed) for task in world.tasks]
    assert len(set(asked)) == len(asked)


def test_the_same_seed_gives_the_same_world() -> None:
    first, again, other = (generate_world(replace(TINY, volumes=(1, 1, 1), magnify=4, seed=seed)) for seed in (5, 5, 6))
    assert (again.image == first.image).all()
    assert (again.volumes[0].labels == first.volumes[0].labels).all()
    assert again.tasks[1].answer == first.tasks[1].answer
    assert (other.image != first.image).any()


def reply(folder: Path, path: str) -> Any:
    return json.loads((folder / "api" / "1.0" / path).read_text())


def test_a_written_world_has_the_form_of_the_wire(tiny_world: Path) -> None:
    cells = reply(tiny_world, "cell.json")["1"]
    tasks = [task["id"] for cell in cells for task in reply(tiny_world, f"cell/{cell['id']}/tasks.json")["tasks"]]
    assert len(cells) == 12
    assert len(tasks) >= 18
    for number in tasks:
        task, aggregate = reply(tiny_world, f"task/{number}.json"), reply(tiny_world, f"task/{number}/aggregate.json")
        folder = tiny_world / "volumes" / task["full_path"].removeprefix("{BUCKET}/").rstrip("/")
        assert folder.is_dir()
        assert task["data"]["segmentation"]["id"] == int(folder.name.rpartition("-")[2])
        assert all(0 < share <= 1 for share in (aggregate["segments"] or {}).values())


def test_a_written_volume_decodes_to_the_world_it_came_from(tiny_world: Path, world: World) -> None:
    volume = world.volumes[1]
    folder = tiny_world / "volumes" / volume.name
    labels = np.frombuffer(lzma.decompress((folder / "segmentation.lzma").read_bytes()), "<u2").reshape((256,) * 3)
    assert (labels == volume.labels).all()
    assert (np.fromfile(folder / "segmentation.size", "<u4") == np.bincount(labels.reshape(-1))).all()
    boxes = np.fromfile(folder / "segmentation.bbox", "<u2").reshape(-1, 6)
    z, y, x = np.nonzero(labels == 5)
    assert boxes[5].tolist() == [x.min(), y.min(), z.min(), x.max(), y.max(), z.max()]
    section = np.asarray(Image.open(folder / "jpg" / "100.jpg")).astype(int)
    assert section.shape == (256, 256)
    assert abs(section - world.image[100, :256, 224:480].astype(int)).mean() < 12
    offset = json.loads((folder / "metadata.json").read_text())["physical_offset_min"]
    assert offset == [466 + 224, 498, 434]


def test_people_find_most_of_the_answer_and_sometimes_more(tiny_world: Path, world: World) -> None:
    found, foreign = [], 0
    for task in world.tasks:
        chosen = reply(tiny_world, f"task/{task.id}/aggregate.json")["segments"] or {}
        if chosen:
            found.append(np.mean([chosen.get(str(segment), 0) for segment in task.answer]))
            foreign += len(set(map(int, chosen)) - set(task.answer))
    assert 0.85 < np.mean(found) <= 1
    assert foreign > 0


def test_the_registry_holds_rows_that_must_be_left_out(tiny_world: Path) -> None:
    rows = (tiny_world / "cells.csv").read_text().splitlines()
    assert rows[0] == "Cell ID,Name,Status,Size,Tags,Notes"
    assert sum(row.split(",")[1].startswith("sim cell") for row in rows) == 12
    assert {"growing 1", "empty 1", "Mystic 1", "SN-1", "nMLF 1"} <= {row.split(",")[1] for row in rows}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"volumes": (1, 0, 1)}, r"a world of \(1, 0, 1\) volumes and 40 cells is empty"),
        ({"cells": 0}, "and 0 cells is empty"),
        ({"magnify": 3}, "magnify 3 is not 1, 2 or 4"),
    ],
)
def test_an_impossible_world_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        WorldSpec(**options)
