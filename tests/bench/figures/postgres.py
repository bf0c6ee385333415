"""One worker on PostgreSQL beside the embedded default."""

import asyncio
from functools import partial

import asyncpg
import grpc
from sqlalchemy import make_url

from server.storage import schema
from tests.bench.bench import Bench, Figure, Run, in_turns, middle, rates, ratio, reuse, sending
from tests.bench.clients import Measured, Request, RunFailed, wire_calls
from tests.bench.seed import World
from tests.load.prepare import many
from tests.load.serving import serving
from tests.support.client import Client
from tests.support.postgres import PostgresCluster

CALLERS = 50
CONTRACTORS = 100


def postgres(bench: Bench) -> Figure:
    """The same number of contractors on both, and a request id in each call. Raises PostgresMissing."""
    _, world = bench.world()
    few = World(job=world.job, covered=world.covered[:CONTRACTORS], opted_in=())
    folder = bench.folder / "on-postgres"
    folder.mkdir()
    with PostgresCluster() as cluster, bench.server() as embedded:
        url = cluster.create_database()
        asyncio.run(schema.migrate(make_url(url)))
        with serving(folder=folder, database_url=url) as served:
            there = reuse(asyncio.run(_prepared(served.target)), request_ids=True)
            runs: dict[str, Run] = {
                "postgres": partial(_counted, url, served.target, there),
                "embedded": sending(wire_calls, embedded, reuse(few, request_ids=True)),
            }
            measured = in_turns(runs, bench, CALLERS)
    return Figure(
        name="postgres",
        title="one worker on PostgreSQL, as a share of the embedded default",
        value=ratio(rates(measured["postgres"]), rates(measured["embedded"])),
        at_least=0.50,
        aim=0.80,
        note=f"{middle(measured['postgres']).rate:,.0f} of {middle(measured['embedded']).rate:,.0f} calls/s",
        numbers={name: rates(runs) for name, runs in measured.items()},
    )


async def _prepared(target: str) -> World:
    async with grpc.aio.insecure_channel(target) as channel:
        client = Client(channel)
        job = (await client.job()).id

        async def covered() -> str:
            contractor = (await client.opted_in()).id
            await client.assign(contractor, job)
            return contractor

        return World(job=job, covered=await many(CONTRACTORS, covered), opted_in=())


def _counted(url: str, target: str, request: Request, callers: int, calls: int) -> Measured:
    before = asyncio.run(_assignments(url))
    measured = wire_calls(target, request, callers, calls)
    added = asyncio.run(_assignments(url)) - before
    if added != measured.calls:
        raise RunFailed(f"{measured.calls} calls ended well, but {added} assignments are there")
    return measured


async def _assignments(url: str) -> int:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return int(await connection.fetchval("SELECT count(*) FROM assignments"))
    finally:
        await connection.close()
