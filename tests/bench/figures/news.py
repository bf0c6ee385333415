"""How soon a watcher has the event of a change that was answered."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
from optin.v1 import event_service_pb2 as pb
from sqlalchemy import make_url

from server.storage import schema
from tests.bench.bench import Bench, Figure
from tests.load.serving import serving
from tests.support.client import Client
from tests.support.postgres import PostgresCluster

CHANGES = 200
WATCHERS = 4  # each on a connection of its own, and so on any of the workers
WORKERS = 2
LONGEST_SECONDS = 10.0
TYPES = ["assignment.created"]

Seen = dict[str, float]  # when its event came, by assignment


def news(bench: Bench) -> Figure:
    """One change at a time, embedded and on PostgreSQL with several workers. Raises PostgresMissing."""
    changes = 20 if bench.quick else CHANGES
    with bench.server() as embedded:
        alone = asyncio.run(_lags(embedded.target, changes))
    folder = bench.folder / "news"
    folder.mkdir()
    with PostgresCluster() as cluster:
        url = cluster.create_database()
        asyncio.run(schema.migrate(make_url(url)))
        with serving("--workers", str(WORKERS), folder=folder, database_url=url) as served:
            several = asyncio.run(_lags(served.target, changes))
    worst = {"embedded": _p99(alone), f"PostgreSQL, {WORKERS} workers": _p99(several)}
    return Figure(
        name="news",
        title="an event reaches a watcher after the answer to its change within (p99)",
        value=max(worst.values()),
        at_least=200,
        aim=100,
        lower_is_better=True,
        unit="ms",
        note="; ".join(f"{name} {value:.0f} ms" for name, value in worst.items()),
        numbers={"embedded": alone, "postgres": several},
    )


def _p99(lags: list[float]) -> float:
    return statistics.quantiles(lags, n=100)[98]


async def _lags(target: str, changes: int) -> list[float]:
    """Milliseconds, of each change for each watcher; not below 0, where the event came first."""
    async with AsyncExitStack() as stack:
        client = Client(await stack.enter_async_context(grpc.aio.insecure_channel(target)))
        seen = [await stack.enter_async_context(_watching(target)) for _ in range(WATCHERS)]
        jane, job = await client.opted_in(), await client.job()
        answered: Seen = {}
        first = (await client.assign(jane.id, job.id)).assignment.id
        await _all_have(seen, [first])  # and all that was there before
        for _ in range(changes):
            made = await client.assign(jane.id, job.id)
            answered[made.assignment.id] = time.monotonic()
            await asyncio.sleep(0.02)
        await _all_have(seen, list(answered))
    return [max(0.0, events[id_] - at) * 1_000 for events in seen for id_, at in answered.items()]


async def _all_have(seen: list[Seen], assignments: list[str]) -> None:
    async with asyncio.timeout(LONGEST_SECONDS):
        while not all(id_ in events for events in seen for id_ in assignments):
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _watching(target: str) -> AsyncIterator[Seen]:
    """Each event's time of arrival, from a stream that is open."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        seen: Seen = {}
        stream = Client(channel).events.WatchEvents(pb.WatchEventsRequest(types=TYPES))

        async def read() -> None:
            async for message in stream:
                seen[message.event.resource] = time.monotonic()

        task = asyncio.create_task(read())
        try:
            await channel.channel_ready()
            yield seen
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
