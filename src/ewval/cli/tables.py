"""Tables in plain text: ids are shown whole however narrow the terminal is."""

import os
import sys
from collections.abc import Iterable, Sequence

WIDEST = 10_000
"""No terminal has more columns; what COLUMNS says beyond is nonsense."""


def draw_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", width: int | None = None
) -> list[str]:
    """Return the lines of a table, numbers right-aligned; of one record a row where `width` columns are too few.

    Args:
        columns: Their names.
        rows: A value for each column.
        title: A line above.
        width: Columns of the terminal, None where nobody knows.
    """
    values = [list(row) for row in rows]
    texts = [[_plain(str(value)) for value in row] for row in values]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    head = [title] if title else []
    if width is not None and sum(widths) + 3 * len(widths) + 1 > width:
        return head + _records(columns, texts)
    is_numeric = [
        bool(values) and all(isinstance(row[place], int | float) for row in values) for place in range(len(columns))
    ]
    rule = "+" + "+".join("-" * (size + 2) for size in widths) + "+"
    body = [_row(texts_of_row, widths, is_numeric) for texts_of_row in (list(columns), *texts)]
    return [*head, rule, body[0], rule, *body[1:], rule]


def _row(texts: Sequence[str], widths: Sequence[int], is_numeric: Sequence[bool]) -> str:
    cells = (
        text.rjust(size) if right else text.ljust(size)
        for text, size, right in zip(texts, widths, is_numeric, strict=True)
    )
    return "| " + " | ".join(cells) + " |"


def _records(columns: Sequence[str], texts: Iterable[Sequence[str]]) -> list[str]:
    lines: list[str] = []
    for row in texts:
        lines += ["", *(f"{name}: {text}" for name, text in zip(columns, row, strict=True))]
    return lines[1:]


def terminal_width() -> int | None:
    """Return the columns of stdout's terminal, or those that COLUMNS says; None where neither tells."""
    told = os.environ.get("COLUMNS", "")
    if is_sensible_width(told):
        return int(told)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):  # no terminal, or no descriptor at all
        return None


def is_sensible_width(text: str) -> bool:
    """Whether `text` is a number of columns that a terminal may have."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(WIDEST)) and 0 < int(text) <= WIDEST


def _plain(text: str) -> str:
    """Return `text` as stdout can write it, on one line, so that the columns stay in line."""
    encoding = sys.stdout.encoding or "ascii"
    return " ".join(text.split()).encode(encoding, "backslashreplace").decode(encoding)
