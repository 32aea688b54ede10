"""What an evaluation is asked to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ewval.core.errors import SettingError
from ewval.core.folder import DataFolder

Side = Literal["test", "val", "train", "all"]
SIDES: tuple[Side, ...] = get_args(Side)
MAX_LOOPS = 64


@dataclass(frozen=True, slots=True)
class EvalRequest:
    """One evaluation.

    Args:
        folder: The data folder.
        out: Where the results go; None for a folder inside the data folder.
        model: A name or path; None for the packaged default.
        side: Which side of the split.
        loops: Numbers of loops to run a network with; the first is the one the report is about. None for what the
            model sets side by side by itself. A model without loops has one way of running.
        fold: Of the cross-validation; None for the split itself.
        limit: How many tasks, drawn with `seed`; None for all.
        compare: Further models, by name or path.
        baselines: Whether the baselines answer too.
        device: auto, cpu, cuda or cuda:N.
        report: Whether to draw the plots and the report; the figures take a fraction of the time.
        batch_size: Samples at once, where the device gains by it.
        seed: Of the sample that `limit` draws, and of the guards'.
    """

    folder: DataFolder
    out: Path | None = None
    model: str | None = None
    side: Side = "test"
    loops: tuple[int, ...] | None = None
    fold: int | None = None
    limit: int | None = None
    compare: tuple[str, ...] = ()
    baselines: bool = True
    device: str = "auto"
    report: bool = True
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise SettingError(f"{self.out} is not a folder", setting="out")
        if self.limit is not None and self.limit < 1:
            raise SettingError(f"{self.limit} leaves no task; give at least 1", setting="limit")
        if self.loops is not None:
            self._check_loops(self.loops)

    def _check_loops(self, loops: tuple[int, ...]) -> None:
        if not loops or not all(1 <= count <= MAX_LOOPS for count in loops):
            raise SettingError(f"wants whole numbers from 1 to {MAX_LOOPS}, such as 4,1", setting="loops")
        if len(set(loops)) != len(loops):
            raise SettingError("repeats a number", setting="loops")


def parse_loops(text: str) -> tuple[int, ...]:
    """Return the numbers in a text such as `4,1`.

    Raises:
        UsageError: It is no list of whole numbers.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise SettingError(f"{text!r} is not a list of whole numbers, such as 4,1", setting="loops")
    return tuple(int(word) for word in words)


def parse_side(text: str) -> Side:
    """Return the side called so.

    Raises:
        UsageError: There is no such side.
    """
    if text not in SIDES:
        raise SettingError(f"{text!r} is none of {', '.join(SIDES)}", setting="side")
    return text
