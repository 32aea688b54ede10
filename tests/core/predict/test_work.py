"""Tasks shared by workers: the answers of one process, in its order, and what fails fails alone."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from counted import Counted
from ewval.core.errors import DamagedError, WriteError
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger
from ewval.core.models.registry import load_ensemble
from ewval.core.predict.batch import Failed
from ewval.core.predict.folder import AnswerFolder
from ewval.core.predict.run import PredictRequest, PredictRun
from ewval.core.predict.work import Found, Work, WorkerModel
from ewval.core.segments.decision import Looks
from ewval.core.workers import Workers
from worlds import make_pair, write_world

TASKS = range(1, 13)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """Twelve tasks in four volumes, asked for in turns."""
    pairs = [make_pair(task, volume=100 + task % 4, seed=[1 + task % 3]) for task in TASKS]
    folder = write_world(tmp_path / "data", pairs)
    with closing(Ledger(folder.ledger)) as ledger:
        for task in TASKS:
            ledger.settle(task, context=2)
    return folder


def nothing_to_fetch(tasks: object, cells: object, context: object) -> None:
    raise AssertionError("nothing had to be fetched")


def run(
    folder: DataFolder, workers: Workers, *, out: Path | None = None, model: WorkerModel | None = None
) -> PredictRun:
    request = PredictRequest(
        folder, tuple(TASKS), load_ensemble((None,)), out=out, model=model or WorkerModel(), workers=workers
    )
    return PredictRun(request, fetch=nothing_to_fetch)


def lines(run: PredictRun) -> list[str]:
    return [
        f"{result.task} failed: {result.error}" if isinstance(result, Failed) else json.dumps(result.document)
        for result in run
    ]


def test_two_workers_answer_as_one_process_does(folder: DataFolder) -> None:
    alone = lines(run(folder, Workers(1)))
    assert [json.loads(line)["task"] for line in alone] == list(TASKS)
    assert lines(run(folder, Workers(2))) == alone


def test_a_dask_cluster_answers_as_one_process_does(folder: DataFolder) -> None:
    distributed = pytest.importorskip("distributed")
    alone = lines(run(folder, Workers(1)))
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        assert lines(run(folder, Workers(dask=cluster.scheduler_address))) == alone


def test_workers_leave_the_files_of_one_process(folder: DataFolder, tmp_path: Path) -> None:
    lines(run(folder, Workers(1), out=tmp_path / "one"))
    lines(run(folder, Workers(2), out=tmp_path / "two"))
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(names) > 4 * len(TASKS)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def saving_work(folder: DataFolder, out: Path) -> Work:
    out.mkdir()
    return Work(folder, load_ensemble((None,)), looks=Looks(), saved=AnswerFolder.of_other_process(out, pictures=False))


def test_all_results_are_saved_when_they_are_there(folder: DataFolder, tmp_path: Path) -> None:
    folder.segmentation(102).write_bytes(b"nonsense")
    results = saving_work(folder, tmp_path / "out").all_results(tuple(TASKS))
    assert [result.task for result in results if isinstance(result, Failed)] == [2, 6, 10]
    for found in (result for result in results if isinstance(result, Found)):
        assert json.loads((tmp_path / "out" / str(found.task) / "prediction.json").read_text()) == found.document


def test_what_a_killed_run_left_of_an_answer_goes(folder: DataFolder, tmp_path: Path) -> None:
    work = saving_work(folder, tmp_path / "out")
    (tmp_path / "out" / "5").mkdir()
    (tmp_path / "out" / "5" / ".prediction.json.abc.incomplete").write_bytes(b"half")
    work.all_results(tuple(TASKS))
    assert [path.name for path in (tmp_path / "out" / "5").iterdir()] == ["prediction.json"]


def test_an_answer_that_cannot_be_saved_among_all_is_an_error(folder: DataFolder, tmp_path: Path) -> None:
    work = saving_work(folder, tmp_path / "out")
    (tmp_path / "out" / "5").touch()
    with pytest.raises(WriteError, match=r"5"):
        work.all_results(tuple(TASKS))


def test_a_damaged_volume_costs_its_own_tasks_alone(folder: DataFolder) -> None:
    folder.segmentation(102).write_bytes(b"nonsense")
    shared = lines(run(folder, Workers(2)))
    assert shared == lines(run(folder, Workers(1)))
    assert [task for task, line in zip(TASKS, shared, strict=True) if "failed" in line] == [2, 6, 10]


def test_a_model_that_changes_meanwhile_is_refused(folder: DataFolder) -> None:
    with pytest.raises(DamagedError, match="changed while it was at work"):
        lines(run(folder, Workers(2), model=WorkerModel(("lwunet",))))


def test_without_a_way_to_the_model_one_process_does_everything(folder: DataFolder) -> None:
    request = PredictRequest(folder, (1, 2, 3, 4), load_ensemble((None,)), workers=Workers(2))
    assert [result.task for result in PredictRun(request, fetch=nothing_to_fetch)] == [1, 2, 3, 4]


def test_progress_counts_what_is_done_though_it_waits_for_its_turn(folder: DataFolder) -> None:
    progress = Counted()
    request = PredictRequest(folder, tuple(TASKS), load_ensemble((None,)))
    done = [progress.done for _ in PredictRun(request, fetch=nothing_to_fetch, progress=progress)]
    assert done[:2] == [1, 4]  # task 2 lies in the second volume, done when the three of the first are
    assert done[-1] == len(TASKS)


def test_answers_of_an_earlier_run_count_once(folder: DataFolder, tmp_path: Path) -> None:
    for tasks in (tuple(TASKS)[::5], tuple(TASKS)):
        progress = Counted()
        request = PredictRequest(folder, tasks, load_ensemble((None,)), out=tmp_path / "out", pictures=False)
        results = [result.task for result in PredictRun(request, fetch=nothing_to_fetch, progress=progress)]
        assert (results, progress.done, progress.total) == (list(tasks), len(tasks), len(tasks))


def test_what_waits_for_its_turn_keeps_no_voxel_map_unless_maps_are_asked_for(folder: DataFolder) -> None:
    def with_map(**options: bool) -> list[int]:
        request = PredictRequest(folder, tuple(TASKS), load_ensemble((None,)), **options)
        return [result.task for result in PredictRun(request, fetch=nothing_to_fetch) if result.answer is not None]

    assert with_map(maps=True) == list(TASKS)
    assert with_map() == [1, 2, 3, 4, 8, 12]  # the first of each volume, and the last volume: the others had to wait
