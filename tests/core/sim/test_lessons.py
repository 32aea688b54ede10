from pathlib import Path

import numpy as np
import pytest

from ewval.core.errors import UsageError
from ewval.core.folder import DataFolder
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.graph.graph import build_graph
from ewval.core.index.split import read_split
from ewval.core.sim.exercises import Exercise, draw_exercises
from ewval.core.sim.lessons import LessonPlan, write_lessons
from ewval.core.sim.make_lessons import main
from ewval.core.sim.sample import Cube, generate_cube
from ewval.core.sim.tissue.style import Style
from ewval.core.tasks.samples import SampleBuilder
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.downsample import downsample_labels
from ewval.core.volumes.raw import read_image, read_segmentation
from ewval.core.volumes.store import PackedStore
from ewval.core.workers import Workers

PLAN = LessonPlan(cubes=2, tasks=20, seed=2, magnify=4)


@pytest.fixture(scope="module")
def cube() -> Cube:
    return generate_cube(5, edge=80, style=Style())


@pytest.fixture(scope="module")
def exercises(cube: Cube) -> tuple[Exercise, ...]:
    return draw_exercises(np.random.default_rng(0), cube, count=200)


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    folder = DataFolder(tmp_path_factory.mktemp("lessons"))
    write_lessons(folder, PLAN, workers=Workers(1))
    return folder


def test_a_cube_yields_many_different_tasks(exercises: tuple[Exercise, ...]) -> None:
    assert len(set(exercises)) == len(exercises) == 200
    assert len({exercise.neurite for exercise in exercises}) > 8
    assert all(set(exercise.seed) <= set(exercise.answer) for exercise in exercises)
    assert 0.75 < np.mean([exercise.seed != exercise.answer for exercise in exercises]) < 1
    assert len({len(exercise.seed) for exercise in exercises}) > 5


def test_an_answer_is_what_lies_mostly_in_the_neurite(cube: Cube, exercises: tuple[Exercise, ...]) -> None:
    for exercise in exercises[:20]:
        inside = cube.truth[np.isin(cube.labels, exercise.answer)] == exercise.neurite
        assert inside.mean() > 0.6


def test_an_answer_hangs_together_with_its_seed(cube: Cube, exercises: tuple[Exercise, ...]) -> None:
    graph = build_graph(cube.image, cube.labels)
    for exercise in exercises[:60]:
        seed, answer = (graph.rows(np.array(ids)) for ids in (exercise.seed, exercise.answer))
        to_add = LabelledVolume("lesson/1", graph, {1: answer}, {}).to_add(1, seed)
        assert np.array_equal(to_add, np.setdiff1d(answer, seed))


def test_the_same_generator_draws_the_same_tasks(cube: Cube, exercises: tuple[Exercise, ...]) -> None:
    assert draw_exercises(np.random.default_rng(0), cube, count=200) == exercises


def test_a_folder_of_lessons_is_read_like_any_data_folder(lessons: DataFolder) -> None:
    table, split = TaskTable.load(lessons), read_split(lessons)
    assert len(table) == len(split.train) + len(split.val) > 20
    assert set(table.volume[table.rows(split.val)]) == {2}
    assert set(table.volume[table.rows(split.train)]) == {1}
    sample = SampleBuilder(table, PackedStore(lessons)).build(int(split.val[0]))
    assert sample.target is not None
    assert sample.seed.any()
    assert (sample.target | ~sample.seed).all()
    assert not sample.context.any()
    assert sample.image.std() > 10


def test_all_tasks_of_a_neurite_belong_to_one_cell(lessons: DataFolder) -> None:
    table = TaskTable.load(lessons)
    answers = {row: frozenset(table.aggregate(row).tolist()) for row in range(len(table))}
    for row, answer in answers.items():
        same = [
            other for other, found in answers.items() if found == answer and table.volume[other] == table.volume[row]
        ]
        assert len({int(table.cell[other]) for other in same}) == 1
    assert (table.cell > 0).all()


def test_raw_volumes_come_with_it_where_asked(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    write_lessons(folder, LessonPlan(cubes=1, tasks=5, raw=True), workers=Workers(1))
    labels = read_segmentation(folder.raw(1))
    assert (PackedStore(folder).segmentation(1) == downsample_labels(labels, factor=4)).all()
    assert read_image(folder.raw(1)).std() > 10


def test_the_number_of_workers_changes_nothing(lessons: DataFolder, tmp_path: Path) -> None:
    other = DataFolder(tmp_path / "other")
    write_lessons(other, PLAN, workers=Workers(2))
    files = (path for path in other.root.rglob("*.*") if path.suffix in (".json", ".lzma"))
    names = sorted(str(path.relative_to(other.root)) for path in files)
    assert len(names) == 7
    for name in names:
        assert (lessons.root / name).read_bytes() == (other.root / name).read_bytes()


def test_a_folder_that_holds_tasks_is_left_alone(lessons: DataFolder) -> None:
    before = lessons.task_vol.read_bytes()
    with pytest.raises(UsageError, match="holds tasks already; choose an empty folder"):
        write_lessons(lessons, PLAN)
    assert lessons.task_vol.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cubes": 0}, "0 cubes with 64 tasks"),
        ({"cubes": 1, "tasks": 0}, "with 0 tasks"),
        ({"cubes": 1, "magnify": 3}, "3 is not"),
        ({"cubes": 1, "magnify": 2, "raw": True}, "have no raw volumes"),
    ],
)
def test_an_impossible_plan_is_refused(options: dict[str, int], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        LessonPlan(**options)


def test_the_command_makes_the_same_folder_and_leaves_a_full_one_alone(
    lessons: DataFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = [str(tmp_path), "--cubes", "2", "--tasks", "20", "--seed", "2", "--magnify", "4", "--workers", "1"]
    assert main(words) == 0
    for volume in (1, 2):
        assert DataFolder(tmp_path).segmentation(volume).read_bytes() == lessons.segmentation(volume).read_bytes()
    assert DataFolder(tmp_path).task_data.read_bytes() == lessons.task_data.read_bytes()
    assert main(words) == 1
    assert "holds tasks already; choose an empty folder" in caplog.text
