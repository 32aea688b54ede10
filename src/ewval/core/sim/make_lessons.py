"""Generate cubes to learn from: `python -m ewval.core.sim.make_lessons FOLDER --cubes 16 --tasks 12`.

The folder is a data folder like any other: `ewval train --data FOLDER`. Forests need `--raw`: they learn at full
resolution.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ewval.core.errors import EwvalError
from ewval.core.folder import DataFolder
from ewval.core.sim.lessons import LessonPlan, write_lessons
from ewval.core.workers import Workers

_LOG = logging.getLogger("ewval")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    chosen = _parser().parse_args(words)
    try:
        fields = ("cubes", "tasks", "seed", "magnify", "raw", "look")
        plan = LessonPlan(**{field: getattr(chosen, field) for field in fields})
        tasks = write_lessons(DataFolder(chosen.folder), plan, workers=Workers(chosen.workers))
    except EwvalError as error:
        _LOG.error("%s", error)
        return 1
    _LOG.info("%s: %d cubes, %d tasks", chosen.folder, chosen.cubes, tasks)
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").split("\n", maxsplit=1)[0]
    parser = argparse.ArgumentParser(prog="python -m ewval.core.sim.make_lessons", description=about)
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("--cubes", type=int, default=16, help="how many, each in a style of its own")
    parser.add_argument("--tasks", type=int, default=64, help="of each cube at most")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same folder")
    parser.add_argument("--magnify", type=int, default=1, help="1, 2 or 4: generate smaller and enlarge")
    parser.add_argument("--raw", action="store_true", help="write the volumes as downloaded, too")
    parser.add_argument(
        "--look",
        default="any",
        help="any: each cube its own; detected: so, too, and segmented by its image; retina: like E2198; "
        "retina-like: varied around it",
    )
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
