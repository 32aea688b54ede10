"""The tables of the ledger and the statements that fill them."""

FORMAT = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS cells(
    id INTEGER PRIMARY KEY, name TEXT, dataset INTEGER,
    state TEXT NOT NULL,              -- new | listed (its tasks are known) | done (and asked for) | absent | failed
    reason TEXT);
CREATE TABLE IF NOT EXISTS tasks(
    id INTEGER PRIMARY KEY, cell INTEGER, parent INTEGER, volume INTEGER, status INTEGER, path TEXT,
    seed BLOB, prior_weight REAL, weightsum REAL,
    zmin INTEGER, ymin INTEGER, xmin INTEGER, zmax INTEGER, ymax INTEGER, xmax INTEGER,
    aggregate_ids BLOB,               -- NULL: no aggregate
    aggregate_confidence BLOB,        -- little-endian float64, parallel to aggregate_ids
    aggregate_weight REAL, votes_total REAL,
    wanted INTEGER NOT NULL,          -- 1 asked for, 0 known for its place in another's lineage
    state TEXT NOT NULL, reason TEXT,
    context INTEGER);                 -- how many ancestors up its lineage is settled; NULL: not yet
CREATE TABLE IF NOT EXISTS volumes(
    id INTEGER PRIMARY KEY, path TEXT,
    zmin INTEGER, ymin INTEGER, xmin INTEGER, zmax INTEGER, ymax INTEGER, xmax INTEGER,
    wanted INTEGER NOT NULL,          -- 1 a task that was asked for lies in it, 0 only an ancestor does
    state TEXT NOT NULL, reason TEXT, bytes INTEGER,
    stamp INTEGER);                   -- modification time (ns) of its jpg folder when it was complete
CREATE INDEX IF NOT EXISTS tasks_ids ON tasks(id);  -- whether a task is known, without reading its wide row
CREATE INDEX IF NOT EXISTS tasks_absent ON tasks(id) WHERE state = 'absent';
CREATE INDEX IF NOT EXISTS tasks_settled ON tasks(wanted, context);
CREATE INDEX IF NOT EXISTS tasks_cell ON tasks(cell, wanted);
CREATE INDEX IF NOT EXISTS tasks_volume ON tasks(volume);
CREATE INDEX IF NOT EXISTS tasks_parent ON tasks(parent) WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS volumes_state ON volumes(state);
"""
NO_DATASET = 0
"""Stands for a cell that the API lists in none."""
NO_OVERLAP = "it does not overlap the task"
"""Why a volume counts as absent although the bucket has it; for another task that may change."""
BOX = ("zmin", "ymin", "xmin", "zmax", "ymax", "xmax")

SAVE_TASK = f"""
INSERT INTO tasks(id, cell, parent, volume, status, path, seed, prior_weight, weightsum, {", ".join(BOX)},
    aggregate_ids, aggregate_confidence, aggregate_weight, votes_total, wanted, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'done')
ON CONFLICT(id) DO UPDATE SET
    cell = coalesce(cell, excluded.cell), parent = excluded.parent, volume = excluded.volume,
    status = excluded.status, path = excluded.path, seed = excluded.seed, prior_weight = excluded.prior_weight,
    weightsum = excluded.weightsum, {", ".join(f"{name} = coalesce(excluded.{name}, {name})" for name in BOX)},
    aggregate_ids = excluded.aggregate_ids, aggregate_confidence = excluded.aggregate_confidence,
    aggregate_weight = excluded.aggregate_weight, votes_total = excluded.votes_total,
    wanted = max(wanted, excluded.wanted), state = 'done', reason = NULL
"""
WANT_VOLUME = f"""
INSERT INTO volumes(id, path, {", ".join(BOX)}, wanted, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'new')
ON CONFLICT(id) DO UPDATE SET
    path = excluded.path, {", ".join(f"{name} = coalesce({name}, excluded.{name})" for name in BOX)},
    state = CASE WHEN state = 'absent' AND (excluded.wanted > wanted OR reason = '{NO_OVERLAP}')
        THEN 'new' ELSE state END,
    wanted = max(wanted, excluded.wanted)
"""

TASK_COLUMNS = f"id, cell, parent, volume, status, path, seed, prior_weight, weightsum, {', '.join(BOX)}"
AGGREGATE_COLUMNS = "aggregate_ids, aggregate_confidence, aggregate_weight, votes_total"
