"""The real app with its HTTP port, and a client of both faces."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from server.config import Settings
from tests.conftest import Clock, reached, sqlite_copy
from tests.support.client import Client

SECRET = "a secret of these tests with 40 characters"


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> tuple[int, str]:
        """Of an error."""
        assert {*self.body} == {"message", "error_code", "reason", "fields"}
        return self.status, self.body["error_code"]


def asked(port: int, verb: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Response:
    """One request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(verb, path, body, headers)
        answer = connection.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class Http:
    """Sends one request on a connection of its own."""

    def __init__(self, port: int, **headers: str) -> None:
        self.port = port
        self.headers = headers

    async def __call__(
        self, verb: str, path: str, body: Any = None, raw: bytes | None = None, **headers: str
    ) -> Response:
        sent = raw if raw is not None else None if body is None else json.dumps(body).encode()
        told = {"Content_Type": "application/json", **self.headers, **headers}
        named = {name.replace("_", "-"): value for name, value in told.items() if value}
        whole = path if path.startswith(("/docs", "/x")) else f"/api/v1{path}"
        return await asyncio.to_thread(asked, self.port, verb, whole, sent, named)

    async def made(self, path: str, body: Any, **headers: str) -> Any:
        answer = await self("POST", path, body, **headers)
        assert answer.status in (200, 201), answer.raw
        return answer.body

    async def got(self, path: str) -> Any:
        answer = await self("GET", path)
        assert answer.status == 200, answer.raw
        return answer.body


@dataclass(frozen=True, slots=True)
class House:
    http: Http
    client: Client
    url: str

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """From the SQLite file."""
        with closing(sqlite3.connect(str(make_url(self.url).database))) as connection:
            return connection.execute(query).fetchall()

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Nothing can be written into the SQLite file: who changes something waits, and not for long."""
        with closing(sqlite3.connect(str(make_url(self.url).database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield


@dataclass(frozen=True, slots=True)
class Slow:
    """A request of which all but the body has come."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes

    @classmethod
    async def begun(cls, port: int, path: str, body: bytes, kind: str = "application/json", more: str = "") -> "Slow":
        """`more`: headers, a line each."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n{more}"
        writer.write(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode())
        return cls(reader, writer, body)

    def send(self) -> None:
        self.writer.write(self.body)

    async def status(self) -> int:
        """Of the answer, whether the body was sent or not."""
        async with asyncio.timeout(10):
            answer = await self.reader.read()
        self.writer.close()
        return int(answer.split()[1])


Serving = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def serve_http(tmp_path: Path, clock: Clock, sqlite_template: Path) -> Serving:
    @asynccontextmanager
    async def serving(*, carrier: Any = None, **settings: Any) -> AsyncIterator[House]:
        if "database_url" not in settings:
            settings["database_url"] = sqlite_copy(sqlite_template, tmp_path)
        chosen = Settings(**{"port": 0, "http_port": 0, "link_secret": SECRET} | settings)
        async with reached(chosen, clock, carrier) as (server, channel):
            yield House(Http(server.http_port or 0), Client(channel), chosen.database_url)

    return serving


@pytest.fixture
async def house(serve_http: Serving) -> AsyncIterator[House]:
    """On SQLite, open to all."""
    async with serve_http() as house:
        yield house


@pytest.fixture
async def any_house(serve_http: Serving, database_url: str) -> AsyncIterator[House]:
    """Once on each kind of database."""
    async with serve_http(database_url=database_url) as house:
        yield house
