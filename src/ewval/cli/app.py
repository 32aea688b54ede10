"""Registers the commands and turns foreseen failures into exit codes."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ewval.cli.config import default_map, read_config
from ewval.cli.demo import demo
from ewval.cli.doctor import doctor
from ewval.cli.errors import Exit, report
from ewval.cli.eval import eval_
from ewval.cli.fetch import fetch
from ewval.cli.help import EwvalCommand
from ewval.cli.index import index
from ewval.cli.output import Output, message
from ewval.cli.pack import pack
from ewval.cli.predict import predict
from ewval.cli.review import review
from ewval.cli.train import train
from ewval.cli.values import keep_variables_whole, kind_of, typed
from ewval.core.constants import CONFIG_FILE
from ewval.core.errors import EwvalError, UnreadableError, UsageError
from ewval.core.version import __version__


class EwvalGroup(TyperGroup):
    """The command group, with the failures of its commands reported in one line."""

    def invoke(self, ctx: Any) -> Any:  # Typer does not export the type of its parent's argument
        """Run the command; a foreseen failure ends it with the exit code of the contract."""
        try:
            return super().invoke(ctx)
        except EwvalError as error:
            raise typer.Exit(report(error)) from error
        except OSError as error:
            if (foreseen := _foreseen(error)) is None:
                raise
            raise typer.Exit(report(foreseen)) from error
        except KeyboardInterrupt as error:
            message(f"interrupted; finished work is saved; resume with: {shlex.join(['ewval', *sys.argv[1:]])}")
            raise typer.Exit(Exit.INTERRUPTED) from error


def _foreseen(error: OSError) -> EwvalError | None:
    """Return our name for what the system says about a file that nothing below had a word for; None for the rest."""
    if error.filename is not None:
        return UnreadableError(os.fsdecode(error.filename), error.strerror or str(error))
    if isinstance(error, FileNotFoundError):
        return UsageError("the working folder is no longer there; change to another one")
    return None


app = typer.Typer(
    cls=EwvalGroup,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain ASCII, so that no console fails on a glyph
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
    help="Solves Eyewire tasks and says how sure it is.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        Output().line(f"ewval {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    ctx: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    commands: dict[str, Any] = ctx.command.commands  # type: ignore[attr-defined]  # of EwvalGroup
    for command in commands.values():
        keep_variables_whole(command.params)
    options = {name: {p.name: kind_of(p) for p in command.params if p.name} for name, command in commands.items()}
    name = ctx.invoked_subcommand or ""
    values = default_map(read_config(Path(CONFIG_FILE)), options).get(name, {})
    ctx.default_map = {name: {key: typed(value, options[name][key], key=key) for key, value in values.items()}}


app.command(cls=EwvalCommand)(fetch)
app.command(cls=EwvalCommand)(pack)
app.command(cls=EwvalCommand)(index)
app.command(cls=EwvalCommand)(train)
app.command("eval", cls=EwvalCommand)(eval_)
app.command(cls=EwvalCommand)(predict)
app.command(cls=EwvalCommand)(review)
app.command(cls=EwvalCommand)(demo)
app.command(cls=EwvalCommand)(doctor)
