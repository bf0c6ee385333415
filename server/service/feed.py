"""Live events: one reader a process, woken by commits, that hands what is new to all who watch.

On PostgreSQL its rounds also give committed events their positions (`Storage.sequence`): each server sees to its own
commits at once, and to those of one that has died by looking around.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

import structlog

from server.domain.errors import DomainError, Overloaded, Retryable, ServerStopping
from server.domain.events import Event, EventType
from server.domain.observing import UNOBSERVED, Observer
from server.domain.outbox import EventFilter
from server.domain.ports import Conflict, Storage, Unit
from server.service.events import position_of

log = structlog.get_logger()

MOST_EVENTS = 400  # in a look: more than come between two rounds at the highest rate
MOST_BYTES = 1024 * 1024  # in a message of several events: clients take 4 MiB at most
MOST_UNREAD = 8_000  # events that wait for a watcher
MOST_PLACED = 500  # in one transaction of the sequencer
POLL_SECONDS = 0.1  # for what other processes commit
KNOWN_SECONDS = 0.25  # between two looks at watchers' keys
REST_SECONDS, MOST_REST_SECONDS = 0.005, 0.04  # between rounds
REST_SECONDS_AN_EVENT = 0.001  # of the last round: the more there are, the more commits share one

Types = frozenset[EventType]


class Render(Protocol):
    """An event as a message, or, batched, as a part of one: such a message is its parts one after the other."""

    def __call__(self, event: Event, *, batched: bool) -> bytes: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a watcher asks for."""

    platform: str
    types: Types  # empty: all
    batched: bool  # many events a message


class News:
    """Events that came out together: each is rendered once, and so is each choice of them, however many watch."""

    def __init__(self, events: Sequence[Event], render: Render) -> None:
        self._events = events
        self._render = cache(render)
        self._chosen: dict[tuple[Wanted, int], Sequence[bytes]] = {}
        self.count = len(events)
        self.first, self.last = (place(events[0]), place(events[-1]))

    def of(self, wanted: Wanted, seen: int) -> Sequence[bytes]:
        """Those after the position seen, as messages; none when there is nothing for whom asks."""
        key = (wanted, seen if seen >= self.first else 0)
        if key not in self._chosen:
            parts = [
                self._render(event, batched=wanted.batched)
                for event in self._events
                if place(event) > seen
                and event.platform == wanted.platform
                and (not wanted.types or event.type in wanted.types)
            ]
            self._chosen[key] = list(_together(parts)) if wanted.batched else parts
        return self._chosen[key]


def _together(parts: Sequence[bytes]) -> Iterator[bytes]:
    """As few messages as may be."""
    start, size = 0, 0
    for end, part in enumerate(parts):
        if end > start and size + len(part) > MOST_BYTES:
            yield b"".join(parts[start:end])
            start, size = end, 0
        size += len(part)
    if parts:
        yield b"".join(parts[start:])


def place(event: Event) -> int:
    """The position of an event that was read, which has one."""
    assert event.position is not None  # noqa: S101
    return event.position


class _Watcher:
    def __init__(self, wanted: Wanted, still_known: Callable[[], object]) -> None:
        self._wanted = wanted
        self._still_known = still_known
        self._news: deque[News] = deque()
        self._unread = 0  # events in them
        self._arrived = asyncio.Event()
        self._over: DomainError | None = None

    def tell(self, news: News) -> None:
        if not news.of(self._wanted, 0):  # others', which must not fill its queue
            return
        if self._news and self._unread + news.count > MOST_UNREAD:
            self.end(Overloaded(limit="the watcher reads too slowly"))
        elif self._over is None:
            self._news.append(news)
            self._unread += news.count
            self._arrived.set()

    def require_known(self) -> None:
        """Ends it when its caller's key does not count any more."""
        try:
            self._still_known()
        except DomainError as error:
            self.end(error)

    def end(self, why: DomainError) -> None:
        self._over = why
        self._news.clear()
        self._arrived.set()

    async def next(self) -> News:
        """Raises Overloaded, ServerStopping, InvalidCredentials."""
        while not self._news:
            if self._over is not None:
                raise self._over
            self._arrived.clear()
            await self._arrived.wait()
        news = self._news.popleft()
        self._unread -= news.count
        return news


