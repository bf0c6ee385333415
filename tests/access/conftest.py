"""Two platforms on one server that asks for keys, once on each kind of database."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from server.app import running
from server.commands.audit import audit
from server.config import Settings
from server.domain.callers import Role
from tests.access.calls import code_of, listing
from tests.conftest import Clock
from tests.support.client import Client
from tests.support.keys import made_key, made_platform, sends

CLOSED = {"environment": "production"}
"""Settings of a server that asks for keys."""


@dataclass
class House:
    url: str
    port: int
    ours: str  # a platform's id
    theirs: str
    stack: AsyncExitStack

    async def client(self, *interceptors: Any) -> Client:
        address = f"127.0.0.1:{self.port}"
        channel = grpc.aio.insecure_channel(address, interceptors=interceptors)
        return Client(await self.stack.enter_async_context(channel))

    async def client_of(self, platform: str, role: Role = Role.PLATFORM) -> Client:
        """With a key of the role alone, which counts by now."""
        client = await self.client(*sends(await made_key(self.url, platform, role)))
        await known(client)
        return client

    async def whole_client_of(self, platform: str) -> Client:
        """With a key of the platform, and an underwriter's for what only that may do."""
        own, underwriters = await made_key(self.url, platform), await made_key(self.url, platform, Role.UNDERWRITER)
        await known(await self.client(*sends(underwriters)))  # the one that was made last
        return await self.client(*sends(own, underwriters))


async def known(client: Client) -> None:
    """Once the server has looked for new keys, which it does within a second."""
    while await code_of(listing(client)) is grpc.StatusCode.UNAUTHENTICATED:
        pass


@pytest.fixture
async def house(database_url: str, clock: Clock) -> AsyncIterator[House]:
    ours, theirs = [await made_platform(database_url) for _ in range(2)]
    settings = Settings(port=0, database_url=database_url, **CLOSED)
    async with running(settings, clock=clock) as server, AsyncExitStack() as stack:
        yield House(database_url, server.port, ours, theirs, stack)
    report = await audit(database_url, now=clock.now)
    assert report.findings == []
