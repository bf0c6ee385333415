"""What operators see: the layers tell an observer what happens, and do not know what it makes of it.

An observer is on the path of each call: it fails no call, waits for nothing, and is never given what a message holds.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

Metadata = Iterable[tuple[str, str | bytes]]

Ended = Callable[[str, float], object]
"""Told how a call ended: the name of its status code, and how many seconds it took."""

Began = Callable[[Metadata, str], Ended]
"""Told of a call as it comes: its metadata and its call id."""


class Observer:
    """One that looks away. Others override what they want to see."""

    def call(self, method: str, *, streamed: bool) -> Began:
        """Asked once for each method of the API, by its full name. Who is told so may set the call's context."""
        return _looks_away

    def decided(self, outcome: str, reasons: Sequence[str]) -> None:
        """An assignment was created, and its caller is told this."""

    def mark(self) -> object:
        """Of a change that is put into the queue; it is given back with the unit of work that the change was in."""
        return None

    def wrote(self, marks: Sequence[object], seconds: float, *, failed: bool) -> None:
        """A unit of work has ended. `failed`: as a whole; its changes may be tried again."""

    def placed(self, seconds: float) -> None:
        """Events have got their positions, so long after their commit in this process."""

    def told(self, recorded: datetime) -> None:
        """Events have gone out to the watchers; the first was recorded then."""

    def carrier_call(self, method: str) -> tuple[Metadata, Ended]:
        """A remote carrier is called: what its metadata has to carry, and who is to be told of the end."""
        return (), _ignored

    def breaker(self, state: str) -> None:
        """The state of the carrier's circuit breaker, at first and whenever it changes."""


def _ignored(_code: str, _seconds: float) -> None:
    pass


def _looks_away(_metadata: Metadata, _call_id: str) -> Ended:
    return _ignored


UNOBSERVED = Observer()


class Observers(Observer):
    """Several, each told of everything."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def call(self, method: str, *, streamed: bool) -> Began:
        all_began = [observer.call(method, streamed=streamed) for observer in self._observers]
        return lambda metadata, call_id: _each([began(metadata, call_id) for began in all_began])

    def decided(self, outcome: str, reasons: Sequence[str]) -> None:
        for observer in self._observers:
            observer.decided(outcome, reasons)

    def mark(self) -> object:
        return [observer.mark() for observer in self._observers]

    def wrote(self, marks: Sequence[object], seconds: float, *, failed: bool) -> None:
        for observer, own in zip(self._observers, zip(*marks, strict=True), strict=True):
            observer.wrote(own, seconds, failed=failed)

    def placed(self, seconds: float) -> None:
        for observer in self._observers:
            observer.placed(seconds)

    def told(self, recorded: datetime) -> None:
        for observer in self._observers:
            observer.told(recorded)

    def carrier_call(self, method: str) -> tuple[Metadata, Ended]:
        calls = [observer.carrier_call(method) for observer in self._observers]
        return [pair for metadata, _ in calls for pair in metadata], _each([ended for _, ended in calls])

    def breaker(self, state: str) -> None:
        for observer in self._observers:
            observer.breaker(state)


def together(observers: Sequence[Observer]) -> Observer:
    """One that stands for all of them."""
    if not observers:
        return UNOBSERVED
    return observers[0] if len(observers) == 1 else Observers(observers)


def _each(all_ended: Sequence[Ended]) -> Ended:
    def ended(code: str, seconds: float) -> None:
        for one in all_ended:
            one(code, seconds)

    return ended
