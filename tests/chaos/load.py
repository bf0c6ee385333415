"""Callers that keep asking until they are told to stop."""

import asyncio
from collections.abc import Awaitable, Sequence

from tests.chaos.book import Asked, Book
from tests.chaos.world import World
from tests.support.client import Client

PAUSE_SECONDS = 0.05  # after a refusal


async def load(
    book: Book,
    world: World,
    clients: Sequence[Client],
    stop: asyncio.Event,
    *,
    callers: int = 20,
    repeats: float = 0.2,
    most: int = 10**9,
) -> None:
    """Each caller sends new requests and, at random, some again that were sent before or are under way."""
    draws = world.draws
    sent = 0
    recent: list[Asked] = []

    async def caller(client: Client) -> None:
        nonlocal sent
        while not stop.is_set() and sent < most:
            if recent and draws.random() < repeats:
                asked = draws.choice(recent[-40:])
            else:
                asked = book.take(world.mixed(book))
                recent.append(asked)
                sent += 1
            if not await book.send(client, asked):
                await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(caller(clients[number % len(clients)]) for number in range(callers)))


async def under_load(
    book: Book, world: World, client: Client, meanwhile: Awaitable[object], **options: int | float
) -> None:
    """Load for as long as `meanwhile` takes."""
    stop = asyncio.Event()
    loading = asyncio.create_task(load(book, world, [client], stop, **options))  # type: ignore[arg-type]
    try:
        await meanwhile
    finally:
        stop.set()
        await loading
