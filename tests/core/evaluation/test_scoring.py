"""A row says what one answer is worth."""

import numpy as np

from bars import LookingNetwork, ask, tasks_of
from ewval.core.evaluation.answerers import SeedAlone
from ewval.core.evaluation.gathered import Gathered
from ewval.core.evaluation.scoring import COLUMN, COLUMNS, named_segments, score_guess


def row_of(tasks, answerer, task, gathered=None):
    question, truth = tasks.question(task)
    [guess] = answerer.answer([question])
    return score_guess(guess, question, truth, gathered=gathered or Gathered())


def test_a_right_answer_has_a_full_row(bar_folder):
    tasks, gathered = tasks_of(bar_folder), Gathered()
    row = row_of(tasks, ask(LookingNetwork(), tasks), 4001, gathered)
    assert np.flatnonzero(np.isnan(row)).tolist() == [COLUMN["familiarity"]]  # a network cannot tell
    assert (row[COLUMN["volume_f1"]], row[COLUMN["iou"]], row[COLUMN["wrong_voxels"]]) == (1.0, 1.0, 0.0)
    assert row[COLUMN["true_voxels"]] == 3 * 16**3 * 4**3  # three bars, at full resolution
    assert row[COLUMN["true_segments"]] == row[COLUMN["chosen_segments"]] == 3
    assert gathered.voxels.total == gathered.darkness.sum() == 64**3 - 16**3
    assert gathered.segments.total == gathered.doubt.count.sum() == row[COLUMN["candidates"]]


def test_a_fault_in_the_trace_raises_its_priority(bar_folder):
    tasks = tasks_of(bar_folder)
    answerer = ask(LookingNetwork(), tasks)
    rows = [row_of(tasks, answerer, task) for task in (4001, 4002, 4003, 4005)]
    for row in rows:
        assert row[COLUMN["faulty_trace_priority"]] > row[COLUMN["trace_priority"]]


def test_who_only_says_yes_or_no_has_no_calibration(bar_folder):
    tasks, gathered = tasks_of(bar_folder), Gathered()
    row = row_of(tasks, SeedAlone(), 4001, gathered)
    unknown = {name for name, value in zip(COLUMNS, row, strict=True) if np.isnan(value)}
    assert {"loss", "nll", "ece", "review_priority", "candidates"} <= unknown
    assert not {"iou", "volume_f1", "wrong_voxels", "count_seedless_gt"} & unknown
    assert gathered.voxels.total == gathered.segments.total == 0


def test_the_boundary_is_part_of_no_answer(bar_folder):
    question, _ = tasks_of(bar_folder).question(4001)
    guess = named_segments(question, [0, 5, 6])
    assert guess.chosen == {6}
    assert guess.voxels.sum() == 2 * 16**3
