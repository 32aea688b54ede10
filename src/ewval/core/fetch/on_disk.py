"""What of the tasks that are asked for lies in the data folder, and what has to be fetched first."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from ewval.core.constants import CUBE_EDGE, DEFAULT_CONTEXT
from ewval.core.errors import MissingError
from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.folder import DataFolder, is_there
from ewval.core.ledger.ledger import Ledger
from ewval.core.tasks.table import NONE, TaskTable
from ewval.core.volumes.store import PackedStore

Known = tuple[TaskRecord, AggregateRecord | None]
SETTLED_WEIGHT = 1e6
"""Weight of answers that were thresholded before they came here: every listed segment counts."""


@dataclass(frozen=True)
class LocalData:
    """A data folder as it is when a question is asked; nothing in it is written.

    A task comes from the ledger, else from `task_vol.json` and `task_data.json`, so that folders which ewval did not
    fetch, those of the seed system among them, work as they are.

    Args:
        folder: The data folder; it need not exist.
        context: Ancestors that a sample needs.
    """

    folder: DataFolder
    context: int = DEFAULT_CONTEXT

    @cached_property
    def _files(self) -> TaskTable | None:
        return TaskTable.load(self.folder) if is_there(self.folder.task_vol) else None

    @cached_property
    def _store(self) -> PackedStore:
        return PackedStore(self.folder)

    def to_fetch(self, tasks: Iterable[int], *, again: bool = True) -> list[int]:
        """Return the tasks of which something is missing: themselves, an ancestor, or a volume.

        A task that stands in the task files alone is taken as it is: nothing says where its ancestors would lie.

        Args:
            tasks: What is asked for.
            again: Whether ancestors' volumes that could not be had before count as missing, to be tried once more.

        Raises:
            DamagedError: The ledger or the task files cannot be read.
        """
        with self._ledger() as ledger:
            return [task for task in tasks if not self._is_complete(ledger, task, again=again)]

    def volumes_to_pack(self, tasks: Iterable[int]) -> list[int]:
        """Return the volumes of `tasks` and their ancestors that are downloaded but not packed, ascending."""
        with self._ledger() as ledger:
            needed = {task.volume for wanted in tasks for task, _ in self._lineage(ledger, wanted)}
        return sorted(v for v in needed if not self._store.has(v) and self._has_raw(v))

    def table(self, tasks: Iterable[int]) -> TaskTable:
        """Return the table of `tasks` and their ancestors; tasks that are not known are left out."""
        with self._ledger() as ledger:
            known = {task.id: (task, answer) for wanted in tasks for task, answer in self._lineage(ledger, wanted)}
        return TaskTable.from_records(known.values())

    def tasks_of_cell(self, cell: int) -> list[int] | None:
        """Return the tasks of `cell`, ascending; None where its own list was never asked for."""
        with self._ledger() as ledger:
            if ledger is not None and ledger.cell_state(cell) == "done":
                query = "SELECT id FROM tasks WHERE cell = ? AND wanted = 1 ORDER BY id"
                return [int(row[0]) for row in ledger.connection.execute(query, (cell,))]
        if self._files is not None and (found := self._files.ids[self._files.cell == cell]).size:
            return [int(task) for task in found]
        return None

    def volumes_of(self, tasks: Iterable[int]) -> dict[int, int]:
        """Return the volume of each of `tasks` that is known."""
        with self._ledger() as ledger:
            volumes = {task: self._volume_of(ledger, task) for task in tasks}
        return {task: volume for task, volume in volumes.items() if volume is not None}

    def absences(self, tasks: Iterable[int]) -> dict[int, MissingError]:
        """Return why some of `tasks` cannot be answered, as the ledger remembers it.

        Those can of which the task and its own volume are at hand; of its ancestors, the others are done without.
        """
        with self._ledger() as ledger:
            volumes = {task: self._volume_of(ledger, task) for task in tasks}
            return {
                task: self._absence(ledger, task, volume)
                for task, volume in volumes.items()
                if volume is None or not self._has_volume(volume)
            }

    def _volume_of(self, ledger: Ledger | None, task: int) -> int | None:
        return next((record.volume for record, _ in self._lineage(ledger, task)), None)

    def _absence(self, ledger: Ledger | None, task: int, volume: int | None) -> MissingError:
        if ledger is None:
            return MissingError(f"task {task}")
        if volume is None:
            state = ledger.task_state(task)
            return _missing(f"task {task}", state[1] if state else None)
        row = ledger.volume(volume)
        reason = (row.reason or "") if row else ""
        return MissingError(f"volume {volume} of task {task}", hint=reason)

    def absence_of_cell(self, cell: int) -> MissingError:
        """Return why nothing is known of `cell`, as the ledger remembers it."""
        with self._ledger() as ledger:
            return _missing(f"cell {cell}", ledger.cell_reason(cell) if ledger is not None else None)

    @contextmanager
    def _ledger(self) -> Iterator[Ledger | None]:
        if not self.folder.ledger.is_file():
            yield None
            return
        with closing(Ledger.open_existing(self.folder.ledger)) as ledger:
            yield ledger

    def _is_complete(self, ledger: Ledger | None, task: int, *, again: bool) -> bool:
        lineage = [record.volume for record, _ in self._lineage(ledger, task)]
        if not lineage or not self._has_volume(lineage[0]):
            return False
        if ledger is None or ledger.task(task) is None:
            return True
        return _settled(ledger, task) >= self.context and all(
            self._has_volume(volume) or _never_comes(ledger, volume, again=again) for volume in lineage[1:]
        )

    def _lineage(self, ledger: Ledger | None, task: int) -> Iterator[Known]:
        """Yield the task and its ancestors as far as they are known and needed.

        One more than the context, since an ancestor that asks the same question as the task is passed over.
        """
        seen: set[int] = set()
        identity: int | None = task
        while identity is not None and identity not in seen and len(seen) < self.context + 2:
            known = self._from_ledger(ledger, identity) or self._from_files(identity)
            if known is None:
                return
            yield known
            seen.add(identity)
            identity = known[0].parent

    def _from_ledger(self, ledger: Ledger | None, task: int) -> Known | None:
        record = ledger.task(task) if ledger is not None else None
        if record is None or ledger is None:
            return None
        return replace(record, bounds=ledger.task_bounds(task)), ledger.aggregate(task)

    def _from_files(self, task: int) -> Known | None:
        table = self._files
        row = table.find(task) if table is not None else None
        if table is None or row is None:
            return None
        corner = table.origin(row)
        record = TaskRecord(
            id=task,
            cell=_known(int(table.cell[row])),
            parent=_known(int(table.parent[row])),
            volume=int(table.volume[row]),
            path="",
            seed=tuple(table.seed(row).tolist()),
            bounds=Bounds(corner, _opposite(corner)) if corner is not None else None,
        )
        answer = dict.fromkeys(table.aggregate(row).tolist(), 1.0)
        return record, AggregateRecord(answer, weight=SETTLED_WEIGHT) if table.has_aggregate(row) else None

    def _has_volume(self, volume: int) -> bool:
        return self._store.has(volume) or self._has_raw(volume)

    def _has_raw(self, volume: int) -> bool:
        raw = self.folder.raw(volume)
        names = ("segmentation.lzma", *(f"jpg/{z}.jpg" for z in range(CUBE_EDGE)))
        return raw.is_dir() and all(is_there(raw / name) for name in names)


def by_volume(tasks: Sequence[int], table: TaskTable) -> list[int]:
    """Return `tasks`, all in `table`, with those of one volume together; volumes stand as they are first met."""
    volumes = table.volume[table.rows(tasks)].tolist()
    place = {volume: index for index, volume in enumerate(dict.fromkeys(volumes))}
    return [task for task, _ in sorted(zip(tasks, volumes, strict=True), key=lambda pair: place[pair[1]])]


def _missing(what: str, reason: str | None) -> MissingError:
    return MissingError(what, hint=reason or "")


def _settled(ledger: Ledger, task: int) -> int:
    """How many ancestors up the lineage of a task is known; -1 where it was never looked at."""
    row = ledger.connection.execute("SELECT context FROM tasks WHERE id = ?", (task,)).fetchone()
    return -1 if row is None or row[0] is None else int(row[0])


def _never_comes(ledger: Ledger, volume: int, *, again: bool) -> bool:
    """Whether an ancestor's volume is done without: absent, never needed, or (unless `again`) failed before."""
    row = ledger.volume(volume)
    return row is None or row.state == "absent" or (row.state == "failed" and not again)


def _known(identity: int) -> int | None:
    return None if identity == NONE else identity


def _opposite(corner: tuple[int, int, int]) -> tuple[int, int, int]:
    z, y, x = corner
    return z + CUBE_EDGE, y + CUBE_EDGE, x + CUBE_EDGE
