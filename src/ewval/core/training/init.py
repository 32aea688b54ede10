"""What a training of forests starts from."""

from collections.abc import Sequence
from dataclasses import dataclass

from ewval.core.errors import SettingError
from ewval.core.folder import DataFolder
from ewval.core.forest.decider import ForestDecider
from ewval.core.forest.fit import Start
from ewval.core.models.card import ModelCard
from ewval.core.models.registry import DEFAULT_MODEL, load_decider
from ewval.core.segments.verdicts import Thresholds
from ewval.core.tasks.table import TaskTable

__all__ = ["NOTHING", "Beginning", "find_beginning"]

NOTHING = "none"


@dataclass(frozen=True, slots=True)
class Beginning:
    """A start, or none.

    Args:
        name: What it is called, None for nothing.
        start: What it has learned.
        card: Its card.
        notes: What the user should know.
    """

    name: str | None = None
    start: Start | None = None
    card: ModelCard | None = None
    notes: tuple[str, ...] = ()


def find_beginning(init: str | None, folders: Sequence[DataFolder]) -> Beginning:
    """Return what to start from.

    A model that knows cells of the data is no start: what it says of them does not show how good it is elsewhere, and
    a model that began with it could not be scored on them.

    Args:
        init: A name or path, `none`, or None for the packaged model where it can serve.
        folders: That will be learned from.

    Raises:
        MissingError: There is no such model.
        DamagedError: It is none.
        SettingError: It is a network, or was asked for and knows cells of the data.
    """
    if init == NOTHING:
        return Beginning()
    name = DEFAULT_MODEL if init is None else init
    decider = load_decider(name)
    if not isinstance(decider, ForestDecider):
        raise SettingError(f"{name} is a network; forests start from forests, such as {DEFAULT_MODEL}", setting="init")
    known = _known_cells(decider.card, folders)
    if known:
        problem = f"{name} has learned from {known} of the cells of this data"
        if init is not None:
            raise SettingError(
                f"{problem}, so nothing would show how good the result is; none starts from nothing", setting="init"
            )
        return Beginning(notes=(f"{problem}: starting from nothing instead",))
    card = decider.card
    thresholds = Thresholds(add=card.add_threshold, maybe=card.maybe_threshold)
    return Beginning(name, Start(decider.head, thresholds), card)


def _known_cells(card: ModelCard, folders: Sequence[DataFolder]) -> int:
    """Return how many cells of the data stand on the card, in volumes that stand there, too."""
    cells, volumes = set(card.cells), set(card.volumes)
    known: set[int] = set()
    for folder in folders:
        table = TaskTable.load(folder)
        both = zip(table.group.tolist(), table.volume.tolist(), strict=True)
        known |= {cell for cell, volume in both if cell in cells and volume in volumes}
    return len(known)
