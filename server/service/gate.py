"""The gate that every call passes, before it is parsed: a bound on calls in flight, and the way out at stop."""

import asyncio
import time
from collections import Counter
from typing import NoReturn

import structlog

from server.domain.errors import Overloaded, ServerStopping

log = structlog.get_logger()

TELL_SECONDS = 1.0
QUIET_SECONDS = 0.05
QUIET_ROUNDS = 10
ON_THEIR_WAY_SECONDS = 0.15
TURN_AWAY_SECONDS = 2.0
RECENT_SECONDS = 1.0  # who called so lately may be about to call again


class Gate:
    def __init__(self, most: int) -> None:
        self._most = most
        self.inside = 0  # calls being answered
        self._stopping = False
        self._arrived = 0
        self._last_arrival = float("-inf")
        self._refused: Counter[str] = Counter()  # by the limit that was reached, since the last line in the log

    def __enter__(self) -> None:
        """Raises Overloaded, ServerStopping."""
        if self._stopping or self.inside >= self._most:
            self._refuse()
        self.inside += 1

    def __exit__(self, *_: object) -> None:
        self.inside -= 1

    def tell_refused(self, refusal: Overloaded) -> None:
        """In the log, by one line a second: a line each would cost more than the refusals do."""
        if not self._refused:
            asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)
        self._refused[refusal.metadata["limit"]] += 1

    def _tell(self) -> None:
        for limit, calls in self._refused.items():
            log.warning("calls refused", reason=Overloaded.reason, limit=limit, calls=calls)
        self._refused.clear()

    def require_room(self) -> None:
        """For a call that arrives, and comes in later, such as one whose message is to be received. Raises as entering
        does."""
        self._arrived += 1
        self._last_arrival = time.monotonic()
        if self._stopping or self.inside >= self._most:
            self._refuse()

    def _refuse(self) -> NoReturn:
        self.require_open()
        raise Overloaded(limit="calls in flight")

    def require_open(self) -> None:
        """For streams, which have a bound of their own and end otherwise at stop. Raises ServerStopping."""
        if self._stopping:
            raise ServerStopping

    async def turn_away(self) -> None:
        """Takes the calls that are on their way, refuses those that still come, and returns when it is quiet, or soon.

        Calls that gRPC has received but not yet handed over when it stops end as CANCELLED, which nobody sends again.
        """
        if self.inside or time.monotonic() < self._last_arrival + RECENT_SECONDS:
            await self._quiet(ON_THEIR_WAY_SECONDS)
            self._stopping = True
            await self._quiet(TURN_AWAY_SECONDS)
        self._stopping = True

    async def _quiet(self, most_seconds: float) -> None:
        """Until all calls are answered, and none has come for a moment in which the loop went round to take it."""
        most = time.monotonic() + most_seconds
        rounds = 0
        while rounds < QUIET_ROUNDS and time.monotonic() < most:
            before = self._arrived
            await asyncio.sleep(QUIET_SECONDS / QUIET_ROUNDS)
            rounds = rounds + 1 if self._arrived == before and not self.inside else 0
