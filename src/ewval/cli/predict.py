"""`ewval predict`."""


def predict() -> None:
    """Being built."""
