"""`ewval demo`."""


def demo() -> None:
    """Being built."""
