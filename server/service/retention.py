"""Request ids that are older than their keep time are swept, in steps too small to hold up a batch."""

import asyncio
from datetime import timedelta

import structlog

from server.domain.errors import Retryable
from server.domain.ports import Clock
from server.service.writer import Writer

log = structlog.get_logger()

STEP_ROWS = 50
PAUSE_SECONDS = 0.05  # between steps, while there is more
ROUND_SECONDS = 60.0


async def sweep_requests(writer: Writer, clock: Clock, keep: timedelta) -> None:
    """Runs until it is cancelled."""
    while True:
        try:
            swept = await writer.run(lambda unit: unit.requests.sweep(clock() - keep, STEP_ROWS))
        except Retryable as error:
            log.warning("sweep put off", reason=error.reason)
            swept = 0
        await asyncio.sleep(PAUSE_SECONDS if swept == STEP_ROWS else ROUND_SECONDS)
