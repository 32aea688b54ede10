"""Foreseen failures: what the process exits with, and what the user should do next."""

import os
import traceback
from enum import IntEnum

from ewval.cli.output import message
from ewval.core import errors
from ewval.core.constants import ENV_DEBUG, ENV_TOKEN


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    PARTLY = 3
    CREDENTIAL = 4
    SERVER = 5
    DATA = 6
    UNAVAILABLE = 7
    INTERRUPTED = 130


# The first class that an error is an instance of counts, so subclasses stand before their bases.
TABLE: tuple[tuple[type[errors.EwvalError], Exit, str], ...] = (
    (
        errors.TokenMissingError,
        Exit.CREDENTIAL,
        f"set {ENV_TOKEN} or use --token-file; `ewval doctor` says how to get one",
    ),
    (errors.TokenRefusedError, Exit.CREDENTIAL, f"get a new token and set {ENV_TOKEN}; `ewval doctor` says how"),
    (errors.CredentialError, Exit.CREDENTIAL, "`ewval doctor` checks the token"),
    (
        errors.ThrottledError,
        Exit.SERVER,
        "wait a while, then run the same command again; `ewval fetch --api-rate` asks less often",
    ),
    (
        errors.ProxyError,
        Exit.SERVER,
        "check HTTP_PROXY and HTTPS_PROXY; NO_PROXY lists the hosts that need none",
    ),
    (errors.UnreachableError, Exit.SERVER, "check the network and --api, then run the same command again"),
    (
        errors.ReplyError,
        Exit.SERVER,
        "check --api; if the server is down for maintenance, run the same command again later",
    ),
    (errors.SchedulerError, Exit.SERVER, "check --dask and that the scheduler runs"),
    (errors.RefusedError, Exit.SERVER, "check the id and --api"),
    (errors.ServerError, Exit.SERVER, "run the same command again later"),
    (
        errors.AnswersDamagedError,
        Exit.DATA,
        "keep it: it holds answers that people gave by hand; if there is an earlier copy, put that in its place",
    ),
    (
        errors.DamagedError,
        Exit.DATA,
        "replace it, or delete it and run the command that made it (`ewval fetch`, `ewval pack`, ...) again",
    ),
    (
        errors.RegistryError,
        Exit.DATA,
        "save it as CSV with the columns Cell ID, Name, Status, Size and Tags",
    ),
    (
        errors.UnreadableError,
        Exit.DATA,
        "see that you may read it and that its disk is well, then run the same command again",
    ),
    (errors.UnsupportedError, Exit.DATA, "only 256^3 volumes of the mouse data set can be used"),
    (errors.MissingError, Exit.DATA, ""),
    (errors.GuardError, Exit.DATA, "do not believe these figures; the report says what to look for"),
    (errors.DataError, Exit.DATA, "`ewval doctor` checks the data folder"),
    (errors.ExtraError, Exit.UNAVAILABLE, "install it with `pip install 'ewval[EXTRA]'`"),
    (
        errors.MemoryShortError,
        Exit.UNAVAILABLE,
        "lower --batch-size or, in the recipe, compute.parts, or set compute.recompute; the last checkpoint is kept",
    ),
    (errors.DeviceError, Exit.UNAVAILABLE, "use --device cpu or auto"),
    (errors.UnavailableError, Exit.UNAVAILABLE, "`ewval doctor` shows what is available"),
    (
        errors.DivergedError,
        Exit.UNEXPECTED,
        "the last good checkpoint is kept; begin another --run with a lower --learning-rate",
    ),
    (errors.WorkerDiedError, Exit.UNEXPECTED, "run the same command again with fewer --workers"),
    (
        errors.DiskFullError,
        Exit.USAGE,
        "then run the same command again; what is complete is kept",
    ),
    (
        errors.WriteError,
        Exit.USAGE,
        "make it writable or choose another folder, then run the same command again; what is complete is kept",
    ),
    (errors.ConsentError, Exit.USAGE, "`ewval fetch` shows which with --dry-run, and makes them with --yes"),
    (errors.SettingError, Exit.USAGE, ""),
    (errors.UsageError, Exit.USAGE, ""),
    (errors.RecipeError, Exit.USAGE, "docs/recipes.md lists the keys"),
    (errors.EwvalError, Exit.UNEXPECTED, "please report this"),
)


OPTIONS = {"side": "split"}
"""Settings whose option has another name."""


def exit_code(error: errors.EwvalError) -> Exit:
    """Return the exit code of the contract for `error`."""
    return next(code for kind, code, _ in TABLE if isinstance(error, kind))


def advice(error: errors.EwvalError) -> str:
    """Return what to do next, empty where the error says it itself."""
    text = next(text for kind, _, text in TABLE if isinstance(error, kind))
    return text.replace("EXTRA", error.extra) if isinstance(error, errors.ExtraError) else text


def describe(error: errors.EwvalError) -> str:
    """Return one line: what is wrong, and what to do next."""
    line = " ".join(_text(error).split())
    return "; ".join(part for part in (line, advice(error)) if part)


def _text(error: errors.EwvalError) -> str:
    """Return what `error` says, settings under the names that their options have."""
    if isinstance(error, errors.SettingError):
        option = OPTIONS.get(error.setting, error.setting.replace("_", "-"))
        return f"--{option} {error.problem}"
    return str(error)


def report(error: errors.EwvalError) -> Exit:
    """Say on stderr what went wrong; return the exit code."""
    if os.environ.get(ENV_DEBUG):
        message("".join(traceback.format_exception(error)).rstrip())
    message(f"ewval: {describe(error)}")
    return exit_code(error)
