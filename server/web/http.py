"""The one wrapper around every operation: a request in, JSON out; call id, log line, errors as responses."""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from server.domain.callers import Caller
from server.domain.errors import DomainError, NotFound, PlatformLimited, Retryable
from server.domain.observing import Observer
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
from server.web.noted import code_of, line_of
from server.web.operation import Answer, Operation
from server.web.shown import ApplicationSession, listed

LARGEST_BODY = 256 * 1024
DEEPEST_BODY = 32  # objects and lists within one another
BODY_SECONDS = 20
REQUEST_IDS = ("ten99policy-idempotent-key", "idempotency-key")
JSON = re.compile(r"application/([a-z0-9.-]+\+)?json\s*(;.*)?", re.IGNORECASE)
BASIC = "Basic "
CATEGORY = "job_category"


class Handler:
    """Answers one operation."""

    def __init__(self, operation: Operation, calls: Calls, gate: Gate, observer: Observer) -> None:
        self._operation = operation
        self._calls = calls
        self._gate = gate
        self._began = observer.call(operation.rpc, streamed=False)

    async def answer(self, request: Request) -> Response:
        reply, error = Reply(b""), None
        line = line_of(self._operation.name, self._began, self._gate, request)
        try:
            self._gate.require_room()
            line.caller = caller = self._calls.access.caller(_authorization(request))
            roles.require(caller, self._operation.rpc)
            admitted = self._calls.access.admitted(caller)
            if self._operation.verb != "GET":
                self._calls.require_room()
            # The body may never come, so that the call holds no place yet.
            body = await _body(request) if self._operation.sends_a_body else {}
            with self._gate, admitted:
                reply = await self._answer(request, caller, body)
        except ClientDisconnect:
            line.end("CANCELLED")
            return Response(status_code=400)  # nobody reads it
        except asyncio.CancelledError:
            line.end("CANCELLED")
            raise
        except Exception as raised:
            error = raised
        response = failed(self._own(error), line.call_id) if error else self._succeeded(reply, line.call_id)
        line.end(code_of(response, error), reply=reply, error=error)
        if isinstance(error, PlatformLimited):
            await self._calls.access.hold()
        return response

    async def _answer(self, request: Request, caller: Caller, body: Mapping[str, Any]) -> Reply:
        operation = self._operation
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
            return self._linked(call, _reply(await operation.handler(call, self._asked(request, body))))
        except Retryable:
            raise
        except DomainError:
            # A repeat may be refused where the first was not: days go by, and another server may have done it just now.
            if first := await call.kept():
                return self._linked(call, first)
            raise

    def _linked(self, call: Call, reply: Reply) -> Reply:
        """With the links to the contractor's page, which are made now and never kept."""
        if ApplicationSession not in self._operation.shows:
            return reply
        body = orjson.loads(stored.unpacked(reply.body))
        for session in body if self._operation.many else [body]:
            session["url"] = call.link(session["contractor"], session["id"]) or None
        return replace(reply, body=orjson.dumps(body))

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


def failed(error: Exception, call_id: str) -> Response:
    status, body = errors.told_of(error, call_id)
    headers = errors.headers_of(error, call_id)
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
    """As gRPC has it, which takes the scheme in one spelling only. Of Basic the user is the key."""
    return [_bearer(told) for told in request.headers.getlist("authorization")]


def _bearer(told: str) -> str:
    if told.lower().startswith(BEARER.lower()):
        return BEARER + told[len(BEARER) :]
    if not told.lower().startswith(BASIC.lower()):
        return told
    with suppress(binascii.Error, UnicodeDecodeError, ValueError):
        return BEARER + base64.b64decode(told[len(BASIC) :], validate=True).decode("ascii").partition(":")[0]
    return ""


def _request_id(request: Request) -> str:
    """Raises InvalidFields."""
    told = next((request.headers[name] for name in REQUEST_IDS if name in request.headers), "")
    return parsed(ChangeRequest, {"request_id": told}).request_id


async def _body(request: Request) -> Mapping[str, Any]:
    """Raises MalformedBody, BodyTooDeep, BodyTooLarge, BodyTooSlow."""
    read = await bytes_of(request, LARGEST_BODY)
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
    if _is_deep(body):
        raise errors.BodyTooDeep(most=str(DEEPEST_BODY))
    return body


def _is_deep(body: Any) -> bool:
    """By a bound of ours, far beyond what any field needs: the library reads deeper JSON than it writes, and the
    digest of a request has its body."""
    within = [body]
    for _ in range(DEEPEST_BODY):
        within = [inner for each in within for inner in _items(each) if isinstance(inner, dict | list)]
    return bool(within)


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


async def bytes_of(request: Request, most: int) -> bytes:
    """The body. Raises BodyTooLarge, BodyTooSlow."""
    read = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                read += chunk
                if len(read) > most:
                    raise errors.BodyTooLarge(most=str(most))
    except TimeoutError:
        raise errors.BodyTooSlow(seconds=str(BODY_SECONDS)) from None
    return bytes(read)
