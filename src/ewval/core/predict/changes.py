"""Which saved answers rest on data that is no longer as it was, so that they are to be found anew."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from ewval.core.constants import CUBE_EDGE
from ewval.core.fetch.on_disk import LocalData
from ewval.core.folder import DataFolder, is_there
from ewval.core.tasks.table import TaskTable


class DataChanges:
    """What has changed in a data folder since tasks were answered.

    Args:
        folder: The data folder as it is now.
        tasks: Those that have answers.
        reads_graph: Whether the model decides by graphs, which stay at full resolution when raw files go.
    """

    def __init__(self, folder: DataFolder, tasks: Iterable[int], *, reads_graph: bool) -> None:
        self._folder, self._tasks, self._reads_graph = folder, tuple(tasks), reads_graph
        self._full: dict[int, bool] = {}

    def concern(self, document: Mapping[str, Any]) -> bool:
        """Whether an answer was given for another seed, consensus or volume, or for lack of one at full resolution.

        Where nothing is known of its task any more, the answer stands.
        """
        table, row = self._table, self._table.find(document["task"])
        if row is None:
            return False
        consensus = table.aggregate(row).tolist() if table.has_aggregate(row) else None
        now = (int(table.volume[row]), table.seed(row).tolist(), consensus)
        if now != (document["volume"], document["seed"], document["consensus"]):
            return True
        return document["resolution"] == "packed" and self._is_full(now[0])

    @cached_property
    def _table(self) -> TaskTable:
        return LocalData(self._folder, context=0).table(self._tasks)

    def _is_full(self, volume: int) -> bool:
        if volume not in self._full:
            self._full[volume] = (self._reads_graph and is_there(self._folder.graph(volume))) or self._has_raw(volume)
        return self._full[volume]

    def _has_raw(self, volume: int) -> bool:
        raw = self._folder.raw(volume)
        slices = (raw / "jpg" / f"{z}.jpg" for z in range(CUBE_EDGE if self._reads_graph else 0))
        return is_there(raw / "segmentation.lzma") and all(is_there(path) for path in slices)
