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

import asyncpg

from server import app
from server.config import Settings
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
LONGEST_SECONDS = 0.08  # to the cancellation: some are not sent by then, some have their answer
FAULTS = ("--fault", "answers-late", "--share", "0.5", "--late", "0.1")

Locks = Callable[[], Awaitable[list[str]]]


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
    with _seen() as storages:
        async with app.running(settings) as server:
            (storage,) = storages
            async with client_of(f"127.0.0.1:{server.port}") as client:
                world = await World.create(client, seed, 20)
                before = await _speed(client, book, world)
                tasks = _tasks()
                gone = await _cancel(client, book, world, calls)
                await _quiet(book, storage, tasks, locks)
                await checks.rest(client, book, QUIET_SECONDS)
                after = await _speed(client, book, world)
                if after > SLOWER_AT_MOST * before:
                    book.broken.append(f"a call took {before * 1000:.1f} ms before and {after * 1000:.1f} ms after")
                await book.settle_all(client, book.unsettled)
                await checks.kept(client, book, world.contractors)
    result.notes.append(
        f"{gone} cancelled before their answer; a call took {before * 1000:.1f} ms before, {after * 1000:.1f} ms after"
    )
    return book


async def _cancel(client: Client, book: Book, world: World, calls: int) -> int:
    """Some ask for what was cancelled before. Returns how many had no answer when they were cancelled."""
    draws = Random(f"{world.draws.random()}/cancel")
    slots = asyncio.Semaphore(CALLERS)
    gone = 0

    async def one() -> None:
        nonlocal gone
        async with slots:
            lost = book.unsettled[-20:]
            again = lost and draws.random() < 0.2
            asked = draws.choice(lost) if again else book.take(world.mixed(book))
            call = asyncio.create_task(book.send(client, asked))
            await asyncio.wait([call], timeout=draws.uniform(0.0, LONGEST_SECONDS))
            gone += not call.done()
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call

    await asyncio.gather(*(one() for _ in range(calls)))
    return gone


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
