"""Keeps other sites' pages from calling an open sandbox through the browser of who runs it."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.web import errors
from server.web.http import failed
from server.web.noted import call_id_in
from server.web.operation import PREFIX

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        """`names`: those that this server is called by, beside the loopback ones."""
        self._app = app
        self._names = LOOPBACK | {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (error := self._refusal(scope["path"], Headers(scope=scope))):
            await failed(error, call_id_in(Headers(scope=scope)))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> errors.NotFromHere | None:
        """A name that leads here by somebody else's DNS; or a request that another site's page makes.

        The contractor's page has marks in its forms, and asks browsers to say nothing of where they come from.
        """
        if not self._is_ours(f"//{headers.get('host', '')}"):
            return errors.NotFromHere()
        origin = headers.get("origin")
        foreign = origin is not None and path.startswith(PREFIX) and not self._is_ours(origin)
        return errors.NotFromHere() if foreign else None

    def _is_ours(self, url: str) -> bool:
        try:
            return urlsplit(url).hostname in self._names
        except ValueError:
            return False
