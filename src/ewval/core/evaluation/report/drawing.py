"""How every plot looks, and how it becomes SVG and PNG."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ewval.core.show.figures import load_matplotlib, new_figure
from ewval.core.storage.files import make_folder, writing

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

    def render(self) -> "Rendered":
        """Return the plot as SVG, the same bytes each time, and as PNG."""
        svg, png = io.BytesIO(), io.BytesIO()
        with load_matplotlib().rc_context(STYLE):
            figure = self._figure()
            figure.savefig(svg, format="svg", metadata={"Date": None})
            figure.savefig(png, format="png", dpi=144)
        return Rendered(self.name, self.caption, svg.getvalue(), png.getvalue())

    def _figure(self) -> "Figure":
        figure = new_figure(figsize=(self.width, self.height), layout="constrained")
        self.draw(figure.add_subplot())
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
        figure.set_layout_engine(None)  # with one, each format would be drawn twice, the first time for the layout
        return figure


@dataclass(frozen=True, slots=True)
class Rendered:
    """A plot that has been drawn.

    Args:
        name: Of its files, without ending.
        caption: What it shows, and how to read it.
        svg: As an SVG document.
        png: As a PNG.
    """

    name: str
    caption: str
    svg: bytes
    png: bytes

    def save(self, folder: Path) -> None:
        """Write both forms; until identity.json stands beside them they are drawn anew, so nothing is synced here."""
        for path, content in ((folder / f"{self.name}.svg", self.svg), (folder / f"{self.name}.png", self.png)):
            with writing(path):
                make_folder(folder)
                path.write_bytes(content)
