"""Fixtures: a fake carrier on an ephemeral port, and clients of it."""

from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from optin.carrier.v1 import carrier_service_pb2_grpc as pb_grpc

from server.carrier.fake import FakeCarrier
from server.carrier.remote import GrpcCarrier, Limits
from tests.carrier.helpers import PATIENT, stub

Connect = Callable[..., GrpcCarrier]


@pytest.fixture
async def fake() -> AsyncIterator[FakeCarrier]:
    carrier = FakeCarrier()
    yield carrier
    await carrier.stop()


@pytest.fixture
async def port(fake: FakeCarrier) -> int:
    return await fake.start()


@pytest.fixture
async def client(port: int) -> AsyncIterator["pb_grpc.CarrierServiceAsyncStub"]:
    """A plain client of the fake carrier."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield stub(channel)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes what the server uses, for a port."""
    carriers: list[GrpcCarrier] = []

    def connected(
        port: int, *, limits: Limits = PATIENT, on_change: Callable[[bool], None] = lambda _: None
    ) -> GrpcCarrier:
        carriers.append(GrpcCarrier(f"grpc://127.0.0.1:{port}", limits=limits, on_change=on_change))
        return carriers[-1]

    yield connected
    for carrier in carriers:
        await carrier.close()
