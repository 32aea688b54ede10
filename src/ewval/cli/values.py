"""One value means the same from an option, an environment variable and `ewval.toml`, in every command."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from ewval.core.errors import UsageError

HOME = "~"
Kind = Literal["one", "many", "flag"]
"""What a parameter takes: a value, any number of them, or yes and no."""


def kind_of(parameter: Any) -> Kind:  # Typer does not export the type of its parameters
    """Return what a parameter of a command takes."""
    if getattr(parameter, "is_flag", False):
        return "flag"
    return "many" if getattr(parameter, "multiple", False) or parameter.nargs != 1 else "one"


def keep_variables_whole(parameters: Iterable[Any]) -> None:
    """Let an environment variable be one value where several may be given: a path may hold spaces."""
    for parameter in parameters:
        if kind_of(parameter) == "many":
            parameter.value_from_envvar = _Whole(parameter)


class _Whole:
    """The variable of a parameter, as a list of one."""

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter

    def __call__(self, ctx: Any) -> list[str] | None:
        value = self._parameter.resolve_envvar_value(ctx)
        return [value] if value else None


def typed(value: Any, kind: Kind, *, key: str) -> Any:
    """Return a value of `ewval.toml` as it would be typed on the command line; `key` names it.

    Raises:
        UsageError: It is of a kind that the option does not take.
    """
    if kind == "flag":
        if not isinstance(value, bool):
            raise UsageError(f"ewval.toml: {key} is true or false")
        return value
    if kind == "one":
        return _text(value, key)
    if value == []:
        raise UsageError(f"ewval.toml: {key} is an empty list; name something, or leave {key} out")
    return [_text(item, key) for item in (value if isinstance(value, list) else [value])]


def _text(value: Any, key: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"ewval.toml: {key} takes text or a number")
    text = str(value)
    if "\0" in text:
        raise UsageError(f"ewval.toml: {key} holds a NUL character, which nobody can type")
    return text


def expand_home(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a command, those that begin with ~ or ~name below that home folder.

    Shells do so only where the ~ stands bare at the beginning of a word.

    Raises:
        UsageError: There is no such home folder.
    """
    return {name: _expanded(value) for name, value in values.items()}


def _expanded(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_expanded(item) for item in value)
    if not (isinstance(value, str | Path) and str(value).startswith(HOME)):
        return value
    path = os.path.expanduser(value)  # noqa: PTH111 - pathlib's raises where there is no home
    if path.startswith(HOME):
        raise UsageError(f"{value}: no such home folder is known; write ./{value} for a name that begins with ~")
    return type(value)(path)
