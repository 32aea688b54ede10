"""What is said of packed volumes."""

from collections.abc import Sequence

__all__ = ["answered_from_packed", "without_graph"]


def answered_from_packed(count: int, *, what: str) -> str:
    """Return the warning that `count` tasks, at least one, were answered without most contacts.

    Args:
        count: How many.
        what: That stands on them, such as "verdicts".
    """
    tasks = "1 task was" if count == 1 else f"{count:,} tasks were"
    return (
        f"ewval: warning: {tasks} answered from packed (64^3) volumes, which have lost most of the contacts that this"
        f" model reads; do not rely on these {what}: fetch into another --data folder, without --drop-raw"
    )


def without_graph(volumes: Sequence[int]) -> str:
    """Return a line on packed `volumes`, at least one, that nothing can measure a segment graph of any more."""
    which = f"volume {volumes[0]}" if len(volumes) == 1 else f"{len(volumes)} volumes, such as {volumes[0]},"
    have = "has" if len(volumes) == 1 else "have"
    return (
        f"{which} {have} neither a segment graph nor raw files to measure it in: the default model needs one of them; "
        "fetch into a new --data folder to get both"
    )
