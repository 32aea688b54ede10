"""The one place that writes: results to stdout, everything else to stderr."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ewval.cli.tables import draw_table, terminal_width


def message(text: str) -> None:
    """Write one message to stderr, in ASCII so that no console fails on it."""
    sys.stderr.write(text.encode("ascii", "backslashreplace").decode() + "\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Output:
    """How one command shows its results.

    Args:
        json: One JSON document (or JSON lines) on stdout instead of text.
        quiet: Only ids or paths on stdout, no notes on stderr.
    """

    json: bool = False
    quiet: bool = False

    def result(self, document: Mapping[str, Any], *, text: str, ids: Iterable[object] = ()) -> None:
        """Show one result in the form that was asked for: `document`, `ids` one a line, or `text`."""
        if self.json:
            self.json_line(document)
        elif self.quiet:
            for item in ids:
                self.line(str(item))
        else:
            self.line(text)

    def nothing_to_do(self, reason: str) -> None:
        """Show that a command which counts its work had none: zeros as JSON, no ids, or one line of text."""
        counts = {"done": 0, "skipped": 0, "absent": 0, "failed": [], "seconds": 0.0, "bytes": 0}
        self.result(counts, text=f"nothing to do: {reason}")

    def json_line(self, document: Mapping[str, Any]) -> None:
        """Write one JSON document on a line of its own."""
        self.line(json.dumps(document, allow_nan=False))

    def line(self, text: str) -> None:
        """Write a line to stdout."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
        """Draw a table on stdout; numbers stand right-aligned, and what is too narrow for it gets a record a row."""
        for line in draw_table(columns, rows, title=title, width=terminal_width()):
            self.line(line)

    def note(self, text: str) -> None:
        """Say something on stderr that a quiet run leaves out."""
        if not self.quiet:
            message(text)


def open_output(*, json: bool, quiet: bool, verbose: bool) -> Output:
    """Set up logging on stderr (debug with `verbose`) and return the command's output."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        stream=sys.stderr,
        force=True,
    )
    for noisy in ("matplotlib", "PIL", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return Output(json=json, quiet=quiet)
