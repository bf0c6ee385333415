"""What is older than its keep time is swept, in steps too small to hold up a batch."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from server.domain.errors import Retryable
from server.domain.ports import Clock, Unit
from server.service.writer import Writer

log = structlog.get_logger()

STEP_ROWS = 50
PAUSE_SECONDS = 0.05  # between steps, while there is more
ROUND_SECONDS = 60.0

Sweep = Callable[[Unit, datetime], int]
"""Deletes some that were stored before; returns how many, at most STEP_ROWS."""


def requests(unit: Unit, before: datetime) -> int:
    return unit.requests.sweep(before, STEP_ROWS)


def events(unit: Unit, before: datetime) -> int:
    return unit.events.sweep(before, STEP_ROWS)


async def sweep(writer: Writer, clock: Clock, some: Sweep, keep: timedelta) -> None:
    """Runs until it is cancelled."""
    while True:
        try:
            swept = await writer.run(lambda unit: some(unit, clock() - keep))
        except Retryable as error:
            log.warning("sweep put off", reason=error.reason)
            swept = 0
        await asyncio.sleep(PAUSE_SECONDS if swept == STEP_ROWS else ROUND_SECONDS)
