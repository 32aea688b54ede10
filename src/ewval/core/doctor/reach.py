"""Whether Eyewire answers, and takes the token."""

import asyncio
from contextlib import suppress

from ewval.core.constants import MOUSE_DATASET
from ewval.core.coroutines import run_to_end
from ewval.core.doctor.health import Finding
from ewval.core.errors import MissingError, ReplyError, UnreachableError
from ewval.core.eyewire.client import EyewireClient
from ewval.core.eyewire.host import user_agent
from ewval.core.version import __version__

PATIENCE_S = 20.0
ANY_TASK = 1


def check_server(api: str, token: str) -> Finding:
    """Ask the API once or twice and return whether it is Eyewire's.

    Raises:
        UsageError: `api` is no web address.
        CredentialError: The token is refused.
        ServerError: No good answer in 20 s.
    """
    return run_to_end(_ask(api, token))


async def _ask(api: str, token: str) -> Finding:
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            EyewireClient(api, token=token, rate=1.0, user_agent=user_agent(__version__)) as client,
        ):
            if await _knows_eyewire(client):
                return Finding("server", "ok", f"{api} answers and takes the token")
    except TimeoutError:
        raise UnreachableError(api, f"no answer in {PATIENCE_S:.0f} s") from None
    fix = "name Eyewire's API with --api, EWVAL_API or `api` in ewval.toml"
    return Finding("server", "warning", f"{api} answers, but knows no task {ANY_TASK} and no cells", fix)


async def _knows_eyewire(client: EyewireClient) -> bool:
    """Return whether there is a task or, where there is none of that id, cells: any web server says "not found"."""
    with suppress(MissingError):
        await client.task(ANY_TASK)
        return True
    with suppress(MissingError, ReplyError):
        await client.cells(MOUSE_DATASET)
        return True
    return False
