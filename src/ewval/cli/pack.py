"""`ewval pack`."""


def pack() -> None:
    """Being built."""
