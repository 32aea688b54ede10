"""What a fetch still has to do, by the ledger."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ewval.core.ledger.ledger import Ledger
from ewval.core.ledger.schema import NO_OVERLAP

ASKED = """
CREATE TEMP TABLE IF NOT EXISTS asked_tasks(id INTEGER PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS asked_cells(id INTEGER PRIMARY KEY);
DELETE FROM asked_tasks;
DELETE FROM asked_cells;
"""
IN_SCOPE = "(t.id IN (SELECT id FROM asked_tasks) OR t.cell IN (SELECT id FROM asked_cells))"
UNSETTLED = """
SELECT id FROM tasks WHERE wanted = 1 AND context IS NULL
UNION ALL SELECT id FROM tasks WHERE wanted = 1 AND context < :context
"""
"""Two ranges of one index: where all is done, nothing is looked at."""
OPEN = f"t.id IN ({UNSETTLED}) AND {IN_SCOPE}"
UNHEARD = "SELECT a.id FROM asked_tasks a WHERE NOT EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_ids WHERE id = a.id)"
NEEDED_BY = f"""
WITH RECURSIVE below(id, depth) AS (
    SELECT id, 0 FROM tasks WHERE volume = :volume
    UNION SELECT t.id, depth + 1 FROM below JOIN tasks t ON t.parent = below.id WHERE depth < :context)
SELECT 1 FROM below JOIN tasks t ON t.id = below.id WHERE t.wanted = 1 AND {IN_SCOPE} LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that was asked for and could not be had."""

    kind: str
    id: int
    reason: str


class Agenda:
    """The part of the ledger that one request is about.

    Args:
        ledger: Where it is looked up; its temporary tables are used.
        tasks: Tasks asked for by id.
        cells: Cells all of whose tasks are asked for.
        context: Ancestors wanted above each task.

    Attributes:
        unheard: How many of the tasks asked for by id the ledger had never heard of.
    """

    def __init__(self, ledger: Ledger, *, tasks: Iterable[int], cells: Iterable[int], context: int) -> None:
        self._ledger = ledger
        self._context = context
        ledger.connection.executescript(ASKED)
        with ledger.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO asked_tasks VALUES (?)", zip(tasks, strict=True))
            connection.executemany("INSERT OR IGNORE INTO asked_cells VALUES (?)", zip(cells, strict=True))
        self.unheard = self._count(f"SELECT count(*) FROM ({UNHEARD})")

    def ask(self) -> None:
        """Note in the ledger that the tasks are wanted; what was absent as an ancestor is worth another try now."""
        with self._ledger.transaction() as connection:
            if self.unheard > 0:
                connection.execute(f"INSERT INTO tasks(id, wanted, state) SELECT id, 1, 'new' FROM ({UNHEARD})")
            connection.execute(
                "UPDATE tasks SET wanted = 1, state = CASE state WHEN 'absent' THEN 'new' ELSE state END"
                " WHERE wanted = 0 AND id IN (SELECT id FROM asked_tasks)"
            )

    def usual_bytes(self) -> int:
        """Return the mean size of the volumes that are here, 0 where there are none."""
        return self._count("SELECT coalesce(avg(bytes), 0) FROM volumes WHERE state = 'done' AND bytes > 0")

    def open_cells(self) -> list[int]:
        """Return the cells whose tasks are not known to be asked for."""
        query = "SELECT id FROM asked_cells WHERE id NOT IN (SELECT id FROM cells WHERE state = 'done') ORDER BY id"
        return [row[0] for row in self._ledger.connection.execute(query)]

    def open_tasks(self) -> Sequence[int]:
        """Return the tasks that are not fetched or whose lineage is not settled, ascending."""
        query = f"SELECT t.id FROM tasks t WHERE {OPEN} ORDER BY t.id"
        return array("q", (row[0] for row in self._ledger.connection.execute(query, {"context": self._context})))

    def unknown_tasks(self) -> int:
        """Return how many of the open tasks have to be asked for from the API."""
        return self._count(f"SELECT count(*) FROM tasks t WHERE {OPEN} AND t.state != 'done'")

    def unknown_places(self) -> int:
        """Return in how many places the tasks lie of which only the bounds are known."""
        return self._count(
            f"SELECT count(*) FROM (SELECT DISTINCT zmin, ymin, xmin FROM tasks t WHERE {OPEN} AND volume IS NULL"
            " AND zmin IS NOT NULL AND (zmin, ymin, xmin) NOT IN"
            " (SELECT zmin, ymin, xmin FROM volumes WHERE zmin IS NOT NULL))"
        )

    def placeless_tasks(self) -> int:
        """Return how many open tasks may each lie in a volume of their own, for all that is known."""
        return self._count(f"SELECT count(*) FROM tasks t WHERE {OPEN} AND volume IS NULL AND zmin IS NULL")

    def fetched_count(self) -> int:
        """Return how many of the tasks asked for are there."""
        by_id = self._count("SELECT count(*) FROM asked_tasks")
        by_cell = self._count("SELECT count(*) FROM tasks WHERE wanted = 1 AND cell IN (SELECT id FROM asked_cells)")
        both = 0
        if by_id and by_cell:
            both = self._count(
                "SELECT count(*) FROM asked_tasks a JOIN tasks t ON t.id = a.id"
                " WHERE t.wanted = 1 AND t.cell IN (SELECT id FROM asked_cells)"
            )
        return by_id + by_cell - both - self.unknown_tasks()

    def fetched_tasks(self) -> Sequence[int]:
        """Return the tasks asked for that are there, ascending."""
        query = (
            "SELECT id FROM tasks WHERE state = 'done' AND wanted = 1 AND cell IN (SELECT id FROM asked_cells)"
            " UNION SELECT t.id FROM asked_tasks a JOIN tasks t ON t.id = a.id WHERE t.state = 'done' ORDER BY 1"
        )
        return array("q", (row[0] for row in self._ledger.connection.execute(query)))

    def wanted_volumes(self) -> int:
        """Return how many of the open volumes hold tasks that were asked for."""
        query = "SELECT id FROM volumes WHERE state IN ('new', 'failed') AND wanted = 1"
        listed = self._ledger.connection.execute(query).fetchall()
        return sum(self._is_needed(volume) for (volume,) in listed)

    def open_volumes(self) -> list[int]:
        """Return the volumes in question that are listed but not complete, ascending."""
        query = "SELECT id FROM volumes WHERE state IN ('new', 'failed') ORDER BY id"
        listed = [row[0] for row in self._ledger.connection.execute(query)]
        return [volume for volume in listed if self._is_needed(volume)]

    def done_volumes(self) -> list[int]:
        """Return the volumes in question that are complete, ascending."""
        query = "SELECT id FROM volumes WHERE state = 'done' ORDER BY id"
        listed = [row[0] for row in self._ledger.connection.execute(query)]
        return [volume for volume in listed if self._is_needed(volume)]

    def failures(self) -> Iterator[Failure]:
        """Yield what has failed of what was asked for: cells, tasks, then volumes."""
        for kind, query in (
            ("cell", "SELECT id, reason FROM cells WHERE state = 'failed' AND id IN (SELECT id FROM asked_cells)"),
            (
                "task",
                "SELECT id, reason FROM tasks t"
                f" WHERE wanted = 1 AND context IS NULL AND state = 'failed' AND {IN_SCOPE}",
            ),
            ("volume", "SELECT id, reason FROM volumes WHERE state = 'failed' AND wanted = 1"),
        ):
            for identity, reason in self._ledger.connection.execute(f"{query} ORDER BY id").fetchall():
                if kind != "volume" or self._is_needed(identity):
                    yield Failure(kind, identity, reason or "")

    def absent(self) -> int:
        """Return how many ancestors, and volumes of ancestors, are not there for good."""
        (tasks,) = self._ledger.connection.execute(
            "SELECT count(DISTINCT a.id) FROM tasks a JOIN tasks b ON b.parent = a.id"
            " LEFT JOIN tasks c ON c.parent = b.id"
            f" WHERE a.state = 'absent' AND EXISTS (SELECT 1 FROM tasks t WHERE t.id IN (b.id, c.id) AND {IN_SCOPE})"
        ).fetchone()
        query = "SELECT id FROM volumes WHERE state = 'absent' AND reason IS NOT ? ORDER BY id"
        volumes = [row[0] for row in self._ledger.connection.execute(query, (NO_OVERLAP,))]
        return int(tasks) + sum(self._is_needed(volume) for volume in volumes)

    def failed_tasks(self) -> dict[int, str]:
        """Return the tasks that failed, or whose volume did, each with the reason."""
        volumes = (
            "SELECT t.id, v.reason FROM volumes v JOIN tasks t ON t.volume = v.id"
            f" WHERE v.state = 'failed' AND v.wanted = 1 AND t.wanted = 1 AND {IN_SCOPE} ORDER BY t.id"
        )
        reasons = {row[0]: row[1] for row in self._ledger.connection.execute(volumes)}
        return reasons | {item.id: item.reason for item in self.failures() if item.kind == "task"}

    def _is_needed(self, volume: int) -> bool:
        parameters = {"volume": volume, "context": self._context}
        return self._ledger.connection.execute(NEEDED_BY, parameters).fetchone() is not None

    def _count(self, query: str) -> int:
        (count,) = self._ledger.connection.execute(query, {"context": self._context}).fetchone()
        return int(count)
