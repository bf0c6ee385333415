"""HTTP/2 as no well-kept client speaks it: connections that lie about lengths, break off, or send what is no frame."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, StreamEnded, StreamReset
from h2.exceptions import H2Error

ANSWER_SECONDS = 5.0  # for what is a call, of whatever kind
LIE_SECONDS = 0.2  # for what may leave a server waiting for more
SILENCE_SECONDS = 0.05  # for what it may never answer
CANCEL, INTERNAL_ERROR = 8, 2
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
HANDSHAKE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">IBI", SETTINGS, 0, 0)

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Told:
    """All that a server said on one connection, and the status of each stream that it answered."""

    codes: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)


def frame(kind: int, flags: int, stream: int, payload: bytes, length: int | None = None) -> bytes:
    return struct.pack(">IBI", (len(payload) if length is None else length) << 8 | kind, flags, stream) + payload


def framed(body: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC message, behind whether it is compressed, and its length."""
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


def headers(method: str, *more: Header) -> list[Header]:
    """Those of a call; one of `more` takes the place of those with its name."""
    names = {name for name, _ in more}
    usual = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", f"/{method}".encode()),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
    kept = [header for header in usual if header[0] not in names]
    # Those with a colon go first.
    return sorted([*kept, *more], key=lambda header: not header[0].startswith(b":"))


