"""`ewval fetch`."""


def fetch() -> None:
    """Being built."""
