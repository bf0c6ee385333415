"""A circuit breaker: leaves alone, for a while, somebody who keeps failing."""

import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Self

import structlog

log = structlog.get_logger()


class State(StrEnum):
    CLOSED = "closed"  # everything is let through
    OPEN = "open"  # nothing is
    HALF_OPEN = "half-open"  # one call is, to see


class BreakerOpen(Exception):
    """Not now: it failed too often just before."""


class Permit:
    """Leave to call once, as a block: with a verdict inside, or with none if the call showed nothing."""

    def __init__(self, breaker: "CircuitBreaker", kind: str) -> None:
        self._breaker = breaker
        self._kind = kind
        self._term = breaker.term

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._breaker.learn_nothing)

    def succeeded(self) -> None:
        self._end(partial(self._breaker.succeed, self._kind))

    def failed(self) -> None:
        self._end(partial(self._breaker.fail, self._kind))

    def _end(self, verdict: Callable[[], None]) -> None:
        if self._term == self._breaker.term:  # else the state has changed since, and this is about the past
            verdict()


class CircuitBreaker:
    """Opens after so many failures in a row, rests, then tries one call: on success it closes, on failure it rests on.

    A success ends the row for its own kind of calls: of a kind that always fails, it says nothing.

    `on_change` is told True when it closes and False when it opens, but not about trials that fail; `on_state` is
    told each state, the first one too.
    """

    def __init__(
        self,
        *,
        failures_to_open: int,
        rest_seconds: float,
        on_change: Callable[[bool], None],
        on_state: Callable[[str], object] = lambda _state: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures_to_open = failures_to_open
        self._rest_seconds = rest_seconds
        self._on_change = on_change
        self._clock = clock
        self._failures: Counter[str] = Counter()  # in a row, by kind
        self._rest_ends = 0.0
        self._on_state = on_state
        self.state = State.CLOSED
        self.term = 0  # grows with every change of state
        on_state(self.state)

    def check(self) -> None:
        """Raises BreakerOpen if a permit would be refused now."""
        rested = self.state is State.OPEN and self._clock() >= self._rest_ends
        if not (rested or self.state is State.CLOSED):
            raise BreakerOpen

    def permit(self, kind: str = "") -> Permit:
        """Raises BreakerOpen."""
        self.check()
        if self.state is State.OPEN:
            self._become(State.HALF_OPEN)  # whoever asks first tries it; the others are refused until it is back
        return Permit(self, kind)

    def succeed(self, kind: str) -> None:
        del self._failures[kind]
        if self.state is State.HALF_OPEN:
            self._become(State.CLOSED)
            self._on_change(True)

    def fail(self, kind: str) -> None:
        self._failures[kind] += 1
        if self.state is State.HALF_OPEN:
            self._rest()
        elif self._failures.total() >= self._failures_to_open:
            self._rest()
            self._on_change(False)

    def learn_nothing(self) -> None:
        if self.state is State.HALF_OPEN:
            self._become(State.OPEN)  # well rested: the next one tries

    def _rest(self) -> None:
        self._rest_ends = self._clock() + self._rest_seconds
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        self.state = state
        self.term += 1
        self._on_state(state)
        level = log.info if state is State.CLOSED else log.warning
        level("carrier breaker", state=str(state), failures=self._failures.total())
