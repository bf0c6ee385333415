"""The HTTP server: paths, limits, start and stop, in the loop that gRPC is served in."""

import asyncio
import socket
import ssl
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import h11
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.domain.observing import Observer
from server.service.calls import Calls
from server.service.gate import Gate
from server.service.links import PATH
from server.web import docs, errors, openapi
from server.web.guard import Guard
from server.web.http import Handler, failed
from server.web.noted import call_id_of
from server.web.operation import PREFIX, Operation
from server.web.operations import EventData, every
from server.web.page import refusals
from server.web.page.pages import Pages
from server.web.page.texts import texts_for

MOST_CONNECTIONS = 1_000
LARGEST_HEAD = 16 * 1024  # the request line and the headers
HEAD_SECONDS = 10.0  # who connects and does not say what it wants, or does not come to TLS, holds a socket no longer
IDLE_SECONDS = 60  # between two requests of a connection
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class _Connection(H11Protocol):
    """With a bound on how many there are, and on how long a request's head may take."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._late = self.loop.call_later(HEAD_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waits = self.conn.their_state is h11.IDLE
        if not waits and self._late is not None:
            self._late.cancel()
            self._late = None
        elif waits and self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """Uvicorn that leaves the signals alone: who serves beside it stops it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it for sockets, and with a bound on TLS handshakes, which are else let be for a minute."""
        loop, config = asyncio.get_running_loop(), self.config
        handshake_seconds = HEAD_SECONDS if config.ssl else None
        self.servers = [
            await loop.create_server(
                self._connection,
                sock=each,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=handshake_seconds,
            )
            for each in sockets or []
        ]
        self.started = True
        self.up.set()

    def _connection(self) -> asyncio.Protocol:
        made = self.config.http_protocol_class
        return made(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[call-arg]


class WebServer:
    def __init__(
        self, *, share_port: bool, tls: ssl.SSLContext | None, trusted_proxies: Sequence[str], names: Collection[str]
    ) -> None:
        """`trusted_proxies`: addresses and networks whose forwarded headers count; `names`: as `Guard`."""
        self._share_port = share_port
        self._tls = tls
        self._trusted_proxies = trusted_proxies
        self._names = names
        self._sockets: list[socket.socket] = []

    def bind(self, host: str, port: int) -> int:
        """The port, chosen by the kernel where it is 0. Raises OSError, UnicodeError."""
        with ExitStack() as stack:
            for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
                bound = stack.enter_context(socket.socket(family))
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if self._share_port:
                    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:
                    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                bound.bind((address[0], port, *address[2:]))
                port = bound.getsockname()[1]
                self._sockets.append(bound)
            stack.pop_all()
        return port

    def offer(self, calls: Calls, gate: Gate, observer: Observer, event_data: EventData, *, version: str) -> None:
        """The paths, over these use cases."""
        app = _app(every(event_data), calls, gate, observer, version)
        self._app: ASGIApp = Guard(app, self._names) if calls.access.open_to_all else app

    async def start(self, grace_seconds: float) -> None:
        """`grace_seconds`: how long calls in flight have to end, at stop."""
        config = uvicorn.Config(
            self._app,
            http=_Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=bool(self._trusted_proxies),
            forwarded_allow_ips=list(self._trusted_proxies),
            h11_max_incomplete_event_size=LARGEST_HEAD,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=int(grace_seconds),
        )
        config.load()
        config.ssl = self._tls
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(self._sockets), name="http")
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait([self._serving, up], return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            up.cancel()
            await self._serving

    async def stop(self) -> None:
        """Takes no more connections, and lets those that there are finish."""
        self._server.should_exit = True
        await self._serving


def _app(operations: tuple[Operation, ...], calls: Calls, gate: Gate, observer: Observer, version: str) -> Starlette:
    described = openapi.document(operations, version)
    document, page = orjson.dumps(described), docs.page(described)

    def show_document(request: Request) -> Response:
        return _described(request, document, "application/json")

    def show_page(request: Request) -> Response:
        return _described(request, page, "text/html")

    pages = Pages(calls, calls.links, gate, observer).routes if calls.links else []
    routes = [
        Route(PREFIX + operation.path, Handler(operation, calls, gate, observer).answer, methods=[operation.verb])
        for operation in sorted(operations, key=lambda operation: "{" in operation.path)
    ]
    app = Starlette(
        routes=[*routes, *pages, Route(f"{PREFIX}/openapi.json", show_document), Route("/docs", show_page)],
        exception_handlers={HTTPException: _no_such_path},
    )
    app.router.redirect_slashes = False
    return app


def _described(request: Request, what: bytes, media_type: str) -> Response:
    headers = PAGE_HEADERS | {"request-id": call_id_of(request.headers)}
    return Response(what, media_type=media_type, headers=headers)


def _no_such_path(request: Request, error: Exception) -> Response:
    wrong_method = isinstance(error, HTTPException) and error.status_code == 405
    told, call_id = errors.NoSuchMethod() if wrong_method else errors.NoSuchPath(), call_id_of(request.headers)
    if request.url.path.startswith(f"{PATH}/"):
        response = refusals.page(told, texts_for(request.headers.get("accept-language", "")), call_id)
    else:
        response = failed(told, call_id)
    if wrong_method:
        response.headers["allow"] = ", ".join(_methods(request))
    return response


def _methods(request: Request) -> list[str]:
    """Those that the path takes, of all routes that it fits: the framework names the first one's only."""
    fitting = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in fitting for method in route.methods})
