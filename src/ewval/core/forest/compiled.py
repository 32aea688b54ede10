"""Growth in C: the same candidates, numbers and log-odds as `candidates` and `boosting` give, bit for bit.

Of a candidate that was judged before, only those trees are asked again of which a decision turns out otherwise now.
"""

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.boosting import Forest
from ewval.core.forest.candidates import CLUSTER_BOUNDS, Surroundings
from ewval.core.kernels.forest import ABREAST, ForestStructure
from ewval.core.kernels.library import address, kernels

__all__ = ["CompiledObject"]

LOGS, OF_OBJECT = 11, 3
"""Rows of the numbers whose logarithm numpy takes, and how many more belong to the object alone."""
SUMS = 14


def _fields() -> Iterator[tuple[str, Any]]:
    """Yield the fields of `Growth` in growth.c, one for one."""
    whole, place, three = ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p * len(CLUSTER_BOUNDS)
    yield from ((name, whole) for name in ("segments", "contacts"))
    yield from ((name, place) for name in ("here", "there", "first", "own", "area", "root", "odds", "chance"))
    yield from (("pooled_count", whole), ("pooled", place))
    yield from ((name, place) for name in ("voxels", "log_voxels", "touching", "likely", "sides"))
    yield from ((name, whole) for name in ("own_count", "mean_column", "spread_column"))
    yield from (("numbers", place), ("cluster", three))
    yield from ((name, three) for name in ("cluster_voxels", "cluster_log_voxels", "cluster_touching"))
    yield from ((name, place) for name in ("inside", "candidate", "border", "beyond"))
    yield ("cluster_inside", three)
    yield from ((name, place) for name in ("is_known", "is_stale", "averaged"))
    yield from (("object_size", ctypes.c_double), ("seed_voxels", ctypes.c_double), ("object_count", whole))
    yield from ((name, place) for name in ("members", "products", "gathered"))
    yield from (("count", whole), ("rows", place), ("place", place), ("sums", ctypes.c_void_p * SUMS))
    yield from ((name, three) for name in ("cluster_area", "cluster_odds"))
    yield from ((name, place) for name in ("order", "order_scratch"))
    yield from (("means", ctypes.c_double * 2), ("logs", place), ("scores", place))
    yield from (("forest", ForestStructure), ("columns", whole))
    yield from ((name, place) for name in ("column_first", "column_bound", "column_tree", "known", "passed", "leaves"))
    yield from ((name, place) for name in ("asked_in", "to_ask", "to_sum", "to_meet"))
    yield from (("visit", whole), ("row", place), ("block", place))


class _Growth(ctypes.Structure):
    _fields_ = tuple(_fields())


