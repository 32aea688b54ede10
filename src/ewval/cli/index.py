"""`ewval index`."""


def index() -> None:
    """Being built."""
