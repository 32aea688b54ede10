"""`ewval predict --view`: an answer in neuroglancer, as long as the user looks at it."""

import sys
import webbrowser
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ewval.cli.output import message
from ewval.core.errors import ExtraError

if TYPE_CHECKING:
    from ewval.core.predict.run import PredictRun


def check_viewer() -> None:
    """Make sure, before any work is done, that there is a viewer.

    Raises:
        ExtraError: neuroglancer is not installed.
    """
    if find_spec("neuroglancer") is None:
        raise ExtraError("view", "neuroglancer")


def show_in_viewer(document: Mapping[str, Any], run: "PredictRun") -> None:
    """Open a browser on an answer; return once the user presses Enter or stdin ends."""
    from ewval.core.show.neuroglancer import open_viewer

    viewer = open_viewer(document, run.picture(document["volume"]))  # held until the end: its page goes with it
    message(f"neuroglancer shows task {document['task']} at {viewer}; press Enter to end")
    webbrowser.open(str(viewer))
    sys.stdin.readline()
