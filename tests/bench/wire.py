"""A light gRPC client: unary calls over raw HTTP/2, in a process of its own.

    python -m tests.bench.wire < plan.json > outcome.json

On two cores the client takes its share of what the server could use. This one sends requests whose headers were
encoded once, reads no more of an answer than its `grpc-status`, and so costs about as little as h2load; other than
h2load it knows which calls ended OK, sends another request each time, and can hold a rate whatever the server does
(an open loop): a call's time counts from the moment that it was due, waiting at the client included.
"""

import asyncio
import json
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import cast
from uuid import uuid4

import uvloop

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW = 0x1, 0x2, 0x3, 0x4
LARGEST_WINDOW = 2**31 - 1
FIRST_WINDOW = 65_535
CANCEL = struct.pack(">I", 8)
STATUS = b"grpc-status"
TICK_SECONDS = 0.002
CONNECT_SECONDS = 10.0
MOST_SECONDS = 60.0  # for a call that has no timeout
CLIENT_EXPIRED, CLIENT_CANCELLED, CONNECTION_LOST = -1, -2, -3
RUN, NUMBERS = uuid4().hex[:16].encode(), count()


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """Callers that each wait for their answer (`callers`), or calls that are due at a rate (`rate`)."""

    connections: int
    seconds: float = 0.0
    callers: int = 0
    calls: int = 0  # of all callers; then it is over once they have ended, however long that takes
    rate: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    target: str
    method: str  # optin.v1.JobService/CreateJob
    bodies: str  # a file: messages, each behind its length in four bytes
    phases: list[Phase]
    timeout: float = 0.0  # seconds; 0: none
    request_ids: bool = False  # a new one in each call, as field 3


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What became of the calls that were due in one phase."""

    start: float = 0.0  # time.monotonic() at the first and the last moment of the phase
    end: float = 0.0
    due: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    ok_times: list[tuple[float, float]] = field(default_factory=list)  # of each OK: when it came, and after how long


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field without indexing, and with a name that is spelled out (RFC 7541, 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def encoded_headers(target: str, method: str) -> bytes:
    """All but the timeout."""
    return b"\x83\x86" + b"".join(  # :method POST, :scheme http
        (
            literal(b":path", f"/{method}".encode()),
            literal(b":authority", target.encode()),
            literal(b"te", b"trailers"),
            literal(b"content-type", b"application/grpc"),
        )
    )


def request_id_field() -> bytes:
    """`string request_id = 3` of CreateAssignmentRequest, never twice the same: to be put behind the rest."""
    return b"\x1a\x20%s%016x" % (RUN, next(NUMBERS))


@dataclass(slots=True)
class Call:
    due: float
    outcome: Outcome
    then: "Caller | None" = None


class Connection(asyncio.Protocol):
    """One HTTP/2 connection. What it may not send yet waits here, in order."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._buffer = b""
        self._window = FIRST_WINDOW
        self._most = 100
        self._next_stream = 1
        self._received = 0
        self._out: list[bytes] = []
        self.waiting: deque[Call] = deque()
        self.open: dict[int, Call] = {}
        self.sent: deque[tuple[float, int]] = deque()  # due, stream: for those that time out
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Without a table every answer spells its status out, so that nothing has to be decoded.
        settings = ((HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW, LARGEST_WINDOW))
        payload = b"".join(struct.pack(">HI", *setting) for setting in settings)
        grown = struct.pack(">I", LARGEST_WINDOW - FIRST_WINDOW)
        self._transport.write(PREFACE + frame(SETTINGS, 0, 0, payload) + frame(WINDOW_UPDATE, 0, 0, grown))

    def connection_lost(self, error: Exception | None) -> None:
        for call in self.open.values():
            self._load.ended(call, CONNECTION_LOST)
        self.open.clear()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at, end = 0, len(buffer)
        while end - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if end - at < 9 + length:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            if kind == DATA:
                self._received += length
            elif kind == HEADERS:
                if flags & END_STREAM:
                    status = _status(buffer, at + 9, at + 9 + length)
                    self._close(int.from_bytes(buffer[at + 5 : at + 9], "big"), status)
            else:
                self._control(kind, flags, int.from_bytes(buffer[at + 5 : at + 9], "big"), buffer[at + 9 :][:length])
            at += 9 + length
        self._buffer = buffer[at:]
        self.flush()

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE:
            if stream == 0:
                self._window += int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at : at + 6])
                if name == MAX_STREAMS:
                    self._most = value
            self._out.append(frame(SETTINGS, ACK, 0, b""))
            if not self.ready.done():
                self.ready.set_result(None)
        elif kind == PING and not flags & ACK:
            self._out.append(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            self._close(stream, CONNECTION_LOST)
        elif kind == GOAWAY:
            self._transport.close()

    def _close(self, stream: int, status: int) -> None:
        call = self.open.pop(stream, None)
        if call is not None:
            self._load.ended(call, status)

    def flush(self) -> None:
        """Sends what may be sent: as many as the server lets be open, and as much as its window takes."""
        if self._received > LARGEST_WINDOW // 2:
            self._out.append(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received)))
            self._received = 0
        waiting, load = self.waiting, self._load
        now = time.monotonic() if waiting else 0.0
        while waiting and len(self.open) < self._most:
            call = waiting[0]
            if load.timeout and now - call.due >= load.timeout:
                waiting.popleft()
                load.ended(call, CLIENT_EXPIRED)
                continue
            body = load.body()
            if len(body) > self._window:
                break
            waiting.popleft()
            stream, self._next_stream = self._next_stream, self._next_stream + 2
            self._window -= len(body)
            self.open[stream] = call
            self._out.append(frame(HEADERS, END_HEADERS, stream, load.headers(call.due - now)))
            self._out.append(frame(DATA, END_STREAM, stream, body))
            if load.timeout:
                self.sent.append((call.due, stream))
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def give_up(self, before: float) -> None:
        """Cancels what was due too long ago, as a client does when its deadline passes."""
        while self.sent and self.sent[0][0] < before:
            _, stream = self.sent.popleft()
            if stream in self.open:
                self._close(stream, CLIENT_CANCELLED)
                self._out.append(frame(RST_STREAM, 0, stream, CANCEL))


