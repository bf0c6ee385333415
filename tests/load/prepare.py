"""Prepares what the configurations beside this file send: through the API, as a platform would.

    python -m tests.load.prepare [HOST:PORT]

writes one data file for each configuration that names one, into results/load/data/.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import grpc

from tests.support.client import Client

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
DATA = ROOT / "results" / "load" / "data"
DEFAULT_TARGET = "127.0.0.1:50051"
AT_ONCE = 50

REUSE_CONTRACTORS = 100
BIND_CONTRACTORS = 2_000  # a new one in each call of create-assignment-bind.json
REPLAYED = 500
READ = 500

# Templates are for ghz: a string in one is quoted by back-quotes, since the quotes of JSON are escaped.
NEW_REQUEST_ID = "{{ printf `%s-%s` .MethodName newUUID }}"


def request(contractor: str, job: str, request_id: str) -> dict[str, Any]:
    """The guide's assignment, 3 to 7 December 2023, as ghz takes it."""
    assignment = {
        "contractor": contractor,
        "job": job,
        "coverage_types": ["COVERAGE_TYPE_WORKERS_COMP"],
        "effective_time": "2023-12-03T00:00:00Z",
        "end_time": "2023-12-07T00:00:00Z",
    }
    return {"assignment": assignment, "request_id": request_id}


def prepare(target: str, folder: Path = DATA) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in asyncio.run(_prepared(target)).items():
        (folder / f"{name}.json").write_text(json.dumps(content))


async def _prepared(target: str) -> dict[str, list[dict[str, Any]]]:
    """The contents of the data files, by name."""
    async with grpc.aio.insecure_channel(target) as channel:
        client = Client(channel)
        job = (await client.job()).id

        async def opted_in() -> str:
            return (await client.opted_in()).id

        async def covered() -> str:
            contractor = await opted_in()
            await client.assign(contractor, job)
            return contractor

        reuse = await many(REUSE_CONTRACTORS, covered)
        hot, *bind = await many(1 + BIND_CONTRACTORS, opted_in)
        replayed = [(reuse[number % len(reuse)], f"replay-{uuid4()}") for number in range(REPLAYED)]
        await each(replayed, lambda sent: client.assign(sent[0], job, request_id=sent[1]))
        read = await each(range(READ), lambda number: client.assign(reuse[number % len(reuse)], job))

    return {
        "covered": [request(contractor, job, NEW_REQUEST_ID) for contractor in reuse],
        "bind": [request(contractor, job, f"bind-{uuid4()}") for contractor in bind],
        "replay": [request(contractor, job, request_id) for contractor, request_id in replayed],
        "hot": [request(hot, job, NEW_REQUEST_ID)],
        "read": [{"id": answer.assignment.id} for answer in read],
    }


async def many(count: int, make: Callable[[], Awaitable[T]]) -> list[T]:
    return await each(range(count), lambda _: make())


async def each(items: Any, do: Callable[[Any], Awaitable[T]]) -> list[T]:
    """Does it for all, some at once, in order."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(item: Any) -> T:
        async with turn:
            return await do(item)

    return list(await asyncio.gather(*(one(item) for item in items)))


if __name__ == "__main__":
    prepare(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_TARGET)
    print(f"Written to {DATA.relative_to(ROOT)}.")
