"""`ewval eval`."""


def eval_() -> None:
    """Being built."""
