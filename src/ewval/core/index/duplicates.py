"""Tasks that ask the same under different ids."""

import numpy as np
import numpy.typing as npt

from ewval.core.index.assignment import scramble
from ewval.core.tasks.table import TaskTable


def question_keys(table: TaskTable) -> npt.NDArray[np.uint64]:
    """Return a key for each task, uint64 [n]: equal where volume and seed are equal.

    Of 1.7 million different questions two share a key by chance once in ten million tables.
    """
    mixed = scramble(scramble(table.volume.astype(np.uint64))[table.seeds.owners] ^ table.seeds.values)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])  # modulo 2^64
    begins, ends = table.seeds.offsets[:-1], table.seeds.offsets[1:]
    return np.asarray(scramble(table.volume.astype(np.uint64)) ^ (sums[ends] - sums[begins]))
