"""What is told of each request: to those who count, and as a line in the log."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from server.domain.callers import Caller
from server.domain.observing import Ended
from server.service.call_log import CALL_ID, NOTHING, loggable, new_call_id, tell
from server.service.gate import Gate
from server.service.once import Reply
from server.web import errors

log = structlog.get_logger("optin.call")

Began = Callable[[Iterable[tuple[str, str]], str], Ended]


class Line:
    """Begins with the request, and ends with its answer."""

    def __init__(self, name: str, began: Began, gate: Gate, request: Request) -> None:
        self.call_id = call_id_of(request.headers)
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
        tell(log, self._gate, self._name, code, seconds, self.call_id, caller=caller, reply=reply, error=error)


def code_of(response: Response, error: Exception | None) -> str:
    """As gRPC would have it."""
    return errors.CODES.get(response.status_code, "UNKNOWN") if error else "OK"


def call_id_of(headers: Headers) -> str:
    """The caller's, when it is one that can stand in a log; else a new one."""
    return loggable(headers.get(CALL_ID, "")) or new_call_id()
