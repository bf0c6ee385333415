"""Hostile requests to every method: each is answered for what it is, nobody else notices, and nothing leaks."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from tests.api.methods import METHODS
from tests.chaos.audits import audit
from tests.chaos.book import Book
from tests.chaos.hostile import CANARY, NASTY, Hostile
from tests.chaos.hostile_wire import ABUSES, abuse
from tests.chaos.observed import health_watched
from tests.chaos.processes import Process, client_of, optin_serve
from tests.chaos.result import Result
from tests.chaos.world import World
from tests.support.client import Client, Refusal
from tests.support.memory import resident_bytes

CALLERS = 24
WIRES = 8  # connections abused at once
WARM_UP = 0.1  # of all requests
GROWTH_BYTES = 50 * 2**20
PATIENCE_SECONDS = 40.0
LISTEN_SECONDS = 0.02  # to a stream that has no end
STREAMS = (
    "optin.v1.EventService/WatchEvents",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
UNARY = tuple(name for name, method in METHODS.items() if not method.server_streaming)
NOWHERE = (
    "optin.v1.JobService/DropJobs",
    "optin.v1.JobService/",
    "optin.v2.JobService/GetJob",
    "Optin.V1.JobService/GetJob",
    "optin.v1.JobService/getjob",
    "optin.carrier.v1.CarrierService/Bind",
    "/",
    "a" * 3_000,
)
ID = re.compile(rb"[a-z]{2,3}_[0-9A-Z]{26}")
REUSED = re.compile(rb"grpc-message: request_id .* was used for another request")  # names what its caller sent
LEAK = re.compile(
    rb"Traceback|File \"|\.py\b|site-packages|/(?:usr|home|root|tmp|var|opt|etc)/|sqlite|sqlalchemy|asyncpg|postgres"
    rb"|SELECT |INSERT |UPDATE |constraint|Exception|[A-Z][a-z]+Error\b|0x[0-9a-f]{6}|DecodeError|protobuf"
)
IN_THE_LOG = re.compile(r'Traceback|"exception":|"level":"(?:error|critical)"|ERROR:|CRITICAL:|was never ')
# What gRPC refuses by itself, before any handler and in its own words (spec 9). No client that keeps to HTTP/2 and gRPC
# gets any of these; the last is a path that is not UTF-8.
BY_GRPC = re.compile(
    rb"grpc-message: (?:Error parsing '[^']*' metadata|Metadata keys cannot be zero length|Illegal header key: "
    rb"|Compression bit set but no encoding configured|Decompression failed due to (?:zlib|data) error"
    rb"|Unexpected <class 'UnicodeDecodeError'>: 'utf-8' codec can't decode byte 0x.. in position \d+: [a-z ]*$)"
)
NEVER = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
BAD_CODES = tuple(int(code.value[0]) for code in NEVER)
# What a caller sees of a server that does not keep up, or of a neighbour.
DISTURBED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}


@dataclass(slots=True)
class _Fuzz:
    seed: object
    target: str
    book: Book
    known: Hostile
    channel: grpc.aio.Channel
    other: grpc.aio.Channel  # for what may cost the connection
    wires: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WIRES))

    async def all(self, numbers: range) -> None:
        waiting = iter(numbers)

        async def caller() -> None:
            for number in waiting:
                await self._one(number)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))

    async def _one(self, number: int) -> None:
        """The same seed and number draw the same, apart from the ids that the server has made by then."""
        draws = Random(f"{self.seed}/{number}")
        kinds: dict[Callable[[str, Random], Awaitable[None]], int] = {
            self._message: 66,
            self._spoiled: 12,
            self._stream: 3,
            self._metadata: 5,
            self._nowhere: 3,
            self._wire: 11,
        }
        (kind,) = draws.choices(list(kinds), list(kinds.values()))
        await kind(f"{self.seed}/{number}", draws)

    async def _message(self, name: str, draws: Random) -> None:
        method = draws.choice(UNARY)
        await self._send(name, method, self.known.request(method, draws))

    async def _spoiled(self, name: str, draws: Random) -> None:
        method = draws.choice(UNARY)
        await self._send(name, method, self.known.spoiled(method, draws))

    async def _send(self, name: str, method: str, body: bytes) -> None:
        call: Any = self.channel
        try:
            answer = await call.unary_unary(f"/{method}")(body, timeout=PATIENCE_SECONDS)
        except grpc.aio.AioRpcError as error:
            self._refused(f"{name} {method} {body[:300].hex()}", error, never=NEVER | DISTURBED)
            return
        self.book.codes["OK"] += 1
        for found in ID.findall(answer)[:20]:
            self.known.learn(found.decode())
        if "/List" in method:
            token = GetMessageClass(METHODS[method].output_type).FromString(answer).next_page_token
            self.known.tokens.extend([token] if token else [])

    async def _stream(self, name: str, draws: Random) -> None:
        """The caller leaves soon, whatever comes."""
        method = draws.choice(STREAMS)
        ours = method if method in METHODS else draws.choice(UNARY)
        body = draws.choice((self.known.request, self.known.spoiled))(ours, draws)
        channel: Any = self.channel
        call = channel.unary_stream(f"/{method}")(body, timeout=PATIENCE_SECONDS)
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                async for _ in call:
                    pass
            self.book.codes["OK"] += 1
        except TimeoutError:
            self.book.codes["left"] += 1
        except grpc.aio.AioRpcError as error:
            self._refused(f"{name} {method} {body[:300].hex()}", error, never=NEVER | DISTURBED)
        finally:
            call.cancel()

    async def _metadata(self, name: str, draws: Random) -> None:
        method = draws.choice(UNARY)
        size = draws.choice((10, 2_000, 14_000, 15_900, 16_384, 17_000, 60_000))
        metadata = draws.choice(
            (
                (("x-fill", "a" * size),),
                tuple((f"x-fill-{number}", "b" * 40) for number in range(size // 80)),
                (("x-fill-bin", draws.randbytes(size // 2)),),
                (("x-call-id", "c" * min(size, 2_000)),),
                (("x-call-id", "one"), ("x-call-id", "two"), ("idempotent-replayed", "true")),
                (("authorization", draws.choice(("Bearer", "Bearer opk_" + "A" * 43, "Basic OjpP", "b" * size))),) * 2,
                (("grpc-status-details-bin", draws.randbytes(100)),),
                (("traceparent", draws.choice(("00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff-1-1-1"))),),
            )
        )
        channel: Any = self.other
        try:
            await channel.unary_unary(f"/{method}")(
                self.known.request(method, draws), metadata=metadata, timeout=PATIENCE_SECONDS
            )
            self.book.codes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            self._refused(f"{name} {method} {str(metadata)[:100]}", error, never=NEVER)

    async def _nowhere(self, name: str, draws: Random) -> None:
        channel: Any = self.channel
        method = draws.choice(NOWHERE)
        try:
            await channel.unary_unary(f"/{method}")(draws.choice(NASTY), timeout=PATIENCE_SECONDS)
            self.book.broken.append(f"{name}: {method} was answered OK")
        except grpc.aio.AioRpcError as error:
            self._refused(f"{name} {method}", error, never=set(grpc.StatusCode) - {grpc.StatusCode.UNIMPLEMENTED})

    async def _wire(self, name: str, draws: Random) -> None:
        method, kind = draws.choice(UNARY), draws.choice(ABUSES)
        body = draws.choice((self.known.request, self.known.spoiled))(method, draws)
        async with self.wires:
            try:
                told = await abuse(self.target, lambda wire: kind(wire, draws, method, body))
            except OSError as error:
                self.book.broken.append(f"{name}: no connection ({error})")
                return
        self.book.codes[f"wire {kind.__name__}"] += 1
        by_grpc = [text for text in told.texts if BY_GRPC.match(text)]
        self.book.codes["wire INTERNAL or UNKNOWN by gRPC"] += len(by_grpc)
        if sum(code in BAD_CODES for code in told.codes) > len(by_grpc):
            self.book.broken.append(f"{name} {kind.__name__} {method}: {told.codes} {told.texts}")
        ours = b"\n".join(text for text in told.texts if text not in by_grpc)
        self._look(f"{name} {kind.__name__} {method}", REUSED.sub(b"", ours))

    def _refused(self, what: str, error: grpc.aio.AioRpcError, *, never: set[grpc.StatusCode]) -> None:
        refusal = Refusal(error)
        reason = refusal.reason if refusal.details else "by gRPC"
        self.book.codes[f"{refusal.code.name} {reason}"] += 1
        if refusal.code in never:
            self.book.broken.append(f"{what}: {refusal.code.name} {reason} {refusal.message!r}")
        if refusal.details and len(refusal.details) != len(refusal.status.details):
            self.book.broken.append(f"{what}: details that a client does not know")
        if reason != "REQUEST_ID_REUSED":  # which names the caller's own request id, whatever that is
            self._look(what, str(refusal).encode(errors="surrogateescape"))

    def _look(self, what: str, told: bytes) -> None:
        if leak := LEAK.search(told) or re.search(CANARY.encode(), told):
            self.book.broken.append(f"{what}: tells {leak[0]!r} in {told[:500]!r}")


async def run(folder: Path, url: str, seed: object, *, requests: int, health_deadline: float = 1.0) -> Result:
    """`health_deadline`: seconds; not two health checks in a row may miss it."""
    result = Result(f"fuzz, {url.partition('+')[0]}", rounds=1, calls=requests)
    book = Book()
    server = optin_serve(folder / "server.log", "--port", "0", "--log-format", "json", "--database-url", url)
    try:
        await _fuzzed(server, book, seed, requests, health_deadline, result)
        if await server.end() != 0:
            book.broken.append(f"the server did not end well: {server.last_words()}")
    finally:
        server.kill()
    log = server.log.read_text(errors="replace")
    book.broken += [f"log: {log[found.start() :][:500]}" for found in list(IN_THE_LOG.finditer(log))[:5]]
    await audit(url, book)
    result.add(book)
    result.promises = book.codes["OK"]
    return result


async def _fuzzed(
    server: Process, book: Book, seed: object, requests: int, health_deadline: float, result: Result
) -> None:
    target = await server.listens()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_of(target))
        other = await stack.enter_async_context(client_of(target))
        known = await _known(client, seed)
        fuzz = _Fuzz(seed, target, book, known, client.channel, other.channel)
        health = await stack.enter_async_context(health_watched(target, book, health_deadline))
        warm = round(requests * WARM_UP)
        await fuzz.all(range(warm))
        before = resident_bytes(server.process.pid)
        began = time.monotonic()
        await fuzz.all(range(warm, requests))
        growth = resident_bytes(server.process.pid) - before
        if growth > GROWTH_BYTES:
            book.broken.append(f"memory grew by {growth / 2**20:.0f} MB from {before / 2**20:.0f} MB")
        result.notes.append(
            f"{(requests - warm) / (time.monotonic() - began):.0f} requests a second; memory {before / 2**20:.0f} MB"
            f" and {growth / 2**20:+.0f} MB; {len(health)} health checks, slowest {max(health):.2f} s"
        )


async def _known(client: Client, seed: object) -> Hostile:
    """A few of everything, so that requests are about what there is."""
    known = Hostile()
    world = await World.create(client, seed, 6)
    for contractor in world.contractors:
        assigned = (await client.assign(contractor, world.jobs[0])).assignment
        quote = await client.quote(contractor, world.jobs[1])
        session = await client.session(contractor)
        for identifier in (contractor, assigned.id, assigned.policy, assigned.category_code, quote.id, session.id):
            known.learn(identifier)
    for job in world.jobs:
        known.learn(job)
    return known
