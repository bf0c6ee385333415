"""Every fault of the fake carrier: assignments always succeed, and in the end both sides hold the same."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import resources_pb2 as pb

from server.carrier.fake import Fault, Method
from tests.chaos import checks
from tests.chaos.audits import audit
from tests.chaos.book import CREATE_ASSIGNMENT, Book
from tests.chaos.processes import Carrier, client_of, optin_serve
from tests.chaos.result import Result
from tests.chaos.world import World
from tests.support.client import Client

CARRIER_SECONDS = 1
LATE_SECONDS = "1.5"  # past the carrier's limit
RECONCILED_SECONDS = 30.0
SOON_AGAIN = {"CHAOS_LONGEST_PAUSE": "2"}
NO_BREAKER = {"CHAOS_FAILURES_TO_OPEN": "100000"}
DEADLY = (Fault.DIES_BEFORE, Fault.DIES_AFTER)
SHARE, DEADLY_SHARE = "0.4", "0.1"
CALLERS = 10
ALL_METHODS = tuple(part for method in Method for part in ("--method", str(method)))


async def run(folder: Path, url: str, seed: object, faults: Sequence[Fault], calls: int, *, breaker: bool) -> Result:
    """`calls` assignments for each fault, some of whose policies are cancelled, on one server."""
    result = Result(f"carrier faults, {'with' if breaker else 'without'} breaker")
    env = SOON_AGAIN if breaker else SOON_AGAIN | NO_BREAKER
    carrier = Carrier(folder / "carrier")
    arguments = ("--port", "0", "--database-url", url, "--carrier-timeout", str(CARRIER_SECONDS))
    server = optin_serve(folder / "server.log", *arguments, "--carrier", carrier.target, env=env, crashing=True)
    try:
        async with client_of(await server.listens()) as client:
            world = await World.create(client, seed, calls // 5)
            whole = Book()
            for fault in faults:
                deaths = carrier.deaths
                await carrier.start(*_struck_by(fault, seed))
                book = await _ask(client, world, calls, carrier if fault in DEADLY else None)
                deaths = carrier.deaths - deaths
                await carrier.start()
                await _reconciled(client, book, carrier)
                result.rounds += 1
                whole.asked |= book.asked
                _add(result, fault, book, deaths)
            await checks.kept(client, whole, world.contractors)
    finally:
        await carrier.stop()
        server.kill()
    await audit(url, whole)
    result.broken += whole.broken
    return result


def _struck_by(fault: Fault, seed: object) -> tuple[str, ...]:
    share = DEADLY_SHARE if fault in DEADLY else SHARE
    number = str(crc32(str(seed).encode()))
    return "--fault", str(fault), "--share", share, "--late", LATE_SECONDS, "--seed", number, *ALL_METHODS


async def _ask(client: Client, world: World, calls: int, mortal: Carrier | None) -> Book:
    """Each is sent once, and is answered OK: nothing that a carrier does makes a call fail."""
    book = Book()
    slots = asyncio.Semaphore(CALLERS)

    async def one(number: int) -> None:
        async with slots:
            if mortal is not None:
                await mortal.listens()  # so that it can die again
            asked = book.take(world.assignment() if number % 8 else world.mixed(book))
            if not await book.send(client, asked):
                book.broken.append(f"{asked.request_id}: refused on account of the carrier")

    await asyncio.gather(*map(one, range(calls)))
    return book


async def _reconciled(client: Client, book: Book, carrier: Carrier) -> None:
    await checks.rest(client, book, 2 * CARRIER_SECONDS + 5.0)
    await checks.agreed(client, book, carrier.ledger, RECONCILED_SECONDS)
    await book.settle_all(client, list(book.asked.values()))


def _add(result: Result, fault: Fault, book: Book, deaths: int) -> None:
    outcomes: Counter[str] = Counter()
    for asked in book.promises:
        if asked.method == CREATE_ASSIGNMENT:
            response = assignments_pb.CreateAssignmentResponse.FromString(asked.promised or b"")
            outcomes[pb.BindingOutcome.Name(response.outcome).removeprefix("BINDING_OUTCOME_")] += 1
    broken = [f"{fault}: {what}" for what in book.broken]
    told = ", ".join(f"{name} {count}" for name, count in outcomes.most_common())
    result.calls += sum(asked.sent for asked in book.asked.values())
    result.promises += len(book.promises)
    result.broken += broken
    result.notes.append(f"{fault}: {told}" + (f"; died {deaths} times" if deaths else ""))
