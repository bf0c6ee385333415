"""What an operation is: a method and a path, what it asks, what it shows, and what it does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from server.service.fields import Fields
from server.service.once import Reply
from server.web.call import Call
from server.web.shown import Shown

PREFIX = "/api/v1"

Answer = Shown | list[Shown] | Reply
Handler = Callable[[Call, Any], Awaitable[Answer]]
"""Takes the call, and what was asked, parsed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    verb: str
    path: str  # below the prefix
    method: str  # of the gRPC API that does the same, whose roles count
    handler: Handler
    shows: tuple[type[Shown], ...]
    summary: str
    asks: type[Fields] | None = None  # of a GET the query, of a PUT each field by itself, else the body
    many: bool = False

    @property
    def rpc(self) -> str:
        return f"optin.v1.{self.method}"

    @property
    def name(self) -> str:
        return f"{self.verb} {PREFIX}{self.path}"

    @property
    def status(self) -> int:
        """Of success: creating answers 201."""
        return 201 if self.verb == "POST" and "/Create" in self.method else 200

    @property
    def sends_a_body(self) -> bool:
        return self.verb in ("POST", "PUT")
