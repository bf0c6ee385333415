"""Two servers with several workers each, over one PostgreSQL, all after the same contractors."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.chaos import checks
from tests.chaos.audits import audit
from tests.chaos.book import CREATE_ASSIGNMENT, Book
from tests.chaos.load import load
from tests.chaos.processes import client_of, killed_at_end, optin_serve
from tests.chaos.result import Result
from tests.chaos.world import World

CHANNELS = 16  # to each server: the kernel gives each connection to one of its workers
REPEATS = 0.3


async def run(
    folder: Path, url: str, seed: object, *, servers: int, workers: int, assignments: int, contractors: int
) -> Result:
    result = Result(f"{servers} servers x {workers} workers", rounds=1)
    book = Book()
    async with AsyncExitStack() as stack:
        processes = stack.enter_context(killed_at_end([]))
        for number in range(servers):
            arguments = ("--port", "0", "--database-url", url, "--workers", str(workers))
            processes.append(optin_serve(folder / f"server-{number}.log", *arguments))
        targets = [await process.listens() for process in processes]
        channels = servers * CHANNELS
        clients = [await stack.enter_async_context(client_of(targets[n % len(targets)])) for n in range(channels)]
        world = await World.create(clients[0], seed, contractors)
        began = asyncio.get_running_loop().time()
        await load(book, world, clients, asyncio.Event(), callers=4 * channels, repeats=REPEATS, most=assignments)
        seconds = asyncio.get_running_loop().time() - began
        await book.settle_all(clients[0], book.unsettled)
        made = sum(asked.method == CREATE_ASSIGNMENT for asked in book.promises)
        if made < assignments:
            book.broken.append(f"{made} assignments were created, not {assignments}")
        await checks.kept(clients[0], book, world.contractors)
        for process in processes:
            await process.end()
    await audit(url, book)
    result.add(book)
    result.notes.append(f"{sum(book.codes.values()) / seconds:.0f} calls a second, slowest {book.slowest:.1f} s")
    return result
