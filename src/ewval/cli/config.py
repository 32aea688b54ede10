"""`ewval.toml`: defaults for the options, below the environment and above the built-in ones."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ewval.core.errors import UsageError
from ewval.core.storage.text import parse_toml, read_text


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of a configuration file, empty where there is none.

    Raises:
        UsageError: The file cannot be read or is not TOML.
    """
    try:
        return parse_toml(read_text(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error


def default_map(config: Mapping[str, Any], options: Mapping[str, Collection[str]]) -> dict[str, dict[str, Any]]:
    """Return defaults by command and parameter.

    A key at the top goes to every command that has such an option; a key in a table named like a command goes to
    that command alone. `options` holds the parameter names of each command; keys may be written with dashes.

    Raises:
        UsageError: A key that no command takes.
    """
    shared = {_parameter(key): value for key, value in config.items() if not isinstance(value, dict)}
    known = {name for names in options.values() for name in names}
    for key in sorted(shared.keys() - known):
        raise UsageError(f"ewval.toml: no command has an option {key!r}")
    for name in sorted(key for key, value in config.items() if isinstance(value, dict) and key not in options):
        raise UsageError(f"ewval.toml: there is no command {name!r}")
    return {command: _defaults(command, names, shared, config.get(command, {})) for command, names in options.items()}


def _defaults(
    command: str, names: Collection[str], shared: Mapping[str, Any], own: Mapping[str, Any]
) -> dict[str, Any]:
    table = {_parameter(key): value for key, value in own.items()}
    for key in sorted(table.keys() - set(names)):
        raise UsageError(f"ewval.toml: `ewval {command}` has no option {key!r}")
    return {key: value for key, value in shared.items() if key in names} | table


def _parameter(key: str) -> str:
    return key.replace("-", "_")
