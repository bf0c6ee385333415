"""Calls cancelled at random moments: nothing of them stays behind in the server, which goes on as before.

The server runs in this process, so that its tasks and connections can be counted.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from weakref import WeakSet

import asyncpg

from server import app
from server.config import Settings
from server.domain.observing import Began, Observer
from tests.chaos import checks
from tests.chaos.audits import audit
from tests.chaos.book import Book
from tests.chaos.processes import carried, client_of
from tests.chaos.result import Result
from tests.chaos.world import World
from tests.support.client import Client

CALLERS = 40
PROBES = 60
SLOWER_AT_MOST = 10.0  # times: what waits for a lock or a connection takes far longer
QUIET_SECONDS = 20.0
TRIES = 10  # at most, for each call that is cancelled under way: it takes two or three
FIRST_LONGEST_SECONDS = 0.08  # to the cancellation
LATER, SOONER = 1.03, 0.91  # so that in the end one call in four has its answer by then, however fast the machine is
FAULTS = ("--fault", "answers-late", "--share", "0.5", "--late", "0.1")

Locks = Callable[[], Awaitable[list[str]]]


class Leavers(Observer):
    """Calls whose caller left when their change was in the queue, or further on."""

    def __init__(self) -> None:
        self.count = 0
        self._queued: WeakSet[asyncio.Task[Any]] = WeakSet()

    def call(self, method: str, *, streamed: bool) -> Began:
        return lambda _metadata, _call_id: self._ended

    def mark(self) -> None:
        if task := asyncio.current_task():
            self._queued.add(task)

    def _ended(self, code: str, _seconds: float) -> None:
        self.count += code == "CANCELLED" and asyncio.current_task() in self._queued


async def run(folder: Path, url: str, seed: object, *, calls: int, remote: bool, locks: Locks | None = None) -> Result:
    """`locks`: what the database itself still sees of the server, once it is quiet."""
    kind = url.partition("+")[0]
    result = Result(f"cancelled calls, {kind}{', carrier' if remote else ''}", rounds=1)
    if remote:
        async with carried(folder / "carrier", *FAULTS) as carrier:
            settings = Settings(port=0, database_url=url, carrier=carrier.target)
            book = await _cancelled(settings, seed, calls, locks, result)
    else:
        book = await _cancelled(Settings(port=0, database_url=url), seed, calls, locks, result)
    await audit(url, book)
    result.add(book)
    return result


async def _cancelled(settings: Settings, seed: object, calls: int, locks: Locks | None, result: Result) -> Book:
    book = Book()
    leavers = Leavers()
    with _seen() as storages:
        async with app.running(settings, observers=[leavers]) as server:
            (storage,) = storages
            async with client_of(f"127.0.0.1:{server.port}") as client:
                world = await World.create(client, seed, 20)
                before = await _speed(client, book, world)
                tasks = _tasks()
                tried = await _cancel(client, book, world, calls, leavers)
                await _quiet(book, storage, tasks, locks)
                await checks.rest(client, book, QUIET_SECONDS)
                after = await _speed(client, book, world)
                if after > SLOWER_AT_MOST * before:
                    book.broken.append(f"a call took {before * 1000:.1f} ms before and {after * 1000:.1f} ms after")
                await book.settle_all(client, book.unsettled)
                await checks.kept(client, book, world.contractors)
    result.notes.append(
        f"{leavers.count} of {tried} were cancelled under way; a call took {before * 1000:.1f} ms before, "
        f"{after * 1000:.1f} ms after"
    )
    return book


async def _cancel(client: Client, book: Book, world: World, calls: int, leavers: Leavers) -> int:
    """Until so many were under way in the server. Some ask for what was cancelled before. Returns how many it took."""
    draws = Random(f"{world.draws.random()}/cancel")
    tried = 0
    longest = FIRST_LONGEST_SECONDS

    async def caller() -> None:
        nonlocal tried, longest
        while leavers.count < calls and tried < TRIES * calls:
            tried += 1
            lost = book.unsettled[-20:]
            again = lost and draws.random() < 0.2
            asked = draws.choice(lost) if again else book.take(world.mixed(book))
            call = asyncio.create_task(book.send(client, asked))
            await asyncio.wait([call], timeout=draws.uniform(0.0, longest))
            longest *= SOONER if call.done() else LATER
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    if leavers.count < calls:
        book.broken.append(f"only {leavers.count} calls were cancelled under way, of {tried}")
    return tried


async def _speed(client: Client, book: Book, world: World) -> float:
    """Seconds of a call, when no other runs."""
    took = []
    for _ in range(PROBES):
        began = time.monotonic()
        await book.settle(client, book.take(world.assignment()))
        took.append(time.monotonic() - began)
    return median(took)


async def _quiet(book: Book, storage: Any, tasks: Counter[str], locks: Locks | None) -> None:
    """No task more than before, no connection in use, no lock held: soon, and by itself."""
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        left = [f"{count} tasks {name}" for name, count in (_tasks() - tasks).items()]
        left += [f"{in_use} connections of {engine}" for engine, in_use in _connections(storage).items() if in_use]
        left += await locks() if locks and not left else []
        if not left:
            return
        if time.monotonic() > deadline:
            book.broken.append(f"left behind after {QUIET_SECONDS:.0f} s: {'; '.join(left)}")
            return
        await asyncio.sleep(0.1)


def _tasks() -> Counter[str]:
    """By what they run, which is what tells the server's own from those of calls."""
    return Counter(getattr(task.get_coro(), "__qualname__", repr(task)) for task in asyncio.all_tasks())


def _connections(storage: Any) -> dict[str, int]:
    return {name: in_use for name, (in_use, _) in storage.connections().items()}


@contextmanager
def _seen() -> Iterator[list[Any]]:
    """The storage that the app opens meanwhile."""
    root: Any = app
    opened: list[Any] = []
    real = root.open_storage

    def opening(*arguments: Any) -> Any:
        opened.append(real(*arguments))
        return opened[-1]

    root.open_storage = opening
    try:
        yield opened
    finally:
        root.open_storage = real


def sqlite_locks(path: Path) -> Locks:
    """Nobody holds the file's write lock, or a reader's view that keeps the WAL from being taken over."""

    async def held() -> list[str]:
        connection = sqlite3.connect(path, timeout=0.2, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            return [f"the write lock: {error}"]
        finally:
            connection.close()
        return []

    return held


def postgres_locks(url: str) -> Locks:
    """No backend of the server is in a transaction, and none holds or awaits a lock."""

    async def held() -> list[str]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            busy = await connection.fetch(
                "SELECT state, count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle' GROUP BY state"
            )
            locks = await connection.fetchval(
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()
        found = [f"{row['count']} backends {row['state']}" for row in busy]
        return [*found, f"{locks} locks"] if locks else found

    return held
