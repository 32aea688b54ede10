"""`python -m ewval`, `torchrun -m ewval` and the `ewval` console script start here."""

from ewval.cli.app import app
from ewval.cli.streams import guard_streams


def main() -> None:
    """Run the command line."""
    guard_streams()
    app(prog_name="ewval")


if __name__ == "__main__":
    main()
