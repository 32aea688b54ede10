from hypothesis import given
from hypothesis import strategies as st

from ewval.core.index.duplicates import question_keys
from ewval.core.tasks.table import TaskTable
from worlds import make_pair

QUESTIONS = st.lists(st.tuples(st.integers(1, 3), st.sets(st.integers(0, 5), max_size=3)), min_size=1, max_size=12)


@given(QUESTIONS)
def test_keys_are_equal_where_volume_and_seed_are(questions: list[tuple[int, set[int]]]) -> None:
    pairs = [make_pair(i, volume=volume, seed=seed) for i, (volume, seed) in enumerate(questions, 1)]
    keys = question_keys(TaskTable.from_records(pairs)).tolist()
    for i, first in enumerate(questions):
        for j, second in enumerate(questions):
            assert (keys[i] == keys[j]) == (first == second)
