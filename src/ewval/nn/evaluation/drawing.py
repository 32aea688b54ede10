"""How every plot looks, and how it becomes SVG and PNG; matplotlib is loaded here and nowhere else in evaluation."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ewval.core.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#2563eb", "#e08a00", "#15803d", "#c81e3a", "#8a93a2"
"""Told apart by people with red-green blindness through their lightness."""
INK, FAINT = "#1f2733", "#e3e7ee"
COLOURS = (BLUE, ORANGE, GREEN, RED, "#7c3aed", "#0e7490")

STYLE: Any = {
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "font.size": 9,
    "grid.color": FAINT,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "ewval",
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot.

    Args:
        name: Of its files, without ending.
        caption: What it shows, and how to read it.
        draw: Draws it into one pair of axes.
        width: Inches.
        height: Inches.
    """

    name: str
    caption: str
    draw: "Callable[[Axes], None]"
    width: float = 4.4
    height: float = 3.1

    def svg(self) -> str:
        """Return the plot as an SVG document, the same bytes each time."""
        stream = io.BytesIO()
        self._save(stream, format="svg", metadata={"Date": None})
        return stream.getvalue().decode()

    def png(self) -> bytes:
        """Return the plot as a PNG."""
        stream = io.BytesIO()
        self._save(stream, format="png", dpi=144)
        return stream.getvalue()

    def _save(self, stream: io.BytesIO, **options: Any) -> None:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            self._figure().savefig(stream, **options)

    def _figure(self) -> "Figure":
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width, self.height), layout="constrained")
        FigureCanvasAgg(figure)  # nothing else may choose a canvas that wants a screen
        self.draw(figure.add_subplot())
        return figure


def save_plots(plots: list[Plot], folder: Path) -> None:
    """Write each plot as PNG and SVG."""
    for plot in plots:
        for ending, content in (("svg", plot.svg().encode()), ("png", plot.png())):
            with replacing(folder / f"{plot.name}.{ending}") as temporary:
                temporary.write_bytes(content)
