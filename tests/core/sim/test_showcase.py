import json
from pathlib import Path

import pytest

from ewval.core.errors import MissingError
from ewval.core.sim.showcase import Chosen, picture, read_truth, telling_task
from ewval.core.sim.world import World


def test_the_task_with_most_to_see_is_chosen(tmp_path: Path) -> None:
    truth = {
        "3": {"answer": [1, 2], "voxels": 10, "to_add": 900},
        "4": {"answer": [1, 2, 5], "voxels": 500, "to_add": 600},
        "5": {"answer": [7], "voxels": 5000, "to_add": 0},
        "6": {"answer": list(range(1, 60)), "voxels": 9000, "to_add": 9000},
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    assert telling_task(tmp_path, [3, 4, 5, 6, 7]) == 4
    assert telling_task(tmp_path, [3, 5]) == 3
    with pytest.raises(MissingError, match="a task of the generated world"):
        telling_task(tmp_path, [7])


@pytest.mark.parametrize("content", [None, "{", '{"3": {}}', "[1]"])
def test_a_world_without_its_truth_is_missing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "truth.json").write_text(content)
    with pytest.raises(MissingError, match=r"the truth of the generated world .* not found; delete it"):
        read_truth(tmp_path)


def test_the_truth_of_a_written_world_is_that_of_its_tasks(tiny_world: Path, generated_world: World) -> None:
    truth = read_truth(tiny_world)
    assert {task.id: task.answer for task in generated_world.tasks} == {i: said.answer for i, said in truth.items()}
    task = generated_world.tasks[2]
    assert truth[task.id].voxels == task.volume.sizes[list(task.seed)].sum()


def test_the_picture_has_four_columns_and_three_rows(tiny_world: Path, generated_world: World) -> None:
    task = max(generated_world.tasks, key=lambda task: read_truth(tiny_world)[task.id].worth)
    drawn = picture(
        tiny_world / "volumes" / task.volume.name, Chosen(task.seed, task.answer, task.answer[:3], task.answer[3:])
    )
    assert drawn.width > 4 * 256
    assert drawn.height > 3 * 256
    colours = {colour for _, colour in drawn.getcolors(maxcolors=2**20) or []}
    assert any(blue > red + 60 for red, _, blue in colours)  # the seed is drawn in blue
