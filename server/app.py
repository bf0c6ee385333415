"""The composition root: the one place that knows all the parts. Start and stop stand on this page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from server.api.server import GrpcServer
from server.api.servicers.assignments import created_bytes
from server.carrier.in_house import InHouseCarrier
from server.config import Environment, Settings
from server.domain.ports import Carrier, Clock, Storage
from server.service.assignments import CreateAssignments
from server.service.calls import Calls, Terms
from server.service.writer import Writer
from server.storage import open_storage, schema
from server.storage.sqlite import SqliteStorage

log = structlog.get_logger()

GRACE_SECONDS = 10.0
QUEUE_MAX = 2_000
PING_SECONDS = 1.0
PINGS_MISSED = 2  # in a row: one may be a connection that was ended while idle


@dataclass(frozen=True, slots=True)
class Running:
    port: int


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(
    settings: Settings, *, carrier: Carrier | None = None, clock: Clock = utc_now
) -> AsyncIterator[Running]:
    """The server, from its first answered call to its last commit.

    Raises StorageUnavailable, FileInUse, SchemaTooNew, SchemaTooOld, PortTaken.
    """
    storage = open_storage(settings.url)
    try:
        if isinstance(storage, SqliteStorage):
            storage.hold()
            await schema.migrate(settings.url)
        else:
            await schema.check(settings.url)
        writer = Writer(storage, batch_max=settings.group_commit_max, queue_max=QUEUE_MAX)
        create_assignments = CreateAssignments(carrier or InHouseCarrier(), created_bytes)
        server = GrpcServer(Calls(storage, writer, create_assignments, clock, _terms(settings)))
        port = server.bind(settings.host, settings.port)
        writer.start()
        await server.start()
        try:
            async with _health(storage, server):
                yield Running(port)
        finally:
            await server.stop(GRACE_SECONDS)
            await writer.close()
    finally:
        await storage.close()


async def migrated(settings: Settings) -> None:
    """Brings the database to this version's schema. Raises StorageUnavailable, FileInUse, SchemaTooNew."""
    storage = open_storage(settings.url)
    try:
        if isinstance(storage, SqliteStorage):
            storage.hold()
        await schema.migrate(settings.url)
    finally:
        await storage.close()


@asynccontextmanager
async def _health(storage: Storage, server: GrpcServer) -> AsyncIterator[None]:
    """SERVING from the moment that storage answers, for as long as it does. Raises StorageUnavailable."""
    await storage.ping()
    await server.set_serving(True)
    following = asyncio.create_task(_follow(storage, server), name="health")
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait([following])


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


def _terms(settings: Settings) -> Terms:
    return Terms(
        withholds_premium=settings.withhold_premium,
        session_ttl=settings.session_ttl,
        past_starts_allowed=settings.environment is Environment.SANDBOX,
    )
