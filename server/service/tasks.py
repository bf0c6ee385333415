"""Work that goes on when its caller goes away, and that the server waits for when it stops."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

ASK_AGAIN_SECONDS = 0.25


async def cancelled(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Returns when they have ended.

    One cancellation may be lost below us: `asyncio.wait_for`, which drivers and their pools use, does so before
    Python 3.12 when it comes together with what was waited for. A loop would then go on for ever, and so would a stop.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=ASK_AGAIN_SECONDS)


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._loops: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def start_loop(self, work: Coroutine[Any, Any, None]) -> None:
        """Work without an end: `drain` stops it."""
        self._loops.add(asyncio.create_task(work))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever waits for the task has it too

    async def drain(self) -> None:
        await cancelled(self._loops)
        while self._running:
            await asyncio.wait(self._running)
