"""Where Prometheus reads the metrics: plain HTTP, on a port and in threads of its own.

It answers a few at a time, each within a time; whoever comes beyond that finds the connection closed.
"""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from server.api.server import PortTaken, address_of

MOST_READERS = 8
LONGEST_SECONDS = 10.0
LOOK_SECONDS = 0.1  # for readers that take too long, and for the stop


@asynccontextmanager
async def scraped(registry: CollectorRegistry, host: str, port: int) -> AsyncIterator[int]:
    """Serves while the block lasts, on the port that is given: chosen by the kernel where it is 0. Raises PortTaken."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        server = _Server(family, (str(address[0]), int(address[1])))
    except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
        raise PortTaken(address_of(host, port), flag="--metrics-port") from error
    with server:
        server.set_app(make_wsgi_app(registry))
        thread = threading.Thread(target=server.serve_forever, args=(LOOK_SECONDS,), name="metrics", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            await asyncio.to_thread(server.shutdown)


class _Handler(WSGIRequestHandler):
    timeout = LONGEST_SECONDS  # for one read

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class has it so
        """Scrapes are no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, family: int, address: tuple[str, int]) -> None:
        self.address_family = family
        self._readers: dict[socket.socket, float] = {}  # and when they came
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if taken := len(self._readers) < MOST_READERS:
                self._readers[request] = time.monotonic()
        if taken:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._readers.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Between two requests: those who take too long are cut off."""
        with self._lock:
            late = [reader for reader, came in self._readers.items() if time.monotonic() > came + LONGEST_SECONDS]
        for reader in late:
            with suppress(OSError):
                reader.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One who goes away, or is cut off, is no news either."""
