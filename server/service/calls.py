"""How a call reaches its use case: as a read, as a change, or as one of a set."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from server.domain.decision import AssignmentRequest
from server.domain.errors import ServerStopping
from server.domain.ports import Clock, Storage, Unit
from server.service.assignments import CreateAssignments, Creation
from server.service.context import Context
from server.service.once import Reply, RequestKey, once
from server.service.writer import Writer

T = TypeVar("T")

DEFAULT_PLATFORM = "pf_default"
QUIET_SECONDS = 0.02
QUIET_ROUNDS = 5
ON_THEIR_WAY_SECONDS = 0.1
TURN_AWAY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What the operator has settled for the default platform."""

    withholds_premium: bool
    session_ttl: timedelta
    past_starts_allowed: bool  # assignments may start before today: sandbox only (spec 10)


class Calls:
    def __init__(
        self, storage: Storage, writer: Writer, create_assignments: CreateAssignments, clock: Clock, terms: Terms
    ) -> None:
        self._storage = storage
        self._writer = writer
        self._create_assignments = create_assignments
        self._clock = clock
        self._stopping = False
        self._last_arrival = 0.0
        self.terms = terms

    async def turn_away(self) -> None:
        """Takes the calls that are on their way, refuses those that still come, and returns when it is quiet, or soon.

        Calls that gRPC has received but not yet handed over when it stops end as CANCELLED, which nobody sends again.
        """
        await self._quiet(ON_THEIR_WAY_SECONDS)
        self._stopping = True
        await self._quiet(TURN_AWAY_SECONDS)

    async def _quiet(self, most_seconds: float) -> None:
        """Until no call has come for a moment, in which the loop has gone round: else none could have come."""
        most = time.monotonic() + most_seconds
        rounds = 0 if time.monotonic() < self._last_arrival + QUIET_SECONDS else QUIET_ROUNDS
        while rounds < QUIET_ROUNDS and time.monotonic() < most:
            before = self._last_arrival
            await asyncio.sleep(QUIET_SECONDS / QUIET_ROUNDS)
            rounds = rounds + 1 if self._last_arrival == before else 0

    def context(self) -> Context:
        """Of a call that has just come. Raises ServerStopping."""
        self._last_arrival = time.monotonic()
        if self._stopping:
            raise ServerStopping
        return Context(
            platform=DEFAULT_PLATFORM,
            now=self._clock(),
            withholds_premium=self.terms.withholds_premium,
            session_ttl=self.terms.session_ttl,
        )

    async def read(self, work: Callable[[Unit], T]) -> T:
        return await self._storage.read(work)

    async def change(self, ctx: Context, key: RequestKey | None, work: Callable[[Unit], bytes]) -> Reply:
        return await self._writer.run(lambda unit: once(unit, key, ctx.now, lambda: work(unit)))

    async def create_assignment(self, ctx: Context, key: RequestKey | None, request: AssignmentRequest) -> Reply:
        creation = Creation(ctx=ctx, request=request, key=key)
        return await self._writer.run_in_set(self._create_assignments, creation)
