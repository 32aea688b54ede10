"""Whether Eyewire answers, and takes the token."""

import asyncio

from ewval.core.coroutines import run_to_end
from ewval.core.doctor.health import Finding
from ewval.core.errors import MissingError, UnreachableError
from ewval.core.eyewire.client import EyewireClient
from ewval.core.eyewire.host import user_agent
from ewval.core.version import __version__

PATIENCE_S = 20.0
ANY_TASK = 1
"""Whether there is such a task does not matter: a server that says so has answered."""


def check_server(api: str, token: str) -> Finding:
    """Ask the API once and return that it answers.

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
            await client.task(ANY_TASK)
    except TimeoutError:
        raise UnreachableError(api, f"no answer in {PATIENCE_S:.0f} s") from None
    except MissingError:
        pass
    return Finding("server", "ok", f"{api} answers and takes the token")
