"""The audit beside a running server, which changes what it reads all the time."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc
import pytest

from server.app import running
from server.commands.audit import audit
from server.config import Settings
from server.domain.carrier import Answer, Bound, CarrierUnavailable, Declined, NotAsked, NotKnown
from server.domain.records import Policy
from tests.audit.conftest import few_at_a_time
from tests.support.client import GUIDE_START, Client

DAY = 86_400
CALLERS = 6
AUDITS = 4
PATIENCE_SECONDS = 30.0


class Carrier:
    """Answers after a while, with anything."""

    async def bind(self, policy: Policy) -> Answer:
        await asyncio.sleep(random.uniform(0, 0.1))
        return random.choice([Bound("C-1"), Bound("C-2"), Declined(), NotAsked(), NotKnown()])

    async def void(self, policy: Policy) -> None:
        await self.cancel(policy)

    async def reinstate(self, policy: Policy) -> None:
        await self.cancel(policy)

    async def cancel(self, policy: Policy) -> None:
        if random.random() < 0.5:
            raise CarrierUnavailable


async def use(client: Client, job: str, done: Counter[str]) -> None:
    """One caller, until cancelled: contractors come and go, and their policies."""
    while True:
        jane = await client.opted_in()
        for _ in range(10):
            start = GUIDE_START + random.randrange(3) * 300 * DAY
            request_id = random.choice(["", f"{jane.id}-{random.randrange(3)}-{start}"])
            made = await asyncio.gather(
                *(client.assign(jane.id, job, start=start, end=start + 5 * DAY, request_id=request_id) for _ in "ab")
            )
            done["assignments"] += 1
            if made[0].assignment.policy and random.random() < 0.3:
                with suppress(grpc.aio.AioRpcError):  # a repeat has a policy that is cancelled already
                    await client.cancel_policy(made[0].assignment.policy)
                    done["cancelled"] += 1
        if random.random() < 0.5:
            await client.delete(jane.id)
            done["deleted"] += 1


@pytest.mark.parametrize("carrier", [None, Carrier()], ids=["in-house", "remote"])
async def test_a_database_in_use_has_nothing_to_find(
    database_url: str, carrier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_a_time(monkeypatch)  # so that a transaction has many statements
    servers = 1 if database_url.startswith("sqlite") else 2
    done: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(servers):
            server = await stack.enter_async_context(
                running(Settings(port=0, database_url=database_url), carrier=carrier)
            )
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
            clients.append(Client(await stack.enter_async_context(channel)))
        job = await clients[0].job()
        callers = [asyncio.ensure_future(use(clients[n % servers], job.id, done)) for n in range(CALLERS)]
        try:
            audits = 0
            async with asyncio.timeout(PATIENCE_SECONDS):
                while audits < AUDITS or not done["cancelled"]:  # which chance may leave out for a while
                    report = await audit(database_url)
                    assert report.findings == []
                    audits += 1
                    await asyncio.sleep(0.1)
                    for caller in callers:
                        if caller.done():
                            caller.result()
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
    report = await audit(database_url)
    assert report.findings == []
    assert done["cancelled"]
    assert report.rows["assignments"] > AUDITS
