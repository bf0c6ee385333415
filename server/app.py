"""The composition root: the one place that knows all the parts. Start and stop stand on this page."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from server import __version__
from server.api import render
from server.api.plain import event_data
from server.api.server import GrpcServer, PortTaken, address_of
from server.api.servicers.assignments import rendered
from server.api.servicers.events import told
from server.api.servicers.sessions import completed_bytes
from server.api.tls import Certificates
from server.carrier.in_house import InHouseCarrier
from server.config import IN_HOUSE, Environment, Settings
from server.domain.callers import Face
from server.domain.carrier import Carrier, RemoteCarrier
from server.domain.observing import Observer
from server.domain.ports import Clock, Storage
from server.health import following
from server.linked import links_of, own_names
from server.observed import observed, sampling
from server.service import expiry, retention
from server.service.access import Access
from server.service.assignments import CreateAssignments
from server.service.binding import Binder
from server.service.calls import Calls, Terms
from server.service.events import Responses, event_maker
from server.service.feed import Feed
from server.service.remote import ROUND_SECONDS as RECONCILE_SECONDS
from server.service.remote import RemoteBindings, warn_of_what_is_left
from server.service.rounds import rounds
from server.service.settling import Renders
from server.service.tasks import Tasks
from server.service.waiting import Settlements
from server.service.writer import Writer
from server.storage import open_storage, schema
from server.storage.sqlite import SqliteStorage
from server.web import shown

if TYPE_CHECKING:
    from server.storage.postgres import PostgresStorage  # imported where it is used: it takes its time
    from server.web.server import WebServer

log = structlog.get_logger()

GRACE_SECONDS = 10.0
QUEUE_MAX = 2_000
LEASE_MARGIN = timedelta(seconds=20)  # over the carrier's limit: a live worker's call is never taken over


EVENT_OF = event_maker(render.data)
RESPONSES: Responses = {Face.WEB: shown.created}


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    metrics_port: int | None = None
    http_port: int | None = None
    health_port: int | None = None


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    carrier: Carrier | RemoteCarrier | None = None,
    clock: Clock = utc_now,
    share_port: bool = False,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[Running]:
    """The server, from its first answered call to its last commit.

    `share_port`: with the other workers of one `optin serve`. `observers`: beside those of the settings. Raises
    StorageUnavailable, FileInUse, SchemaTooNew, SchemaTooOld, RowsMissing, PortTaken, BadCertificates, BadLinkSecret.
    """
    async with AsyncExitStack() as stack:
        seen = await stack.enter_async_context(observed(settings, clock, others=observers, one_of_several=share_port))
        storage = await _open(settings, stack)
        feed = Feed(storage, told, most_watchers=settings.watchers, observer=seen.observer)
        writer = Writer(
            storage,
            batch_max=settings.group_commit_max,
            queue_max=QUEUE_MAX,
            committed=feed.wake,
            observer=seen.observer,
        )
        settlements = Settlements(storage, settings.carrier_timeout)
        tasks = Tasks()
        lease = settings.carrier_timeout + LEASE_MARGIN
        server = _grpc_server(settings, seen.observer, share_port=share_port)
        carrier = carrier or await _carrier(settings, server, stack, seen.observer)
        in_house, remote = None, None
        if isinstance(carrier, RemoteCarrier):
            remote = RemoteBindings(
                storage=storage,
                writer=writer,
                carrier=carrier,
                renders=Renders(created=rendered, completed=completed_bytes, responses=RESPONSES),
                clock=clock,
                lease=lease,
                settlements=settlements,
                tasks=tasks,
            )
        else:
            in_house = carrier
            await warn_of_what_is_left(storage)
        create = CreateAssignments(binder=Binder(carrier=in_house, lease=lease), render=rendered, responses=RESPONSES)
        access = _access(settings, storage, clock)
        await access.look()
        port = server.bind(settings.host, settings.port)
        health_port = None if settings.health_port is None else server.bind_health(settings.host, settings.health_port)
        web, http_port = _web(settings, share_port=share_port)
        links, terms = links_of(settings, http_port), _terms(settings)
        calls = Calls(storage, writer, create, settlements, remote, clock, terms, feed, access, seen.observer, links)
        server.offer(calls)
        if web is not None:
            web.offer(calls, server.gate, seen.observer, event_data, version=__version__)
        # Stopped in the opposite order: calls in flight, what they left under way, the writer, its events.
        writer.start()
        stack.push_async_callback(feed.finish)
        stack.push_async_callback(writer.close)
        _keep_up(tasks, writer, clock, settings, remote)
        tasks.start_loop(feed.run())
        tasks.start_loop(access.follow())
        if seen.metrics is not None:
            tasks.start_loop(sampling(seen.metrics, server, feed, writer, storage))
        stack.push_async_callback(tasks.drain)
        await _start(server, web)
        stack.push_async_callback(_stop, server, web)
        stack.callback(feed.stop)
        await stack.enter_async_context(following(storage, server))
        yield Running(port, seen.port, http_port, health_port)


def _access(settings: Settings, storage: Storage, clock: Clock) -> Access:
    return Access(
        storage,
        clock,
        open_to_all=settings.open_to_all,
        processes=settings.workers,
        holds=not settings.insecure_behind_proxy,
    )


async def _start(server: GrpcServer, web: "WebServer | None") -> None:
    await server.start()
    if web is not None:
        await web.start(GRACE_SECONDS)


async def _stop(server: GrpcServer, web: "WebServer | None") -> None:
    """Both faces together; what they share refuses calls first."""
    await server.turn_away()
    faces = [server.finish(GRACE_SECONDS)] if web is None else [server.finish(GRACE_SECONDS), web.stop()]
    await asyncio.gather(*faces)


def _web(settings: Settings, *, share_port: bool) -> tuple["WebServer | None", int | None]:
    """With its port; none unless it is asked for. Raises PortTaken, BadCertificates."""
    if settings.http_port is None:
        return None, None
    from server.web.server import WebServer  # not imported where it is not used: it takes its time

    certificates = certificates_of(settings)
    web = WebServer(
        share_port=share_port,
        tls=certificates.context() if certificates else None,
        trusted_proxies=settings.proxies,
        names=own_names(settings),
    )
    try:
        port = web.bind(settings.host, settings.http_port)
    except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
        raise PortTaken(address_of(settings.host, settings.http_port), flag="--http-port") from error
    return web, port


def _grpc_server(settings: Settings, observer: Observer, *, share_port: bool) -> GrpcServer:
    return GrpcServer(
        share_port=share_port,
        calls_in_flight=settings.calls_in_flight,
        observer=observer,
        certificates=certificates_of(settings),
    )


def certificates_of(settings: Settings) -> Certificates | None:
    """None: there is no TLS here."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


