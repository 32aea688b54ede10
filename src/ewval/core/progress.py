"""How long work says how far it is, without knowing who draws it."""

from typing import Protocol


class Progress(Protocol):
    """Receives the advance of one piece of work."""

    def start(self, total: int | None, *, unit: str = "") -> None:
        """Begin anew: `total` steps to come (None where unknown), each one `unit`."""

    def advance(self, count: int = 1) -> None:
        """`count` further steps are done."""

    def expect(self, total: int) -> None:
        """More, or fewer, steps are to come than was said: `total` with those already done."""

    def note(self, text: str) -> None:
        """Show a short state beside the bar, such as a rate; an empty text removes it."""


class Silent:
    """A `Progress` that shows nothing."""

    def start(self, total: int | None, *, unit: str = "") -> None:
        """Show nothing."""

    def advance(self, count: int = 1) -> None:
        """Show nothing."""

    def expect(self, total: int) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""


SILENT = Silent()
