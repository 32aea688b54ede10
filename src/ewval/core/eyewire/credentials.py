"""The Eyewire token: where it comes from."""

import os
from pathlib import Path

from ewval.core.constants import ENV_TOKEN, ENV_TOKEN_SEED_SYSTEM
from ewval.core.errors import MissingError, UsageError


def read_token(token_file: Path | None = None) -> str | None:
    """Return the token, or None where none is set.

    The environment comes first (`EWVAL_TOKEN`, then `EW_OAUTH2`), then `token_file`.

    Raises:
        MissingError: `token_file` cannot be read.
        UsageError: `token_file` is empty.
    """
    for name in (ENV_TOKEN, ENV_TOKEN_SEED_SYSTEM):
        if token := os.environ.get(name, "").strip():
            return token
    if token_file is None:
        return None
    try:
        token = token_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MissingError(f"token file {token_file}", hint=str(error)) from error
    if not token:
        raise UsageError(f"token file {token_file} is empty")
    return token
