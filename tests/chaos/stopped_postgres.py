"""PostgreSQL stopped and started under load."""

import asyncio
import time
from pathlib import Path
from random import Random

from tests.chaos import checks
from tests.chaos.audits import audit
from tests.chaos.book import NO_STORAGE, Book
from tests.chaos.load import CALLERS, load
from tests.chaos.processes import client_of, optin_serve
from tests.chaos.result import Result
from tests.chaos.world import World
from tests.support.postgres import PostgresCluster, StopMode

MODES: tuple[StopMode, ...] = ("fast", "immediate")
TOLD_SECONDS = 5.0  # after which callers have been told that the database is away
RECOVERY_SECONDS = 5.0
PATIENCE_SECONDS = 10.0  # of a caller, while the database is away


async def run(folder: Path, cluster: PostgresCluster, url: str, seed: object, rounds: int) -> Result:
    result = Result("postgresql stopped")
    draws = Random(f"{seed}/stops")
    book = Book(patience_seconds=PATIENCE_SECONDS)
    recoveries: list[float] = []
    server = optin_serve(folder / "server.log", "--port", "0", "--database-url", url)
    try:
        async with client_of(await server.listens()) as client:
            world = await World.create(client, seed, 20)
            stop = asyncio.Event()
            loading = asyncio.create_task(load(book, world, [client], stop))
            for number in range(rounds):
                await asyncio.sleep(draws.uniform(0.3, 1.0))
                await _stopped(book, cluster, MODES[number % len(MODES)], draws.choice((0.0, 0.5, 2.0, 5.0)))
                started = time.monotonic()
                await checks.until(lambda: time.monotonic() - max(book.last_refused, started) > 2.0, 20.0)  # noqa: B023
                recoveries.append(max(0.0, book.last_refused - started))
                if recoveries[-1] > RECOVERY_SECONDS:
                    book.broken.append(f"refused for {recoveries[-1]:.1f} s after the database was back")
                result.rounds += 1
            stop.set()
            await loading
            await book.settle_all(client, list(book.asked.values()))
            await checks.kept(client, book, world.contractors)
        if await server.end() != 0:
            book.broken.append(f"the server did not end well: {server.last_words()}")
    finally:
        server.kill()
    await audit(url, book)
    result.add(book)
    result.notes.append(f"recovered within {max(recoveries):.2f} s, slowest call {book.slowest:.1f} s")
    return result


async def _stopped(book: Book, cluster: PostgresCluster, mode: StopMode, seconds: float) -> None:
    """Away until callers were told so, and for so long then: they are told nothing else (the book looks at how)."""
    await asyncio.to_thread(cluster.stop, mode)
    before = book.codes.copy()
    if not await checks.until(lambda: book.codes[NO_STORAGE] > before[NO_STORAGE] + CALLERS, TOLD_SECONDS):
        book.broken.append(f"hardly anybody was told in {TOLD_SECONDS:.0f} s that the database is away")
    await asyncio.sleep(seconds)
    told = book.codes - before
    if told.pop("OK", 0) > CALLERS:  # answers that were on their way, one a caller
        book.broken.append("calls were answered OK without a database")
    del told[NO_STORAGE]
    if told:
        book.broken.append(f"without a database callers were told {', '.join(told)}")
    await asyncio.to_thread(cluster.start)
