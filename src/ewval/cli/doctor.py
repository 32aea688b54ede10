"""`ewval doctor`."""


def doctor() -> None:
    """Being built."""
