"""A server under attack, as somebody else sees it: whether it answers health."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.chaos.book import Book

EVERY_SECONDS = 0.1


@asynccontextmanager
async def health_watched(target: str, book: Book, deadline: float) -> AsyncIterator[list[float]]:
    """How long each check took, by its own connection. Two in a row that miss the deadline (seconds) are broken."""
    took: list[float] = []

    async def watch() -> None:
        missed = 0
        async with grpc.aio.insecure_channel(target) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while True:
                began = time.monotonic()
                try:
                    answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=deadline)
                    missed = 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else missed + 1
                except grpc.aio.AioRpcError as error:
                    missed += 1
                    book.codes[f"health {error.code().name}"] += 1
                took.append(time.monotonic() - began)
                if missed == 2:
                    book.broken.append("two health checks in a row were not answered")
                await asyncio.sleep(EVERY_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield took
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
