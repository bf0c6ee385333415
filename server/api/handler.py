"""The one wrapper around every method: bytes in, bytes out; call id, log line, errors as statuses.

It takes raw bytes, because what does not parse would otherwise end in UNKNOWN with the exception's text, and
because a replay is the stored bytes.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any, Never, Protocol

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from server.api.call import Call
from server.api.door import Door, Told
from server.api.redact import in_a_line
from server.api.statuses import MalformedRequest, abort, code_of
from server.domain.errors import PlatformLimited
from server.domain.observing import Observer
from server.service.call_log import CALL_ID, NOTHING, Line
from server.service.calls import Calls
from server.service.gate import Gate
from server.service.once import Reply

log = structlog.get_logger("optin.call")

LEAVING_SECONDS = 0.1  # so much later at most it is known that a caller went away
REPLAYED = ("idempotent-replayed", "true")

Context = grpc.aio.ServicerContext[bytes, bytes]


class Servicer(Protocol):
    """Has a method for each method of the service, by its name on the wire: a coroutine, or where it answers with a
    stream a generator of the messages' bytes."""


def method_handlers(
    service: ServiceDescriptor, servicer: Servicer, calls: Calls, gate: Gate, door: Door, observer: Observer
) -> "dict[str, grpc.RpcMethodHandler[bytes, bytes]]":
    return {
        method.name: _handler(_Handler(method, getattr(servicer, method.name), calls, gate, door, observer), method)
        for method in service.methods
    }


def _handler(handler: "_Handler", method: MethodDescriptor) -> "grpc.RpcMethodHandler[bytes, bytes]":
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(handler.stream, request_deserializer=None, response_serializer=None)
    # As if the request were a stream, of which one message is read: so a call can be refused before its message is
    # received, which is a fifth of what gRPC does for a call.
    return grpc.stream_unary_rpc_method_handler(handler.handle, request_deserializer=None, response_serializer=None)


class _Handler:
    def __init__(
        self,
        method: MethodDescriptor,
        call: Callable[[Any, Call], Any],
        calls: Calls,
        gate: Gate,
        door: Door,
        observer: Observer,
    ) -> None:
        self._name = f"{method.containing_service.full_name}/{method.name}"
        self._request = GetMessageClass(method.input_type)
        self._call = call
        self._calls = calls
        self._gate = gate
        self._door = door
        self._access = door.access
        self._log = log.bind()  # made once: it takes a fifth of a line's time
        self._began = observer.call(self._name, streamed=method.server_streaming)
        self._changes = method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
        self._shows_requests = structlog.is_configured() and log.is_enabled_for(logging.DEBUG)

    async def handle(self, _messages: object, context: Context) -> bytes:
        line, told = self._line(context)
        error: Exception | None = None
        reply = NOTHING
        try:
            self._gate.require_room()
            line.caller = caller = self._door.caller(told, self._name)
            admitted = self._access.admitted(caller)
            if self._changes:
                self._calls.require_room(context.time_remaining())
            raw = await context.read()  # which may never come, so that the call holds no place yet
            if not isinstance(raw, bytes):
                await self._left_or_malformed()
            with self._gate, admitted:
                call = Call(self._calls, self._name, line, caller)
                answer = await call.answer(self._call, self._parsed(raw, line.call_id))
            reply = answer if isinstance(answer, Reply) else Reply(answer.SerializeToString())
            line.end(reply=reply)
        except asyncio.CancelledError:  # the caller went away, or its deadline has passed
            line.end("CANCELLED")
            raise
        except Exception as raised:
            error = raised
        if error is not None:
            await self._refuse(context, error, line)
        trailing = ((CALL_ID, line.call_id), REPLAYED) if reply.replayed else ((CALL_ID, line.call_id),)
        context.set_trailing_metadata(trailing)
        return reply.body

    async def stream(self, raw: bytes, context: Context) -> None:
        """Ends when the caller leaves, or with an error: what is streamed has no end of its own."""
        line, told = self._line(context)
        try:
            self._gate.require_open()
            line.caller = caller = self._door.caller(told, self._name)
            call = Call(self._calls, self._name, line, caller, lambda: self._door.caller(told, self._name))
            with self._access.admitted(caller):
                async with aclosing(self._call(self._parsed(raw, line.call_id), call)) as messages:
                    async for message in messages:
                        await context.write(message)
        except asyncio.CancelledError:
            line.end("CANCELLED")
            raise
        except Exception as error:
            await self._refuse(context, error, line)

    def _line(self, context: Context) -> tuple[Line, Told]:
        started = time.perf_counter()
        told = self._door.told_by(context)
        ended = self._began(told.metadata, told.call_id)
        return Line(self._log, self._gate, self._name, told.call_id, ended, started), told

    async def _refuse(self, context: Context, error: Exception, line: Line) -> None:
        line.end(code_of(error).name, error=error)
        if isinstance(error, PlatformLimited):
            await self._access.hold(context.time_remaining())
        await abort(context, error, line.call_id)

    def _parsed(self, raw: bytes, call_id: str) -> Message:
        """Raises MalformedRequest."""
        try:
            request = self._request.FromString(raw)
        except DecodeError:
            raise MalformedRequest(message_type=self._request.DESCRIPTOR.full_name) from None
        if self._shows_requests:
            with suppress(Exception):
                log.debug("request", method=self._name, call_id=call_id, request=in_a_line(request))
        return request

    async def _left_or_malformed(self) -> Never:
        """No message came. Raises CancelledError when that is because the caller left, else MalformedRequest."""
        await asyncio.sleep(LEAVING_SECONDS)
        raise MalformedRequest(message_type=self._request.DESCRIPTOR.full_name)
