"""Progress on stderr: a bar on a terminal, a plain line every 30 s or 5 % elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ewval.cli.output import message
from ewval.core.progress import SILENT, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PLAIN_INTERVAL_S = 30.0
PLAIN_SHARE = 0.05


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Yield a `Progress` that shows `label` and how far the work is, fit for where stderr goes."""
    with progress_bars(label, quiet=quiet) as (bar,):
        yield bar


@contextmanager
def progress_bars(*labels: str, quiet: bool = False) -> Iterator[tuple[Progress, ...]]:
    """Yield a `Progress` for each label, one below the other on a terminal; of several, each from its `start` on."""
    if quiet:
        yield (SILENT,) * len(labels)
    elif sys.stderr.isatty():
        with _rich_progress() as bars:
            yield tuple(Bar(bars, label, visible=len(labels) == 1) for label in labels)
    else:
        yield tuple(PlainLines(label) for label in labels)


def _rich_progress() -> "RichProgress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    def text(form: str) -> TextColumn:
        # Where the terminal is too narrow, cut: an ellipsis is not in every encoding.
        return TextColumn(form, table_column=Column(no_wrap=True, overflow="crop"))

    return RichProgress(
        text("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        text("{task.fields[unit]} {task.fields[rate]}"),
        TimeRemainingColumn(),
        text("{task.fields[note]}"),
        console=Console(stderr=True, soft_wrap=True),
        transient=True,
        # Results that go to the same terminal have to pass above the bars; those that go elsewhere must stay there.
        redirect_stdout=sys.stdout.isatty(),
    )


class Bar:
    """A rich bar behind the `Progress` protocol."""

    def __init__(self, bars: "RichProgress", label: str, *, visible: bool) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=None, visible=visible, unit="", rate="", note="")
        self._began = time.monotonic()
        self._done = 0

    def start(self, total: int | None, *, unit: str = "") -> None:
        """Show an empty bar of `total` steps."""
        self._began, self._done = time.monotonic(), 0
        self._bars.reset(self._task, total=total, visible=True, unit=unit, rate="", note="")

    def advance(self, count: int = 1) -> None:
        """Move the bar and its rate."""
        self._done += count
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        self._bars.update(self._task, advance=count, rate=f"{rate:.1f}/s")

    def expect(self, total: int) -> None:
        """Change the length of the bar, not what is done."""
        self._bars.update(self._task, total=total)

    def note(self, text: str) -> None:
        """Show `text` behind the bar."""
        self._bars.update(self._task, note=text)


class PlainLines:
    """A line now and then, for logs and pipes; the clock is passed in so that tests need not wait."""

    def __init__(
        self, label: str, *, clock: Callable[[], float] = time.monotonic, write: Callable[[str], None] = message
    ) -> None:
        self._label, self._clock, self._write = label, clock, write
        self.start(None)

    def start(self, total: int | None, *, unit: str = "") -> None:
        """Begin anew, without a line."""
        self._total, self._unit, self._note = total, unit, ""
        self._done, self._shown = 0, 0
        self._began = self._shown_at = self._clock()

    def advance(self, count: int = 1) -> None:
        """Write a line where 30 s or 5 % have passed since the last one, and at the end."""
        self._done += count
        late = self._clock() - self._shown_at >= PLAIN_INTERVAL_S
        far = self._total is not None and self._done - self._shown >= PLAIN_SHARE * self._total
        if late or far or self._done == self._total:
            self._show()

    def expect(self, total: int) -> None:
        """Change the total of the coming lines."""
        self._total = total

    def note(self, text: str) -> None:
        """Add `text` to the coming lines."""
        self._note = text

    def _show(self) -> None:
        now = self._clock()
        rate = self._done / max(now - self._began, 1e-9)
        parts = [f"{self._label}: {self._done}" + (f"/{self._total}" if self._total is not None else ""), self._unit]
        if self._total:
            parts.append(f"({100 * self._done / self._total:.0f} %)")
        parts.append(f"{rate:.1f}/s")
        if self._total is not None and rate > 0 and self._done < self._total:
            parts.append(f"{(self._total - self._done) / rate:.0f} s left")
        self._write(" ".join(part for part in (*parts, self._note) if part))
        self._shown, self._shown_at = self._done, now
