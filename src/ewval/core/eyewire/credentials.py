"""The Eyewire token: where it comes from."""

import os
import string
from pathlib import Path

from ewval.core.constants import ENV_TOKEN, ENV_TOKEN_SEED_SYSTEM
from ewval.core.errors import MissingError, UsageError
from ewval.core.storage.text import MARK, read_text

BLANK = string.whitespace + MARK
"""What editors and shells leave around a token."""


def read_token(token_file: Path | None = None) -> str | None:
    """Return the token, or None where none is set.

    The environment comes first (`EWVAL_TOKEN`, then `EW_OAUTH2`), then `token_file`.

    Raises:
        MissingError: `token_file` cannot be read.
        UsageError: `token_file` is empty, or what was found can be no token.
    """
    for name in (ENV_TOKEN, ENV_TOKEN_SEED_SYSTEM):
        if token := os.environ.get(name, "").strip(BLANK):
            return _checked(token, name)
    if token_file is None:
        return None
    try:
        token = read_text(token_file).strip(BLANK)
    except OSError as error:
        raise MissingError(f"token file {token_file}", hint=str(error)) from error
    if not token:
        raise UsageError(f"token file {token_file} is empty")
    return _checked(token, f"token file {token_file}")


def _checked(token: str, source: str) -> str:
    """Return `token`, which is sent in a URL and never shown."""
    if not (token.isascii() and token.isprintable()):
        raise UsageError(f"{source} holds more than a token: several lines, or characters that no token has")
    return token
