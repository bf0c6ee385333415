"""The one wrapper around every method: bytes in, bytes out; call id, log line, errors as statuses.

It takes raw bytes, because what does not parse would otherwise end in UNKNOWN with the exception's text, and
because a replay is the stored bytes.
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from uuid_utils import uuid7

from server.api.call import Call
from server.api.gate import Gate
from server.api.statuses import MalformedRequest, code_of, told_of
from server.domain.errors import DomainError, Overloaded
from server.service.calls import Calls
from server.service.once import Reply

log = structlog.get_logger("optin.call")

CALL_ID = "x-call-id"
REPLAYED = ("idempotent-replayed", "true")
STATUS_DETAILS = "grpc-status-details-bin"
PRINTABLE = re.compile(r"[\x21-\x7e]{1,64}")

Context = grpc.aio.ServicerContext[bytes, bytes]


class Servicer(Protocol):
    """Has a method for each method of the service, by its name on the wire: a coroutine, or where it answers with a
    stream a generator of the messages' bytes."""


def service_handler(service: ServiceDescriptor, servicer: Servicer, calls: Calls, gate: Gate) -> grpc.GenericRpcHandler:
    handlers = {
        method.name: _handler(_Handler(method, getattr(servicer, method.name), calls, gate), method)
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(handler: "_Handler", method: MethodDescriptor) -> "grpc.RpcMethodHandler[bytes, bytes]":
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(handler.stream, request_deserializer=None, response_serializer=None)
    return grpc.unary_unary_rpc_method_handler(handler.handle, request_deserializer=None, response_serializer=None)


class _Handler:
    def __init__(self, method: MethodDescriptor, call: Callable[[Any, Call], Any], calls: Calls, gate: Gate) -> None:
        self._name = f"{method.containing_service.full_name}/{method.name}"
        self._request = GetMessageClass(method.input_type)
        self._call = call
        self._calls = calls
        self._gate = gate
        self._changes = method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS

    async def handle(self, raw: bytes, context: Context) -> bytes:
        started = time.perf_counter()
        call_id = _call_id(context)
        error: Exception | None = None
        reply = Reply(b"")
        try:
            with self._gate:
                reply = await self._in_time(raw, call_id, context)
        except asyncio.CancelledError:  # the caller went away, or its deadline has passed
            log.info("call", method=self._name, code="CANCELLED", ms=_ms_since(started), call_id=call_id)
            raise
        except Exception as raised:
            error = raised
        with suppress(Exception):  # a log that cannot be written (no disk, no reader) changes no answer
            self._log(call_id, started, reply, error)
        if error is not None:
            # Without its traceback, which would keep this frame, and so the request, until the next look for garbage.
            await _abort(context, error.with_traceback(None), call_id)
        trailing = ((CALL_ID, call_id), REPLAYED) if reply.replayed else ((CALL_ID, call_id),)
        context.set_trailing_metadata(trailing)
        return reply.body

    async def stream(self, raw: bytes, context: Context) -> None:
        """Ends when the caller leaves, or with an error: what is streamed has no end of its own."""
        started = time.perf_counter()
        call_id = _call_id(context)
        try:
            self._gate.require_open()
            call = Call(self._calls, self._name, call_id)
            async with aclosing(self._call(self._parsed(raw), call)) as messages:
                async for message in messages:
                    await context.write(message)
        except asyncio.CancelledError:
            log.info("call", method=self._name, code="CANCELLED", ms=_ms_since(started), call_id=call_id)
            raise
        except Exception as error:
            with suppress(Exception):
                self._log(call_id, started, Reply(b""), error)
            await _abort(context, error, call_id)

    def _parsed(self, raw: bytes) -> Message:
        """Raises MalformedRequest."""
        try:
            return self._request.FromString(raw)
        except DecodeError:
            raise MalformedRequest(message_type=self._request.DESCRIPTOR.full_name) from None

    async def _in_time(self, raw: bytes, call_id: str, context: Context) -> Reply:
        """A change that cannot be answered by its deadline is refused before it is parsed."""
        seconds_left = context.time_remaining()
        if self._changes and seconds_left is not None and self._calls.wait_seconds() > seconds_left:
            raise Overloaded(limit="the call would wait past its deadline")
        return await self._answer(raw, call_id)

    async def _answer(self, raw: bytes, call_id: str) -> Reply:
        answer = await Call(self._calls, self._name, call_id).answer(self._call, self._parsed(raw))
        return answer if isinstance(answer, Reply) else Reply(answer.SerializeToString())

    def _log(self, call_id: str, started: float, reply: Reply, error: Exception | None) -> None:
        if isinstance(error, Overloaded):
            self._gate.tell_refused(error)
            return
        entry = {
            "method": self._name,
            "code": "OK" if error is None else code_of(error).name,
            "ms": _ms_since(started),
            "call_id": call_id,
        }
        if reply.outcome or reply.replayed:
            entry["outcome"] = reply.outcome or "REPLAYED"
        if error is None:
            log.info("call", **entry)
        elif isinstance(error, DomainError):
            log.info("call", **entry, reason=error.reason)
        else:
            log.error("call", **entry, exc_info=error)


async def _abort(context: Context, error: Exception, call_id: str) -> None:
    message, details = told_of(error, call_id)
    await context.abort(code_of(error), message, trailing_metadata=((CALL_ID, call_id), (STATUS_DETAILS, details)))


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


def _call_id(context: Context) -> str:
    """The caller's, when it is one that can stand in a log; else a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == CALL_ID and isinstance(value, str) and PRINTABLE.fullmatch(value):
            return value
    return str(uuid7())