def _keep_up(tasks: Tasks, writer: Writer, clock: Clock, settings: Settings, remote: RemoteBindings | None) -> None:
    """What time alone brings about."""
    for some, keep in ((retention.requests, settings.request_id_ttl), (retention.events, settings.event_ttl)):
        step = partial(retention.sweep, writer, clock, some, keep)
        tasks.start_loop(rounds(f"sweep of {some.__name__}", step, retention.ROUND_SECONDS))
    tasks.start_loop(rounds("expiries", partial(expiry.tell_expiries, writer, clock), expiry.ROUND_SECONDS))
    if remote is not None:
        tasks.start_loop(rounds("recovery", remote.recover, RECONCILE_SECONDS))
        tasks.start_loop(rounds("reconciliation", remote.reconcile, RECONCILE_SECONDS))


async def migrated(settings: Settings) -> None:
    """Brings the database to this version's schema. Raises StorageUnavailable, FileInUse, SchemaTooNew, RowsMissing."""
    storage = open_storage(settings.url, EVENT_OF)
    try:
        if isinstance(storage, SqliteStorage):
            storage.hold()
        await schema.migrate(settings.url)
    finally:
        await storage.close()


async def _open(settings: Settings, stack: AsyncExitStack) -> "SqliteStorage | PostgresStorage":
    storage = open_storage(settings.url, EVENT_OF)
    stack.push_async_callback(storage.close)
    if isinstance(storage, SqliteStorage):
        storage.hold()
        await schema.migrate(settings.url)
    else:
        await schema.check(settings.url)
        if not await storage.has_walls():
            log.warning("row-level security does not bind this user", advice="connect as one that is no superuser")
    return storage


async def _carrier(
    settings: Settings, server: GrpcServer, stack: AsyncExitStack, observer: Observer
) -> Carrier | RemoteCarrier:
    if settings.carrier == IN_HOUSE:
        return InHouseCarrier()
    from server.carrier.remote import GrpcCarrier, Limits  # not imported where it is not used: it takes its time

    limits = Limits(total_seconds=settings.carrier_timeout.total_seconds())
    carrier = GrpcCarrier(settings.carrier, limits=limits, on_change=server.set_carrier_available, observer=observer)
    stack.push_async_callback(carrier.close)
    server.set_carrier_available(True)
    return carrier


def _terms(settings: Settings) -> Terms:
    return Terms(
        withholds_premium=settings.withhold_premium,
        session_ttl=settings.session_ttl,
        past_starts_allowed=settings.environment is Environment.SANDBOX,
    )
