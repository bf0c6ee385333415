"""Health follows storage: SERVING from the moment that it answers, for as long as it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from server.api.server import GrpcServer
from server.domain.ports import Storage
from server.service.tasks import cancelled

log = structlog.get_logger()

PING_SECONDS = 1.0
PINGS_MISSED = 2  # in a row: one may be a connection that was ended while idle


@asynccontextmanager
async def following(storage: Storage, server: GrpcServer) -> AsyncIterator[None]:
    """Raises StorageUnavailable when storage does not answer at first."""
    await storage.ping()
    await server.set_serving(True)
    task = asyncio.create_task(_follow(storage, server), name="health")
    try:
        yield
    finally:
        await cancelled([task])


async def _follow(storage: Storage, server: GrpcServer) -> None:
    missed, serving = 0, True
    while True:
        await asyncio.sleep(PING_SECONDS)
        try:
            await storage.ping()
            missed = 0
        except Exception:
            missed += 1
        if serving != (missed < PINGS_MISSED):
            serving = not serving
            await server.set_serving(serving)
            log.warning("storage answers again" if serving else "storage does not answer")
