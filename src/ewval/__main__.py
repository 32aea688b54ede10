"""`python -m ewval`, `torchrun -m ewval` and the `ewval` console script start here."""

import os
import signal
import sys


def _leave_working_folder() -> None:
    """Take no module from the working folder, here or in a process that is started from here.

    `python -m` looks there first, and so would our workers: a file such as socket.py would run in each of them.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib itself might come from there
    except OSError:  # it was deleted
        here = ""
    if __file__.rsplit(os.sep, 2)[0] != here:  # unless it is where we are ourselves
        sys.path[:] = [place for place in sys.path if place not in ("", here)]


_leave_working_folder()

from ewval.cli.app import app  # noqa: E402 - what it imports must not come from there
from ewval.cli.errors import report  # noqa: E402 - as above
from ewval.cli.streams import guard_streams  # noqa: E402 - as above
from ewval.core.errors import WriteError  # noqa: E402 - as above


def _end_as_by_ctrl_c() -> None:
    """Let SIGTERM, with which batch systems end a job, do what Ctrl-C does: what runs cleans up and says so."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def main() -> None:
    """Run the command line."""
    guard_streams()
    _end_as_by_ctrl_c()
    try:
        app(prog_name="ewval")
    except WriteError as error:  # what is shown before a command begins, such as its help
        sys.exit(report(error))


if __name__ == "__main__":
    main()
