"""What is told of each request: as of each call, with what HTTP has for it."""

import time
from collections.abc import Callable, Iterable

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from server.domain.observing import Ended
from server.service.call_log import CALL_ID, Line, loggable, new_call_id
from server.service.gate import Gate
from server.web import errors

log = structlog.get_logger("optin.call")

Began = Callable[[Iterable[tuple[str, str]], str], Ended]


def line_of(name: str, began: Began, gate: Gate, request: Request) -> Line:
    """Begins with the request, and ends with its answer."""
    call_id = call_id_of(request.headers)
    return Line(log, gate, name, call_id, began(request.headers.items(), call_id), time.perf_counter())


def code_of(response: Response, error: Exception | None) -> str:
    """As gRPC would have it."""
    return errors.CODES.get(response.status_code, "UNKNOWN") if error else "OK"


def call_id_of(headers: Headers) -> str:
    """The caller's, when it is one that can stand in a log; else a new one."""
    return loggable(headers.get(CALL_ID, "")) or new_call_id()