class Feed:
    def __init__(
        self, storage: Storage, render: Render, *, most_watchers: int, observer: Observer = UNOBSERVED
    ) -> None:
        self._storage = storage
        self._render = render
        self._most_watchers = most_watchers
        self._observer = observer
        self.streams = 0
        self._committed = 0.0  # when `wake` was called first of those times that no round has seen to
        self._watchers: set[_Watcher] = set()
        self._last = 0  # what the watchers have been told of
        self._woken = asyncio.Event()
        self._stopping = False
        self._known_until = 0.0

    def wake(self) -> None:
        """Something was committed by this process."""
        self._committed = self._committed or time.monotonic()
        self._woken.set()

    def stop(self) -> None:
        """Ends all streams, and takes no more."""
        self._stopping = True
        for watcher in self._watchers:
            watcher.end(ServerStopping())

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._woken.clear()
            rest = MOST_REST_SECONDS
            try:
                rest = min(rest, max(REST_SECONDS, REST_SECONDS_AN_EVENT * await self._round()))
            except (Retryable, Conflict) as error:
                log.warning("events put off", reason=type(error).__name__)
            except Exception:
                log.exception("events put off")
            await asyncio.sleep(rest)
            # Not `wait_for`, which before Python 3.12 may swallow a cancellation that comes with what it waits for.
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()

    async def finish(self) -> None:
        """What the last units have recorded gets its positions now, and not from whoever comes next."""
        try:
            await self._place()
        except (Retryable, Conflict) as error:
            log.warning("events put off", reason=type(error).__name__)

    async def watch(self, wanted: Wanted, after: str, still_known: Callable[[], object]) -> AsyncGenerator[bytes, None]:
        """What was missed, then what comes, for as long as the caller is known: `still_known` raises when it is not.

        Raises NotFound for `after`, Overloaded, ServerStopping, InvalidCredentials.
        """
        with self._stream():
            seen = await self._storage.read(lambda unit: position_of(unit, wanted.platform, after), wanted.platform)
            more = True
            while more:
                still_known()
                missed, seen = await self._missed(wanted, seen)
                more = len(missed) == MOST_EVENTS
                for message in self._messages(missed, wanted):
                    yield message
            with self._joined(wanted, seen, still_known) as (watcher, told):
                while seen < told:  # came out between the last look and joining
                    missed, seen = await self._missed(wanted, seen)
                    for message in self._messages(missed, wanted):
                        yield message
                while True:
                    news = await watcher.next()
                    for message in news.of(wanted, seen):
                        yield message
                    seen = max(seen, news.last)

    def _messages(self, missed: Sequence[Event], wanted: Wanted) -> Sequence[bytes]:
        return News(missed, self._render).of(wanted, 0) if missed else ()

    async def _missed(self, wanted: Wanted, seen: int) -> tuple[Sequence[Event], int]:
        """Events after a position, and the position up to which there are no others. Raises ServerStopping."""
        if self._stopping:
            raise ServerStopping

        def look(unit: Unit) -> tuple[Sequence[Event], int]:
            last = unit.events.last_position()  # first: what comes out between the two is read then
            events = unit.events.after(wanted.platform, seen, MOST_EVENTS, EventFilter(types=wanted.types))
            upto = place(events[-1]) if events else seen
            return events, upto if len(events) == MOST_EVENTS else max(upto, last)

        return await self._storage.read(look, wanted.platform)

    @contextmanager
    def _stream(self) -> Iterator[None]:
        if self._stopping:
            raise ServerStopping
        if self.streams >= self._most_watchers:
            raise Overloaded(limit="watchers")
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    @contextmanager
    def _joined(self, wanted: Wanted, seen: int, still_known: Callable[[], object]) -> Iterator[tuple[_Watcher, int]]:
        """A watcher, and the position after which it will be told of everything."""
        if not self._watchers:
            self._last = seen
        watcher = _Watcher(wanted, still_known)
        self._watchers.add(watcher)
        try:
            yield watcher, self._last
        finally:
            self._watchers.discard(watcher)

    async def _round(self) -> int:
        """How many events it has seen to."""
        if self._known_until <= time.monotonic():
            self._known_until = time.monotonic() + KNOWN_SECONDS
            for watcher in self._watchers:
                watcher.require_known()
        count = await self._place()
        told, more, brief = 0, True, True  # the first page only: watchers are to read between it and others
        while self._watchers and more:
            last = self._last
            events = await self._storage.read(partial(_next, last=last), brief=brief)
            brief = False
            if not events or self._last != last:  # other watchers came meanwhile, who begin elsewhere
                break
            told += len(events)
            self._last = place(events[-1])
            news = News(events, self._render)
            for watcher in self._watchers:
                watcher.tell(news)
            self._observer.told(events[0].create_time)
            more = len(events) == MOST_EVENTS
        return max(count, told)

    async def _place(self) -> int:
        """How many events, or entries of the audit trail, got their places."""
        committed, self._committed = self._committed, 0.0
        placed, count = MOST_PLACED, 0
        while placed == MOST_PLACED:
            placed = await self._storage.sequence(MOST_PLACED)
            count += placed
            if placed and committed:  # else by a unit of SQLite's, or for another process
                self._observer.placed(time.monotonic() - committed)
        return count


def _next(unit: Unit, last: int) -> Sequence[Event]:
    return unit.events.next(last, MOST_EVENTS)
