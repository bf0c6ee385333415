"""Loops that are to end, although something below them may lose a cancellation."""

import asyncio

from server.service.tasks import Tasks


async def test_a_loop_that_loses_a_cancellation_ends_all_the_same() -> None:
    rounds = 0

    async def loop() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if rounds > 1:
                    raise

    tasks = Tasks()
    tasks.start_loop(loop())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await tasks.drain()
    assert rounds == 2
