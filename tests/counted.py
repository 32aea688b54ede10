"""A progress that counts."""

__all__ = ["Counted"]


class Counted:
    """How many steps were announced, how many came, and how many of these too many at any moment."""

    def __init__(self) -> None:
        self.total: int | None = 0
        self.done = self.excess = 0

    def start(self, total: int | None, *, unit: str = "") -> None:
        self.total = total

    def advance(self, count: int = 1) -> None:
        self.done += count
        self.excess = max(self.excess, 0 if self.total is None else self.done - self.total)

    def expect(self, total: int) -> None:
        self.total = total

    def note(self, text: str) -> None: ...