def _status(buffer: bytes, start: int, end: int) -> int:
    at = buffer.find(STATUS, start, end)
    if at < 0:
        return CONNECTION_LOST
    at += len(STATUS)
    return int(buffer[at + 1 : at + 1 + buffer[at]])


class Caller:
    """Sends the next call when the one before has ended, until it is told to stop."""

    def __init__(self, connection: Connection, outcome: Outcome, most: int) -> None:
        self._connection = connection
        self._outcome = outcome
        self._most = most
        self.stopped = False

    def go_on(self) -> bool:
        """Whether there is a next call."""
        if self.stopped or self._outcome.due == self._most:
            return False
        self._outcome.due += 1
        self._connection.waiting.append(Call(time.monotonic(), self._outcome, self))
        return True


class Load:
    def __init__(self, plan: Plan) -> None:
        self.timeout = plan.timeout
        self._plan = plan
        self._headers = encoded_headers(plan.target, plan.method)
        self._bodies: Iterator[bytes] = cycle(list(read_bodies(Path(plan.bodies))))
        self._under_way = 0

    def headers(self, since_due: float) -> bytes:
        """`since_due`: seconds, negative."""
        if not self.timeout:
            return self._headers
        return self._headers + literal(b"grpc-timeout", b"%07dm" % max(int((self.timeout + since_due) * 1000), 1))

    def body(self) -> bytes:
        body = next(self._bodies)
        if self._plan.request_ids:
            body += request_id_field()
        return struct.pack(">BI", 0, len(body)) + body

    def ended(self, call: Call, status: int) -> None:
        now = time.monotonic()
        self._under_way -= 1
        codes = call.outcome.codes
        codes[str(status)] = codes.get(str(status), 0) + 1
        if status == 0:
            call.outcome.ok_times.append((now, now - call.due))
        if call.then is not None:
            self._under_way += call.then.go_on()

    async def run(self) -> list[Outcome]:
        # Each phase has connections of its own, so that none stands behind what the one before has left.
        self._connections = [await self._connected(phase.connections) for phase in self._plan.phases]
        outcomes = []
        for phase, connections in zip(self._plan.phases, self._connections, strict=True):
            outcome = Outcome(start=time.monotonic())
            outcomes.append(outcome)
            await (self._callers if phase.callers else self._rate)(phase, outcome, connections)
            outcome.end = time.monotonic()
        patience = time.monotonic() + (self.timeout or MOST_SECONDS) + 1.0
        while self._under_way and time.monotonic() < patience:
            await self._tick()
        return outcomes

    async def _connected(self, count: int) -> list[Connection]:
        host, _, port = self._plan.target.rpartition(":")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            made = [(await loop.create_connection(lambda: Connection(self), host, int(port)))[1] for _ in range(count)]
            await asyncio.gather(*(connection.ready for connection in made))
        return made

    async def _callers(self, phase: Phase, outcome: Outcome, connections: Sequence[Connection]) -> None:
        most = phase.calls or -1
        callers = [Caller(connections[number % len(connections)], outcome, most) for number in range(phase.callers)]
        for caller in callers:
            self._under_way += caller.go_on()
        while self._under_way if phase.calls else time.monotonic() < outcome.start + phase.seconds:
            await self._tick()
        for caller in callers:
            caller.stopped = True

    async def _rate(self, phase: Phase, outcome: Outcome, connections: Sequence[Connection]) -> None:
        turn = cycle(connections)
        while (now := time.monotonic()) < outcome.start + phase.seconds:
            due = int((now - outcome.start) * phase.rate)
            for number in range(outcome.due, due):
                next(turn).waiting.append(Call(outcome.start + number / phase.rate, outcome))
            self._under_way += due - outcome.due
            outcome.due = due
            await self._tick()

    async def _tick(self) -> None:
        before = time.monotonic() - self.timeout
        for connections in self._connections:
            for connection in connections:
                if self.timeout:
                    connection.give_up(before)
                connection.flush()
        await asyncio.sleep(TICK_SECONDS)


def write_bodies(path: Path, bodies: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(struct.pack(">I", len(body)) + body for body in bodies))


def read_bodies(path: Path) -> Iterator[bytes]:
    content, at = path.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 4 + length]
        at += 4 + length


def main() -> None:
    raw = json.load(sys.stdin)
    raw["phases"] = [Phase(**phase) for phase in raw["phases"]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcomes = runner.run(Load(Plan(**raw)).run())
    json.dump([asdict(outcome) for outcome in outcomes], sys.stdout)


if __name__ == "__main__":
    main()
