"""grpc.health.v1.Health: SERVING for as long as storage answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from optin.v1 import contractor_service_pb2 as contractors_pb

from server.api.server import GrpcServer, PortTaken
from server.app import GRACE_SECONDS, running
from server.config import Settings
from tests.conftest import Serving
from tests.storage.proxy import proxied
from tests.support.client import Client, refused
from tests.support.postgres import PostgresCluster

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVICES = [
    "",
    "optin.v1.ContractorService",
    "optin.v1.JobService",
    "optin.v1.ApplicationSessionService",
    "optin.v1.AssignmentService",
    "optin.v1.PolicyService",
]


def stub(channel: grpc.aio.Channel) -> health_pb2_grpc.HealthStub:
    return health_pb2_grpc.HealthStub(channel)


async def check(channel: grpc.aio.Channel, service: str = "") -> int:
    status: int = (await stub(channel).Check(health_pb2.HealthCheckRequest(service=service))).status
    return status


class Watch:
    """What a watcher of a service is told."""

    def __init__(self, channel: grpc.aio.Channel, service: str = "") -> None:
        self.call = stub(channel).Watch(health_pb2.HealthCheckRequest(service=service))

    async def next(self) -> object:
        """A status, or EOF."""
        answer = await asyncio.wait_for(self.call.read(), 20)
        return answer if answer is grpc.aio.EOF else answer.status


@pytest.fixture
async def bare() -> AsyncIterator[tuple[GrpcServer, grpc.aio.Channel]]:
    """The gRPC server by itself, before anyone has said that storage answers."""
    server = GrpcServer(share_port=False, calls_in_flight=1)
    port = server.bind("127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield server, channel
        await server.stop(0)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_server_that_answers_is_serving(client: Client, service: str) -> None:
    assert await check(client.channel, service) == SERVING


@pytest.mark.parametrize("service", ["optin.v1.NoService", "optin.v1", "grpc.health.v1.Health ", "x" * 1000])
async def test_a_service_that_is_not_there_is_not_found(client: Client, service: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await check(client.channel, service)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    assert await Watch(client.channel, service).next() == SERVICE_UNKNOWN


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_a_request_that_does_not_parse_is_told_so_and_no_more(client: Client, method: str) -> None:
    error = await refused(client.raw(f"grpc.health.v1.Health/{method}", b"\x0a\xff"))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.message == "The request does not parse as grpc.health.v1.HealthCheckRequest."


async def test_nothing_is_serving_until_storage_answers(bare: tuple[GrpcServer, grpc.aio.Channel]) -> None:
    server, channel = bare
    watches = [Watch(channel, service) for service in SERVICES]
    for watch, service in zip(watches, SERVICES, strict=True):
        assert await check(channel, service) == NOT_SERVING
        assert await watch.next() == NOT_SERVING
    await server.set_serving(True)
    for watch, service in zip(watches, SERVICES, strict=True):
        assert await check(channel, service) == SERVING
        assert await watch.next() == SERVING
    await server.set_serving(False)
    assert await check(channel) == NOT_SERVING


async def test_health_has_a_port_of_its_own_if_wanted(tmp_path: Path) -> None:
    """With health and nothing else on it; it is told of a stop as the other one is."""

    def settings(name: str, health_port: int) -> Settings:
        return Settings(port=0, health_port=health_port, database_url=f"sqlite:///{tmp_path}/{name}.db")

    async with AsyncExitStack() as outlives_the_server:
        async with running(settings("one", 0)) as server:
            assert server.health_port is not None
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.health_port}")
            await outlives_the_server.enter_async_context(channel)
            watch = Watch(channel)
            assert await check(channel, "optin.v1.AssignmentService") == await watch.next() == SERVING
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await Client(channel).category()
            assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
            with pytest.raises(PortTaken) as taken:
                async with running(settings("other", server.health_port)):
                    pass
            assert taken.value.flag == "--health-port"
        assert [await watch.next(), await watch.next()] == [NOT_SERVING, grpc.aio.EOF]


async def test_each_of_many_watchers_is_told(bare: tuple[GrpcServer, grpc.aio.Channel]) -> None:
    """Also those who stay when another leaves."""
    server, channel = bare
    leaver, *stayers = [Watch(channel) for _ in range(3)]
    for watch in (leaver, *stayers):
        assert await watch.next() == NOT_SERVING
    leaver.call.cancel()
    await asyncio.sleep(0.05)
    await server.set_serving(True)
    assert [await watch.next() for watch in stayers] == [SERVING, SERVING]


async def test_a_stop_is_told_before_it_happens_and_waits_for_no_watcher(serve: Serving) -> None:
    async with serve() as client:
        watches = [Watch(client.channel, service) for service in SERVICES]
        assert [await watch.next() for watch in watches] == [SERVING] * len(SERVICES)
        started = time.monotonic()
    assert time.monotonic() - started < GRACE_SECONDS / 2


async def test_a_watcher_hears_of_a_stop_and_its_call_ends_well(bare: tuple[GrpcServer, grpc.aio.Channel]) -> None:
    server, channel = bare
    await server.set_serving(True)
    watch, unknown = Watch(channel), Watch(channel, "none")
    assert await watch.next() == SERVING
    assert await unknown.next() == SERVICE_UNKNOWN
    stopping = asyncio.create_task(server.stop(GRACE_SECONDS))
    assert [await watch.next(), await watch.next()] == [NOT_SERVING, grpc.aio.EOF]
    assert await watch.call.code() is grpc.StatusCode.OK
    assert await unknown.next() is grpc.aio.EOF
    await asyncio.wait_for(stopping, GRACE_SECONDS / 2)


async def test_health_follows_storage(serve: Serving, postgres: PostgresCluster, postgres_template: str) -> None:
    url = postgres.create_database(template=postgres_template)
    async with proxied(url) as proxy, serve(database_url=proxy.url) as client:
        watch = Watch(client.channel, "optin.v1.AssignmentService")
        assert await watch.next() == SERVING
        await proxy.cut()
        assert await watch.next() == NOT_SERVING
        assert await check(client.channel) == NOT_SERVING
        for call in (
            client.contractors.GetContractor(contractors_pb.GetContractorRequest(id="cn_1")),
            client.category(),
        ):
            assert (await refused(call)).reason == "STORAGE_UNAVAILABLE"
        proxy.is_down = False
        assert await watch.next() == SERVING
        assert await check(client.channel) == SERVING
        await client.contractor()
    postgres.drop_database(url)


async def test_one_connection_that_was_ended_while_idle_is_no_outage(
    serve: Serving, postgres: PostgresCluster, postgres_template: str
) -> None:
    url = postgres.create_database(template=postgres_template)
    async with serve(database_url=url) as client:
        watch = Watch(client.channel)
        assert await watch.next() == SERVING
        await asyncio.to_thread(postgres.kill_backends)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.call.read(), 2.5)
    postgres.drop_database(url)
