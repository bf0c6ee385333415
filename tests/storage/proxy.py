"""A network between a process and PostgreSQL that fails at the moment that matters: around a COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto

from sqlalchemy import URL, make_url

from tests.support.ports import free_port

COMMIT = b"COMMIT;\0"  # as asyncpg sends it
CHUNK = 65_536


class Fault(Enum):
    NONE = auto()
    BEFORE = auto()  # the connection ends, and the COMMIT never arrives
    AFTER = auto()  # the COMMIT arrives, its answer does not
    LATE = auto()  # the connection ends, and the COMMIT arrives a little later
    GONE = auto()  # as AFTER, and nothing can connect any more


class Proxy:
    """Forwards to one PostgreSQL; `fault` happens to the next COMMIT, once."""

    late_seconds = 0.05

    def __init__(self, target: URL) -> None:
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = free_port()
        self.fault = Fault.NONE
        self.is_down = False
        self.happened: list[Fault] = []

    @property
    def url(self) -> str:
        return self._target.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cut(self) -> None:
        """Ends all connections, and takes no more until `is_down` is taken back."""
        self.is_down = True
        await self.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.is_down:
            to_client.transport.abort()
            return
        server, to_server = await asyncio.open_connection(self._target.host, self._target.port)
        back = asyncio.create_task(self._pass_on(server, to_client))
        try:
            while data := await client.read(CHUNK):
                if COMMIT in data and self.fault is not Fault.NONE:
                    back.cancel()
                    await self._fail(data, server, to_server, to_client)
                    return
                to_server.write(data)
        finally:
            back.cancel()
            for writer in (to_client, to_server):
                writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                writer.write(data)
        writer.transport.abort()

    async def _fail(
        self,
        data: bytes,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        to_client: asyncio.StreamWriter,
    ) -> None:
        fault, self.fault = self.fault, Fault.NONE
        self.happened.append(fault)
        self.is_down = fault is Fault.GONE
        if fault is Fault.LATE:
            to_client.transport.abort()
            await asyncio.sleep(self.late_seconds)
        if fault is not Fault.BEFORE:
            to_server.write(data)
            await server.read(CHUNK)  # it has taken effect


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(make_url(url))
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", proxy.port)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
