"""Platforms and keys, as operators make them beside a running server."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from optin.v1 import contractor_service_pb2 as contractors
from optin.v1 import event_service_pb2 as events
from sqlalchemy import make_url
from typer.testing import CliRunner

from server.cli import app
from server.commands.beside import write
from server.domain.callers import Role
from server.domain.ports import Unit
from server.service import platforms
from tests.access.calls import code_of, listing
from tests.access.conftest import House
from tests.server.process import served
from tests.support.client import Client, Refusal
from tests.support.keys import made_key, made_platform, sends

COUNTS_SECONDS = 5.0  # it does within one; a busy machine may take longer to come to it
SECRET = re.compile(r"^opk_[\w-]{43}$", re.MULTILINE)


async def becomes(client: Client, code: grpc.StatusCode) -> None:
    """Once the server has taken up what an operator did."""
    async with asyncio.timeout(COUNTS_SECONDS):
        while await code_of(listing(client)) is not code:
            await asyncio.sleep(0.05)


Typed = Callable[..., Any]


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """Types a command of `optin`, in this process, over the folder's database."""
    url = f"sqlite+aiosqlite:///{tmp_path}/data/optin.db"

    def run(*arguments: str) -> Any:
        with ThreadPoolExecutor(1) as aside:  # the command has an event loop of its own
            return aside.submit(CliRunner().invoke, app, [*arguments, "--database-url", url]).result()

    return run


async def test_an_operator_makes_a_platform_and_a_key_beside_the_server(tmp_path: Path, typed: Typed) -> None:
    with served(tmp_path) as server:
        platform = typed("platform", "create", "Acme Staffing").stdout.strip()
        assert re.fullmatch(r"pf_[0-9A-Z]{26}", platform)
        made = typed("key", "create", "--platform", platform, "--label", "their backend")
        secret = SECRET.findall(made.stdout)[0]
        async with grpc.aio.insecure_channel(server.target, interceptors=sends(secret)) as channel:
            client = Client(channel)
            await becomes(client, grpc.StatusCode.OK)
            contractor = await client.contractor()
            async with grpc.aio.insecure_channel(server.target) as others:
                with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
                    await Client(others).contractors.GetContractor(contractors.GetContractorRequest(id=contractor.id))
            listed = typed("key", "list").stdout
            assert secret not in listed
            key = re.findall(r"key_\w+", listed)[0]
            assert "yes" in listed
            assert "revoked" in typed("key", "revoke", key).stdout
            await becomes(client, grpc.StatusCode.UNAUTHENTICATED)
        assert server.end() == 0
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert secret.encode() not in kept
    assert typed("audit").stdout.startswith("no findings")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("key", "create", "--platform", "pf_nobody"), "No platform has the id pf_nobody."),
        (("key", "revoke", "key_nobody"), "No key has the id key_nobody."),
        (("key", "create", "--expires-in", "soon"), "--expires-in: must be like 30d, 24h, 15m"),
        (("platform", "update", "pf_default"), "Nothing was given that could be changed"),
        (("platform", "update", "pf_default", "--withhold-premium"), "set OPTIN_WITHHOLD_PREMIUM"),
        (
            ("platform", "update", "pf_default", "--calls-per-second", "0"),
            "--calls-per-second: must be a number",
        ),
        (("platform", "create", "x" * 201), "--name: must be printable, and have at most 200 characters."),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_said_in_one_sentence(typed: Typed, arguments: tuple[str, ...], sentence: str) -> None:
    done = typed(*arguments)
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_certificate_has_one_key_in_force(typed: Typed) -> None:
    first = typed("key", "create", "--certificate", "acme.example")
    assert first.exit_code == 0
    assert not SECRET.search(first.stdout)
    again = typed("key", "create", "--certificate", "acme.example")
    key = re.findall(r"key_\w+", first.stdout)[0]
    assert again.stderr == f"Key {key} is in force for this certificate; revoke it first.\n"
    typed("key", "revoke", key)
    assert typed("key", "create", "--certificate", "acme.example").exit_code == 0


async def test_reflection_needs_a_key_where_calls_do_and_health_none(house: House) -> None:
    secret = await made_key(house.url, house.ours, Role.READER)
    stranger = await house.client()
    assert await health_pb2_grpc.HealthStub(stranger.channel).Check(health_pb2.HealthCheckRequest())
    stub = reflection_pb2_grpc.ServerReflectionStub(stranger.channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")

    async def asks(*metadata: tuple[str, str]) -> grpc.StatusCode:
        try:
            async for _ in stub.ServerReflectionInfo(iter([asked]), metadata=metadata):
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    assert await asks() is grpc.StatusCode.UNAUTHENTICATED
    async with asyncio.timeout(COUNTS_SECONDS):
        while await asks(("authorization", f"Bearer {secret}")) is not grpc.StatusCode.OK:
            await asyncio.sleep(0.05)


async def test_a_stream_is_a_call_in_flight(house: House) -> None:
    limited = await made_platform(house.url, calls_in_flight=1)
    client = await house.client_of(limited)
    stream = client.events.WatchEvents(events.WatchEventsRequest())
    try:
        async with asyncio.timeout(COUNTS_SECONDS):
            while await code_of(listing(client)) is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                await asyncio.sleep(0.05)
    finally:
        stream.cancel()


async def refusals(client: Client, calls: int) -> list[Refusal]:
    """Of so many calls at once."""
    answers = await asyncio.gather(*(listing(client) for _ in range(calls)), return_exceptions=True)
    return [Refusal(answer) for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]


@pytest.mark.parametrize(
    ("limit", "most", "told"),
    [("calls_per_second", 3, "its calls a second"), ("calls_in_flight", 1, "its calls at the same time")],
)
async def test_a_platform_keeps_to_its_limit_and_others_do_not_feel_it(
    house: House, limit: str, most: int, told: str
) -> None:
    limited = await made_platform(house.url, **{limit: most})
    us, them = await house.client_of(house.ours), await house.client_of(limited)
    await asyncio.sleep(1.0)  # what it called to learn that its key counts is forgotten by then
    refused = await refusals(them, 20)
    assert 0 < len(refused) <= 20 - most
    for refusal in refused:
        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refusal.info.metadata == {"limit": told}
        assert refusal.of(error_details_pb2.RetryInfo)
    assert await refusals(us, 20) == []
    assert await code_of(listing(them)) is grpc.StatusCode.OK, "a refusal was held until there is room again"


async def test_a_changed_limit_is_taken_up_whatever_the_clock_of_who_changed_it(house: House) -> None:
    client = await house.client_of(house.ours)

    def change(most: int | None) -> Callable[[Unit], object]:
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        return lambda unit: platforms.update(unit, long_ago, house.ours, {"calls_in_flight": most})

    await write(make_url(house.url), change(1))
    stream = client.events.WatchEvents(events.WatchEventsRequest())
    await becomes(client, grpc.StatusCode.RESOURCE_EXHAUSTED)
    await write(make_url(house.url), change(None))
    await becomes(client, grpc.StatusCode.OK)
    stream.cancel()
