"""`ewval train`."""


def train() -> None:
    """Being built."""
