"""Callers that keep asking until they are told to stop."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from tests.chaos.book import CREATE_ASSIGNMENT, Asked, Book
from tests.chaos.world import World
from tests.support.client import Client

T = TypeVar("T")

CALLERS = 20
PAUSE_SECONDS = 0.05  # after a refusal


async def load(
    book: Book,
    world: World,
    clients: Sequence[Client],
    stop: asyncio.Event,
    *,
    callers: int = CALLERS,
    repeats: float = 0.2,
    most: int = 10**9,
) -> None:
    """Each caller sends new requests and, at random, some again that were sent before or are under way.

    `most`: assignments that are asked for, other requests and repeats not counted.
    """
    draws = world.draws
    assignments = 0
    recent: list[Asked] = []

    async def caller(client: Client) -> None:
        nonlocal assignments
        while not stop.is_set() and assignments < most:
            if recent and draws.random() < repeats:
                asked = draws.choice(recent[-40:])
            else:
                asked = book.take(world.mixed(book))
                recent.append(asked)
                assignments += asked.method == CREATE_ASSIGNMENT
            if not await book.send(client, asked):
                await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(caller(clients[number % len(clients)]) for number in range(callers)))


async def under_load(book: Book, world: World, client: Client, meanwhile: Awaitable[T]) -> T:
    """Load for as long as `meanwhile` takes, whose result it returns."""
    stop = asyncio.Event()
    loading = asyncio.create_task(load(book, world, [client], stop))
    try:
        return await meanwhile
    finally:
        stop.set()
        await loading
