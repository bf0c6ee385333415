"""The composition root: the one place that knows all the parts. Start and stop stand on this page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from server.api.server import GrpcServer
from server.api.servicers.assignments import created_bytes
from server.carrier.in_house import InHouseCarrier
from server.config import Environment, Settings
from server.domain.ports import Carrier, Clock
from server.service.assignments import CreateAssignments
from server.service.calls import Calls, Terms
from server.service.writer import Writer
from server.storage import open_storage, schema
from server.storage.sqlite import SqliteStorage

log = structlog.get_logger()

GRACE_SECONDS = 10.0
QUEUE_MAX = 2_000


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
        await storage.ping()
        await server.set_serving(True)
        try:
            yield Running(port)
        finally:
            await server.stop(GRACE_SECONDS)
            await writer.close()
    finally:
        await storage.close()


def _terms(settings: Settings) -> Terms:
    return Terms(
        withholds_premium=settings.withhold_premium,
        session_ttl=settings.session_ttl,
        past_starts_allowed=settings.environment is Environment.SANDBOX,
    )
