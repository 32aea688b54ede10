"""A progress that counts."""

__all__ = ["Counted"]


class Counted:
    """How many steps were announced, and how many came."""

    def __init__(self) -> None:
        self.total: int | None = 0
        self.done = 0

    def start(self, total: int | None, *, unit: str = "") -> None:
        self.total = total

    def advance(self, count: int = 1) -> None:
        self.done += count

    def expect(self, total: int) -> None: ...

    def note(self, text: str) -> None: ...
