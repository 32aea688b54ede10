"""What is said of packed volumes."""

from collections.abc import Sequence

__all__ = ["without_graph"]


def without_graph(volumes: Sequence[int]) -> str:
    """Return a line on packed `volumes`, at least one, that nothing can measure a segment graph of any more."""
    which = f"volume {volumes[0]}" if len(volumes) == 1 else f"{len(volumes)} volumes, such as {volumes[0]},"
    have = "has" if len(volumes) == 1 else "have"
    return (
        f"{which} {have} neither a segment graph nor raw files to measure it in: the default model needs one of them; "
        "fetch into a new --data folder to get both"
    )
