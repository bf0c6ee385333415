"""What a connection's limits mean to the calls on it: its age, and the size of what comes over it."""

import asyncio
from contextlib import suppress

import grpc
import pytest
from optin.v1 import event_service_pb2 as events_pb

from server.api import limits
from server.api.limits import LARGEST_MESSAGE, LARGEST_METADATA
from tests.conftest import Serving
from tests.support.client import Client


async def follow(client: Client, seen: list[str], ends: list[grpc.StatusCode]) -> None:
    """As the README does it: after the last event that arrived, whenever a stream ends."""
    while True:
        try:
            async for message in client.events.WatchEvents(events_pb.WatchEventsRequest(after=(seen or [""])[-1])):
                seen.append(message.event.id)  # noqa: PERF401
        except grpc.aio.AioRpcError as error:
            ends.append(error.code())


async def test_a_watcher_whose_connection_is_too_old_misses_nothing(
    monkeypatch: pytest.MonkeyPatch, serve: Serving
) -> None:
    short = {"grpc.max_connection_age_ms": 200, "grpc.max_connection_age_grace_ms": 100}
    assert short.keys() <= dict(limits.OPTIONS).keys()
    monkeypatch.setattr(limits, "OPTIONS", tuple((dict(limits.OPTIONS) | short).items()))
    seen: list[str] = []
    ends: list[grpc.StatusCode] = []
    async with serve() as client:
        following = asyncio.create_task(follow(client, seen, ends))
        async with asyncio.timeout(20):
            while len(ends) < 2:
                with suppress(grpc.aio.AioRpcError):  # its connection may have been too old
                    await client.category()
                await asyncio.sleep(0.01)
            listed = [event.id for event in (await listing(client)).events]
            while len(seen) < len(listed):
                await asyncio.sleep(0.01)
        following.cancel()
    assert seen == listed
    assert set(ends) == {grpc.StatusCode.UNAVAILABLE}


async def listing(client: Client) -> events_pb.ListEventsResponse:
    """Again, if the connection was too old."""
    while True:
        with suppress(grpc.aio.AioRpcError):
            return await client.events.ListEvents(events_pb.ListEventsRequest(page_size=200))


@pytest.mark.parametrize(
    ("body", "metadata"),
    [(bytes(LARGEST_MESSAGE + 1), ()), (b"", (("x-much", "x" * LARGEST_METADATA),))],
    ids=["message", "metadata"],
)
async def test_what_is_too_large_is_refused_and_its_connection_goes_on(
    client: Client, body: bytes, metadata: tuple[tuple[str, str], ...]
) -> None:
    call = client.channel.unary_unary("/optin.v1.ContractorService/CreateContractor")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(body, metadata=metadata, timeout=20)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await client.contractor()).id
