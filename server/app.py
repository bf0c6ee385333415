"""The composition root: the one place that knows all the parts. Start and stop stand on this page."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.api.server import GrpcServer
from server.api.servicers.assignments import created_bytes
from server.carrier.in_house import InHouseCarrier
from server.config import Environment, Settings
from server.domain.ports import Carrier, Clock, RemoteCarrier
from server.service.assignments import CreateAssignments
from server.service.calls import Calls, Terms
from server.service.remote import RemoteBindings
from server.service.tasks import Tasks
from server.service.waiting import Settlements
from server.service.writer import Writer
from server.storage import open_storage, schema
from server.storage.postgres import PostgresStorage
from server.storage.sqlite import SqliteStorage

GRACE_SECONDS = 10.0
QUEUE_MAX = 2_000
LEASE_MARGIN = timedelta(seconds=20)  # over the carrier's limit: a live worker's call is never taken over


@dataclass(frozen=True, slots=True)
class Running:
    port: int


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(
    settings: Settings, *, carrier: Carrier | RemoteCarrier | None = None, clock: Clock = utc_now
) -> AsyncIterator[Running]:
    """The server, from its first answered call to its last commit.

    Raises StorageUnavailable, FileInUse, SchemaTooNew, SchemaTooOld, PortTaken.
    """
    async with AsyncExitStack() as stack:
        storage = await _open(settings, stack)
        writer = Writer(storage, batch_max=settings.group_commit_max, queue_max=QUEUE_MAX)
        settlements = Settlements(storage, settings.carrier_timeout)
        carrier = carrier or InHouseCarrier()
        in_house = None if isinstance(carrier, RemoteCarrier) else carrier
        create = CreateAssignments(carrier=in_house, lease=_lease(settings), render=created_bytes)
        remote = None
        if isinstance(carrier, RemoteCarrier):
            remote = RemoteBindings(
                storage=storage,
                writer=writer,
                carrier=carrier,
                render=created_bytes,
                clock=clock,
                lease=_lease(settings),
                settlements=settlements,
                tasks=Tasks(),
            )
        server = GrpcServer(Calls(storage, writer, create, settlements, remote, clock, _terms(settings)))
        port = server.bind(settings.host, settings.port)
        writer.start()
        stack.push_async_callback(writer.close)
        if remote is not None:
            remote.start()
            stack.push_async_callback(remote.close)
        await server.start()
        stack.push_async_callback(server.stop, GRACE_SECONDS)
        await storage.ping()
        await server.set_serving(True)
        yield Running(port)


async def _open(settings: Settings, stack: AsyncExitStack) -> SqliteStorage | PostgresStorage:
    storage = open_storage(settings.url)
    stack.push_async_callback(storage.close)
    if isinstance(storage, SqliteStorage):
        storage.hold()
        await schema.migrate(settings.url)
    else:
        await schema.check(settings.url)
    return storage


def _lease(settings: Settings) -> timedelta:
    return settings.carrier_timeout + LEASE_MARGIN


def _terms(settings: Settings) -> Terms:
    return Terms(
        withholds_premium=settings.withhold_premium,
        session_ttl=settings.session_ttl,
        past_starts_allowed=settings.environment is Environment.SANDBOX,
    )
