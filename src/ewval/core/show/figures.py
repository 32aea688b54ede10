"""Figures that need no screen: matplotlib is loaded here and nowhere else, and drawn with Agg."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKEND = "MPLBACKEND"


def new_figure(**options: Any) -> "Figure":
    """Return an empty figure, whatever backend the environment asks for.

    Args:
        options: Of `matplotlib.figure.Figure`.
    """
    load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(**options)
    FigureCanvasAgg(figure)  # nothing else may choose a canvas that wants a screen
    return figure


def load_matplotlib() -> Any:
    """Return matplotlib, which would refuse to load where MPLBACKEND names a backend that this installation lacks.

    Notebooks set it for themselves and for all that they start. What they ask for holds for their own figures.
    """
    asked = os.environ.pop(BACKEND, None)
    try:
        import matplotlib as mpl
    finally:
        if asked is not None:
            os.environ[BACKEND] = asked
    if asked:
        with suppress(ValueError):
            mpl.rcParams["backend"] = asked
    return mpl