class Wire:
    """One connection, which checks nothing that it sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        config = H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
        )
        self._h2 = H2Connection(config)
        self._open: set[int] = set()
        self.told = Told()

    def begin(self) -> None:
        self._h2.initiate_connection()

    def call(self, sent: Sequence[Header], *parts: bytes, end: bool = True) -> int:
        """Opens a stream and sends these, with as little in a frame as in a part."""
        stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream, sent, end_stream=end and not parts)
        self._open.add(stream)
        for number, part in enumerate(parts, 1):
            last = end and number == len(parts)
            for at in range(0, max(len(part), 1), 16_000):
                piece = part[at : at + 16_000]
                if len(piece) > self._h2.local_flow_control_window(stream):
                    self.reset(stream)
                    return stream
                self._h2.send_data(stream, piece, end_stream=last and at + 16_000 >= len(part))
        return stream

    def reset(self, stream: int, code: int = CANCEL) -> None:
        with suppress(H2Error):
            self._h2.reset_stream(stream, code)
        self._open.discard(stream)

    def send(self, raw: bytes = b"") -> None:
        """What h2 has to send, and then these bytes, whatever they are."""
        self._writer.write(self._h2.data_to_send() + raw)

    async def answers(self, seconds: float) -> None:
        """Until every stream is answered, the server has hung up, or the time is over."""
        with suppress(TimeoutError, OSError, H2Error):
            async with asyncio.timeout(seconds):
                while (self._open or seconds == SILENCE_SECONDS) and (received := await self._reader.read(65_536)):
                    for event in self._h2.receive_data(received):
                        self._take(event)
                    self.send()

    def _take(self, event: object) -> None:
        match event:
            case DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded() | StreamReset():
                self._open.discard(event.stream_id)
            case ConnectionTerminated():
                self.told.texts.append(event.additional_data or b"")
                self._open.clear()
        for name, value in getattr(event, "headers", None) or ():
            self.told.texts.append(name + b": " + value)
            if name == b"grpc-status":
                self.told.codes.append(int(value))


Abuse = Callable[[Wire, Random, str, bytes], Awaitable[None]]


async def abuse(target: str, way: Callable[[Wire], Awaitable[None]]) -> Told:
    """A connection of its own, abused in this way. Raises OSError where the server takes none."""
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    wire = Wire(reader, writer)
    try:
        with suppress(ConnectionError):
            await way(wire)
            await writer.drain()
    finally:
        writer.transport.abort()
    return wire.told


async def lying_frame(wire: Wire, draws: Random, method: str, body: bytes) -> None:
    """A message that is shorter or longer than it says, compressed by nothing known, or one too many."""
    wire.begin()
    whole = framed(body)
    encoding = draws.choice((b"identity", b"gzip", b"deflate", b"zstd", b"\xff", b""))
    parts: Sequence[bytes] = draws.choice(
        (
            (framed(body, length=len(body) + draws.choice((1, 100, 10**6))),),
            (framed(body, length=2**32 - 1),),
            (framed(body, length=len(body) // 2),),
            (framed(body, flag=draws.choice((1, 2, 255))),),
            (whole[: draws.randrange(len(whole))],),
            (whole, whole),
            (whole[:3], whole[3:7], whole[7:]),
            tuple(whole[at : at + 1] for at in range(min(len(whole), 300))),
            (b"",),
            (),
        )
    )
    more = [(b"grpc-encoding", encoding)] if draws.random() < 0.4 else []
    wire.call(headers(method, *more), *parts)
    wire.send()
    await wire.answers(LIE_SECONDS)


async def odd_headers(wire: Wire, draws: Random, method: str, body: bytes) -> None:
    wire.begin()
    long = b"a" * draws.choice((100, 8_000, 16_000, 16_384, 17_000, 70_000))
    odd: Header = draws.choice(
        (
            (b":method", draws.choice((b"GET", b"PUT", b"", b"\0"))),
            (b":scheme", draws.choice((b"https", b"file", b""))),
            (b":path", draws.choice((b"", b"/", b"//", b"/../../etc/passwd", b"/\xff", b"/a/b/c", b"*", long))),
            (b":authority", draws.choice((b"", b"\xff", b"a b", long))),
            (b":unknown", b"1"),
            (b"te", b"gzip"),
            (b"content-type", draws.choice((b"application/grpc+json", b"text/html", b"", b"\xff"))),
            (b"grpc-timeout", draws.choice((b"0n", b"1n", b"-1S", b"99999999H", b"999999999999H", b"1", b"abc", b""))),
            (b"grpc-accept-encoding", draws.choice((b"gzip" * 50, b"\xff", b""))),
            (b"grpc-previous-rpc-attempts", draws.choice((b"-1", b"99999999999"))),
            (b"grpc-status", b"13"),
            (b"grpc-message", b"%ff%zz"),
            (b"grpc-trace-bin", draws.choice((b"!", b"AAAA", b"=" * 80))),
            (b"grpc-tags-bin", b"\0"),
            (b"traceparent", draws.choice((b"00-" + b"f" * 32 + b"-" + b"0" * 16 + b"-ff", b"\xff", b"00"))),
            (b"baggage", b"a=1," * 2_000),
            (b"authorization", draws.choice((b"Bearer opk_\xff", b"Bearer " + long, b"Bearer", b"Basic Og", b""))),
            (b"x-call-id", draws.choice((b"\xff", b"\r\nx: y", b"", long, b"%0a"))),
            (b"x-odd-bin", draws.choice((b"!!!", b"AAA", b"=", long))),
            (b"X-Upper", b"1"),
            (b"sp ace", b"1"),
            (b"", b"1"),
            (b"connection", b"close"),
            (b"content-length", draws.choice((b"0", b"-1", b"99999999999999999999"))),
            (b"host", b"elsewhere"),
        )
    )
    many = [(b"x-%d" % number, b"y" * 20) for number in range(draws.choice((0, 0, 0, 300, 1_000)))]
    wire.call(headers(method, odd, *many), framed(body))
    wire.send()
    await wire.answers(ANSWER_SECONDS)


async def broken_off(wire: Wire, draws: Random, method: str, body: bytes) -> None:
    """Streams that are half-closed, never ended, or taken back, some of them at once."""
    wire.begin()
    whole = framed(body)
    for _ in range(draws.choice((1, 1, 5, 40))):
        cut = draws.randrange(len(whole) + 1)
        stream = wire.call(headers(method), *((whole[:cut],) if cut else ()), end=draws.random() < 0.3)
        if draws.random() < 0.6:
            wire.send()
            await asyncio.sleep(draws.choice((0.0, 0.0, 0.002)))
            wire.reset(stream, draws.choice((CANCEL, INTERNAL_ERROR, 2**32 - 1)))
    wire.send()
    await wire.answers(SILENCE_SECONDS)


async def several_at_once(wire: Wire, draws: Random, method: str, body: bytes) -> None:
    """More streams than a connection may have, all well-formed, all answered."""
    wire.begin()
    for _ in range(draws.choice((2, 20, 60))):
        if len(body) < 1_000:
            wire.call(headers(method), framed(body))
    wire.send()
    await wire.answers(ANSWER_SECONDS)


async def no_frames(wire: Wire, draws: Random, method: str, body: bytes) -> None:
    """Bytes that are not HTTP/2, or frames that it forbids."""
    settings = struct.pack(">HI", draws.choice((1, 2, 3, 4, 5, 6, 99)), draws.choice((0, 2**31, 2**32 - 1)))
    after = draws.choice(
        (
            frame(SETTINGS, 0, 0, settings),
            frame(SETTINGS, 0, 0, settings * 500),
            frame(SETTINGS, 0, 1, b"123"),
            frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0)),
            frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1)) * 2,
            frame(DATA, 0, 0, body[:100]),
            frame(DATA, 1, 7, body[:100]),
            frame(HEADERS, 4, 2, b"\x82"),
            frame(HEADERS, 0, 1, b"\x82") + frame(DATA, 0, 1, b"x"),
            frame(HEADERS, 0, 1, b"\x82") + frame(CONTINUATION, 0, 1, b"") * 200,
            frame(HEADERS, 5, 1, draws.randbytes(50)),
            frame(HEADERS, 5, 1, b"\x3f\xff\xff\xff\xff\xff\xff"),
            frame(HEADERS, 0x2D, 1, b"\xff" + b"\x82" * 5),
            frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2\x82"),
            frame(PRIORITY, 0, 1, struct.pack(">IB", 1, 0)),
            frame(RST_STREAM, 0, 5, struct.pack(">I", CANCEL)) * 50,
            frame(PING, 0, 0, b"12345678") * 50,
            frame(PING, 0, 0, b"123"),
            frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0) + b"bye"),
            frame(99, 255, 3, b"unknown"),
            frame(DATA, 0, 1, b"", length=2**24 - 1) + draws.randbytes(20_000),
            draws.randbytes(draws.choice((1, 9, 500))),
        )
    )
    whole = draws.choice((HANDSHAKE + after, HANDSHAKE + after, HANDSHAKE[: draws.randrange(24)], after))
    if draws.random() < 0.1:
        whole = b"GET /" + method.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire.send(whole)
    await wire.answers(SILENCE_SECONDS)


ABUSES: tuple[Abuse, ...] = (lying_frame, odd_headers, broken_off, several_at_once, no_frames)
