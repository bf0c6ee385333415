"""What is older than its keep time is swept, in steps too small to hold up a batch."""

from collections.abc import Callable
from datetime import datetime, timedelta

from server.domain.ports import Clock, Unit
from server.service.writer import Writer

STEP_ROWS = 100  # some 4 ms
ROUND_SECONDS = 60.0

Sweep = Callable[[Unit, datetime], int]
"""Deletes some that were stored before; returns how many, at most STEP_ROWS."""


def requests(unit: Unit, before: datetime) -> int:
    return unit.requests.sweep(before, STEP_ROWS)


def events(unit: Unit, before: datetime) -> int:
    return unit.events.sweep(before, STEP_ROWS)


async def sweep(writer: Writer, clock: Clock, some: Sweep, keep: timedelta) -> bool:
    """A step; whether there may be more."""
    return await writer.run(lambda unit: some(unit, clock() - keep)) == STEP_ROWS