class _Arena:
    """The memory in which objects grow in one graph by one forest, one after the other."""

    def __init__(self, around: Surroundings, forest: Forest) -> None:
        self._kept: list[NDArray[Any]] = []  # what C holds the address of
        self.growth = _Growth()
        self._lay_out_graph(around)
        self._lay_out_clusters(around)
        self._lay_out_forest(forest)
        self._make_room(around, forest)

    def _set(self, name: str, values: NDArray[Any], dtype: str) -> NDArray[Any]:
        array = np.ascontiguousarray(values, dtype=dtype)
        self._kept.append(array)
        setattr(self.growth, name, address(array))
        return array

    def _set_each(self, name: str, values: list[NDArray[Any]], dtype: str) -> None:
        arrays = [np.ascontiguousarray(v, dtype=dtype) for v in values]
        self._kept += arrays
        field = getattr(self.growth, name)
        for i, array in enumerate(arrays):
            field[i] = address(array)

    def _lay_out_graph(self, around: Surroundings) -> None:
        graph, count = around.graph, len(around.voxels)
        self.growth.segments, self.growth.contacts = count, len(graph.pairs)
        self._set("here", around.here, "i4")
        self._set("there", around.there, "i4")
        self._set("own", np.argsort(around.here, kind="stable"), "i4")
        ends = np.concatenate([[0], np.bincount(around.here, minlength=count).cumsum()])
        self._set("first", ends, "i8")
        self._most_contacts = int(np.diff(ends).max(initial=0))
        self._set("root", np.sqrt(around.area), "f8")
        for name in ("area", "odds", "chance", "voxels", "touching", "likely"):
            self._set(name, getattr(around, name), "f8")
        self._set("log_voxels", np.log(around.voxels), "f8")
        self._set("sides", graph.sides, "u1")
        self.growth.pooled_count = around.pooled.shape[1]
        self._set("pooled", around.pooled[: len(graph.pairs)], "f4")
        self.growth.own_count = graph.segments.shape[1]
        self.growth.mean_column, self.growth.spread_column = map(graph.segment_names.index, ("mean", "spread"))
        self._set("numbers", graph.segments, "f4")

    def _lay_out_clusters(self, around: Surroundings) -> None:
        clusters = around.clusters
        self._set_each("cluster", [c.of for c in clusters], "i4")
        self._set_each("cluster_voxels", [c.voxels for c in clusters], "f8")
        with np.errstate(divide="ignore"):  # what is no cluster's number holds no voxel
            self._set_each("cluster_log_voxels", [np.log(c.voxels) for c in clusters], "f8")
        self._set_each("cluster_touching", [c.touching for c in clusters], "f8")

    def _lay_out_forest(self, forest: Forest) -> None:
        """Sort the forest's bounds by column, each with its tree."""
        column, bound = forest.column.reshape(-1), forest.bound.reshape(-1)
        tree = np.repeat(np.arange(len(forest.column)), forest.column.shape[1])
        order = np.lexsort((bound, column))
        self._set("column_bound", bound[order], "f4")
        self._set("column_tree", tree[order], "i4")
        self._held = forest.held()
        library = kernels()
        if self._held is None or library is None:
            raise ValueError("the kernels were not built")
        self.library = library
        self.growth.forest = self._held.structure

    def _make_room(self, around: Surroundings, forest: Forest) -> None:
        growth, count, contacts = self.growth, len(around.voxels), len(around.here)
        trees, columns = len(forest.column), around.columns
        if forest.column.max() >= columns:
            raise IndexError(f"the forest asks about number {forest.column.max()} of {columns}")
        growth.columns = columns
        starts = np.searchsorted(np.sort(forest.column.reshape(-1)), np.arange(columns + 1))
        self._set("column_first", starts, "i4")
        for name in ("inside", "candidate"):
            self._set(name, np.zeros(count // 64 + 1, np.uint64), "u8")
        for name in ("border", "beyond"):
            self._set(name, np.zeros(contacts // 64 + 1, np.uint64), "u8")
        for name in ("is_known", "is_stale"):
            self._set(name, np.zeros(count, np.uint8), "u1")
        for name in ("cluster_inside", "cluster_area", "cluster_odds"):
            self._set_each(name, [np.zeros(count) for _ in around.clusters], "f8")
        self._set_each("sums", [np.zeros(count) for _ in range(SUMS)], "f8")
        for name in ("place", "order", "order_scratch"):
            self._set(name, np.zeros(count, np.int32), "i4")
        self._set("averaged", np.empty((count, growth.pooled_count), np.float32), "f4")
        self._set("gathered", np.empty((self._most_contacts, growth.pooled_count), np.float32), "f4")
        for name in ("products", "scores"):
            self._set(name, np.zeros(count), "f8")
        for name in ("members", "to_sum", "to_meet"):
            self._set(name, np.zeros(count, np.int64), "i8")
        self._set("known", np.empty((count, columns), np.float32), "f4")
        self._set("passed", np.empty((count, columns), np.int32), "i4")
        self._set("leaves", np.empty((count, trees), np.float32), "f4")
        self._set("asked_in", np.zeros(trees, np.int64), "i8")
        self._set("to_ask", np.zeros(trees, np.int32), "i4")
        self._set("row", np.empty(columns, np.float32), "f4")
        self._set("block", np.empty((columns, ABREAST), np.float32), "f4")
        self.rows = self._set("rows", np.zeros(count, np.int64), "i8")
        self.logs = self._set("logs", np.zeros(LOGS * count + OF_OBJECT), "f8")


class CompiledObject:
    """An object that grows from the segments `seed`, its candidates judged by a forest.

    Only one grows in a graph at a time: the next one takes its memory.
    """

    def __init__(self, around: Surroundings, seed: NDArray[np.int64], *, forest: Forest) -> None:
        self._arena = _arena(around, forest)
        self._library = self._arena.library
        self._growth = ctypes.byref(self._arena.growth)
        seed = np.ascontiguousarray(seed, dtype=np.int64)
        self._library.growth_begin(self._growth, ctypes.c_void_p(address(seed)), ctypes.c_int64(len(seed)))

    def candidates(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the segments that touch the object, ascending, and their log-odds of belonging to it."""
        count = self._describe()
        odds = np.empty(count)
        if count:
            self._library.growth_judge(self._growth, ctypes.c_void_p(address(odds)))
        return self._arena.rows[:count].copy(), odds

    def described(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the candidates and what describes them, as `Surroundings.candidates` does."""
        numbers = np.empty((self._describe(), self._arena.growth.columns), dtype=np.float32)
        if len(numbers):
            self._library.growth_write(self._growth, ctypes.c_void_p(address(numbers)))
        return self._arena.rows[: len(numbers)].copy(), numbers

    def join(self, rows: NDArray[np.int64]) -> None:
        """Let candidates join the object."""
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        self._library.growth_join(self._growth, ctypes.c_void_p(address(rows)), ctypes.c_int64(len(rows)))

    def _describe(self) -> int:
        count = int(self._library.growth_describe(self._growth))
        logs = self._arena.logs[: LOGS * count + OF_OBJECT]
        if count:
            np.log(logs, out=logs)
        return count


def _arena(around: Surroundings, forest: Forest) -> _Arena:
    if id(forest) not in around.kept:
        around.kept[id(forest)] = (forest, _Arena(around, forest))  # with the forest, so that no other gets its id
    arena: _Arena = around.kept[id(forest)][1]
    return arena
