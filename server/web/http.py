"""The one wrapper around every operation: a request in, JSON out; call id, log line, errors as responses."""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from uuid_utils import uuid7

from server.domain.callers import Caller
from server.domain.errors import DomainError, NotFound, Overloaded, Retryable
from server.domain.observing import Ended, Observer
from server.service import roles
from server.service.access import BEARER
from server.service.calls import Calls
from server.service.fields import ChangeRequest
from server.service.gate import Gate
from server.service.once import Reply
from server.service.parsing import parsed
from server.web import errors, stored
from server.web.asked import Changes
from server.web.call import Call
from server.web.operation import Answer, Operation
from server.web.shown import listed

log = structlog.get_logger("optin.call")

LARGEST_BODY = 256 * 1024
BODY_SECONDS = 20
CALL_ID = "x-call-id"
REQUEST_IDS = ("ten99policy-idempotent-key", "idempotency-key")
PRINTABLE = re.compile(r"[\x21-\x7e]{1,64}")
JSON = re.compile(r"application/([a-z0-9.-]+\+)?json\s*(;.*)?", re.IGNORECASE)
BASIC = "basic "
CATEGORY = "job_category"


class Handler:
    """Answers one operation."""

    def __init__(self, operation: Operation, calls: Calls, gate: Gate, observer: Observer) -> None:
        self._operation = operation
        self._calls = calls
        self._gate = gate
        self._began = observer.call(operation.rpc, streamed=False)

    async def answer(self, request: Request) -> Response:
        started = time.perf_counter()
        call_id, caller = call_id_of(request), None
        ended = self._began(request.headers.items(), call_id)
        error: Exception | None = None
        reply = Reply(b"")
        try:
            with self._gate:
                caller = self._calls.access.caller(_authorization(request))
                roles.require(caller, self._operation.rpc)
                with self._calls.access.admitted(caller):
                    reply = await self._answer(request, caller)
        except ClientDisconnect:
            self._note(call_id, caller, started, reply, "CANCELLED", None, ended)
            return Response(status_code=400)  # nobody reads it
        except asyncio.CancelledError:
            self._note(call_id, caller, started, reply, "CANCELLED", None, ended)
            raise
        except Exception as raised:
            error = raised
        response = failed(self._own(error), call_id) if error else self._succeeded(reply, call_id)
        code = errors.CODES.get(response.status_code, "OK") if error else "OK"
        with suppress(Exception):  # a log that cannot be written changes no answer
            self._note(call_id, caller, started, reply, code, error, ended)
        if error is not None:
            error.with_traceback(
                None
            )  # which would keep this frame, and so the request, until the next look for garbage
        return response

    async def _answer(self, request: Request, caller: Caller) -> Reply:
        operation = self._operation
        body = await _body(request) if operation.sends_a_body else {}
        call = Call(
            self._calls,
            caller,
            operation.rpc,
            verb=operation.verb,
            path=request.url.path,
            id_=request.path_params.get("id", ""),
            body=body,
        )
        if operation.verb != "GET":
            call.request_id = _request_id(request)
        await call.go_where_the_work_is()
        try:
            return _reply(await operation.handler(call, self._asked(request, body)))
        except Retryable:
            raise
        except DomainError:
            # A repeat may be refused where the first was not: days go by, and another server may have done it just now.
            if first := await call.kept():
                return first
            raise

    def _asked(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Raises InvalidFields."""
        model = self._operation.asks
        if model is None:
            return None
        if self._operation.verb == "PUT":
            return Changes(model, body)
        return parsed(model, body if self._operation.sends_a_body else dict(request.query_params))

    def _own(self, error: Exception) -> Exception:
        """A category that a body names is a field of it, and not the resource of the path."""
        if isinstance(error, NotFound) and self._operation.sends_a_body and error.metadata["resource_type"] == CATEGORY:
            return errors.UnknownCategory()
        return error

    def _succeeded(self, reply: Reply, call_id: str) -> Response:
        headers = {"request-id": call_id} | ({"idempotent-replayed": "true"} if reply.replayed else {})
        return _json(self._operation.status, stored.unpacked(reply.body), headers)

    def _note(
        self,
        call_id: str,
        caller: Caller | None,
        started: float,
        reply: Reply,
        code: str,
        error: Exception | None,
        ended: Ended,
    ) -> None:
        seconds = time.perf_counter() - started
        ended(code, seconds)
        if isinstance(error, Overloaded):
            self._gate.tell_refused(error)
            return
        entry = {"method": self._operation.name, "code": code, "ms": round(seconds * 1000, 2), "call_id": call_id}
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


def call_id_of(request: Request) -> str:
    """The caller's, when it is one that can stand in a log; else a new one."""
    told = request.headers.get(CALL_ID, "")
    return told if PRINTABLE.fullmatch(told) else str(uuid7())


def failed(error: Exception, call_id: str) -> Response:
    status, body = errors.told_of(error, call_id)
    headers = {"request-id": call_id}
    if isinstance(error, Retryable):
        headers["retry-after"] = str(max(1, round(error.retry_seconds)))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return _json(status, body.model_dump_json().encode(), headers)


def _json(status: int, body: bytes, headers: dict[str, str]) -> Response:
    kept_nowhere = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(body, status, headers | kept_nowhere, media_type="application/json")


def _reply(answer: Answer) -> Reply:
    if isinstance(answer, Reply):
        return answer
    return Reply(listed(answer) if isinstance(answer, list) else answer.body())


def _authorization(request: Request) -> list[str]:
    """As gRPC has it. Of Basic the user is the key."""
    return [_bearer(told) for told in request.headers.getlist("authorization")]


def _bearer(told: str) -> str:
    if told[: len(BASIC)].lower() != BASIC:
        return told
    with suppress(binascii.Error, UnicodeDecodeError, ValueError):
        return BEARER + base64.b64decode(told[len(BASIC) :], validate=True).decode("ascii").partition(":")[0]
    return ""


def _request_id(request: Request) -> str:
    """Raises InvalidFields."""
    told = next((request.headers[name] for name in REQUEST_IDS if name in request.headers), "")
    return parsed(ChangeRequest, {"request_id": told}).request_id


async def _body(request: Request) -> Mapping[str, Any]:
    """Raises MalformedBody, BodyTooLarge, BodyTooSlow."""
    read = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                read += chunk
                if len(read) > LARGEST_BODY:
                    raise errors.BodyTooLarge(most=str(LARGEST_BODY))
    except TimeoutError:
        raise errors.BodyTooSlow(seconds=str(BODY_SECONDS)) from None
    if not read:
        return {}
    if not JSON.fullmatch(request.headers.get("content-type", "")):
        raise errors.MalformedBody
    try:
        body = orjson.loads(read)
    except orjson.JSONDecodeError:
        raise errors.MalformedBody from None
    if not isinstance(body, dict):
        raise errors.MalformedBody
    return body
