"""What is told of each request: to those who count, and as a line in the log."""

import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from uuid_utils import uuid7

from server.domain.callers import Caller
from server.domain.errors import DomainError, Overloaded
from server.domain.observing import Ended
from server.service.gate import Gate
from server.service.once import Reply
from server.web import errors

log = structlog.get_logger("optin.call")

CALL_ID = "x-call-id"
PRINTABLE = re.compile(r"[\x21-\x7e]{1,64}")

Began = Callable[[Iterable[tuple[str, str]], str], Ended]
NOTHING = Reply(b"")


class Line:
    """Begins with the request, and ends with its answer."""

    def __init__(self, name: str, began: Began, gate: Gate, request: Request) -> None:
        self.call_id = call_id_of(request)
        self._name = name
        self._gate = gate
        self._started = time.perf_counter()
        self._ended = began(request.headers.items(), self.call_id)

    def end(
        self, code: str, error: Exception | None = None, *, caller: Caller | None = None, reply: Reply = NOTHING
    ) -> None:
        with suppress(Exception):  # a log that cannot be written changes no answer
            self._end(code, error, caller, reply)
        if error is not None:
            error.with_traceback(None)  # which would keep the request until the next look for garbage

    def _end(self, code: str, error: Exception | None, caller: Caller | None, reply: Reply) -> None:
        seconds = time.perf_counter() - self._started
        self._ended(code, seconds)
        if isinstance(error, Overloaded):
            self._gate.tell_refused(error)
            return
        entry = {"method": self._name, "code": code, "ms": round(seconds * 1000, 2), "call_id": self.call_id}
        if caller is not None:
            entry["caller"] = caller.actor
        if reply.outcome or reply.replayed:
            entry["outcome"] = reply.outcome or "REPLAYED"
        if error is None:
            log.info("call", **entry)
        elif isinstance(error, DomainError):
            log.info("call", **entry, reason=error.reason)
        else:
            log.error("call", **entry, exc_info=error)


def code_of(response: Response, error: Exception | None) -> str:
    """As gRPC would have it."""
    return errors.CODES.get(response.status_code, "UNKNOWN") if error else "OK"


def call_id_of(request: Request) -> str:
    return call_id_in(request.headers)


def call_id_in(headers: Headers) -> str:
    """The caller's, when it is one that can stand in a log; else a new one."""
    told = headers.get(CALL_ID, "")
    return told if PRINTABLE.fullmatch(told) else str(uuid7())
