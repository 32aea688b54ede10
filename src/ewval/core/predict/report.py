"""The HTML report of a run: every answer in a list, and those that need a look most to be opened."""

import heapq
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import SettingError
from ewval.core.predict.run import Found, PredictRun
from ewval.core.show.viewer import TaskPanel, render_report
from ewval.core.storage.files import write_atomically

OPENED = 24
"""Tasks that can be opened in a report: about half a megabyte each, and as much for every volume."""
ROW_KEYS = ("task", "cell", "volume", "add", "maybe", "remove", "agreement", "review_priority")


class Reporter:
    """Gathers the answers of a run, then writes the report.

    Args:
        run: Whose answers these are; its volumes are read again for the pictures.
        opened: Tasks that can be opened.

    Raises:
        UsageError: The run has several processes and no folder through which their voxel maps could come.
    """

    def __init__(self, run: PredictRun, *, opened: int = OPENED) -> None:
        if run.shards.size > 1 and run.saved is None:
            raise SettingError(
                "under torchrun needs an output folder, where the processes leave what it shows", setting="report"
            )
        self._run, self._opened = run, opened
        self._rows: list[dict[str, Any]] = []
        self._panels: list[tuple[float, int, Found, NDArray[np.float16] | None]] = []

    def take(self, found: Found) -> None:
        """Take one answer."""
        document = found.document
        self._rows.append({key: document[key] for key in ROW_KEYS})
        chance = None if found.answer is None else found.answer.prediction.probability.astype(np.float16)
        slim = Found(found.task, document)
        heapq.heappush(self._panels, (document["review_priority"], -found.task, slim, chance))
        if len(self._panels) > self._opened:
            heapq.heappop(self._panels)

    def write(self, path: Path, *, rank: bool = False) -> None:
        """Write the report.

        Args:
            path: Where to.
            rank: Those with the highest review priority first, instead of the order asked for.
        """
        order = {row["task"]: place for place, row in enumerate(self._rows)}
        rows = sorted(self._rows, key=lambda row: (-row["review_priority"], row["task"])) if rank else self._rows
        chosen = sorted(self._panels, key=lambda panel: (-panel[0], -panel[1]) if rank else (order[-panel[1]], 0))
        panels = [self._panel(found, chance) for _, _, found, chance in chosen]
        volumes = {panel.document["volume"]: self._run.picture(panel.document["volume"]) for panel in panels}
        page = render_report(rows, panels, volumes, title=_title(rows), subtitle=self._subtitle(rows))
        write_atomically(path, page.encode())

    def _panel(self, found: Found, chance: NDArray[np.float16] | None) -> TaskPanel:
        if chance is None:
            assert self._run.saved is not None  # an answer without its maps was read from the folder
            probability = self._run.saved.probability(found.task)
        else:
            probability = chance.astype(np.float32)
        volume = found.document["volume"]
        view = self._run.source.view(volume, self._run.store.segmentation(volume))
        return TaskPanel(found.document, probability, view.pooling)

    def _subtitle(self, rows: list[dict[str, Any]]) -> str:
        made = self._run.made_with
        looks = ", mean of eight mirrorings" if made.get("tta") else ""
        counted = f"{len(rows)} tasks, " if len(rows) > 1 else ""
        loops = f", {made['loops']} loops" if "loops" in made else ""
        return f"{counted}model {made['model']}{loops}{looks}"


def _title(rows: list[dict[str, Any]]) -> str:
    return f"ewval: task {rows[0]['task']}" if len(rows) == 1 else "ewval: answers"
