"""What is done again and again while the server runs. A round that fails is tried again with the next."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from server.domain.errors import Retryable

log = structlog.get_logger()

PAUSE_SECONDS = 0.01  # while there is more to do, so that it keeps up with what calls leave behind

Round = Callable[[], Awaitable[bool | None]]
"""Does some work, and says whether there is more of it at once."""


async def rounds(work: str, round_: Round, every_seconds: float) -> None:
    """Until it is cancelled."""
    while True:
        more: bool | None = False
        try:
            more = await round_()
        except Retryable as error:
            log.warning("put off", work=work, reason=error.reason)
        except Exception:
            log.exception("failed", work=work)
        await asyncio.sleep(PAUSE_SECONDS if more else every_seconds)
