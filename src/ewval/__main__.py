"""`python -m ewval`, `torchrun -m ewval` and the `ewval` console script start here."""

from ewval.cli.app import app


def main() -> None:
    """Run the command line."""
    app(prog_name="ewval")


if __name__ == "__main__":
    main()
