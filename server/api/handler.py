"""The one wrapper around every method: bytes in, bytes out; call id, log line, errors as statuses.

It takes raw bytes, because what does not parse would otherwise end in UNKNOWN with the exception's text, and
because a replay is the stored bytes.
"""

import asyncio
import logging
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

from server.api.call import Call
from server.api.door import Door, Told
from server.api.redact import in_a_line
from server.api.statuses import CALL_ID, MalformedRequest, abort, code_of
from server.domain.callers import Caller
from server.domain.errors import DomainError, Overloaded, PlatformLimited
from server.domain.observing import Ended, Observer
from server.service import roles
from server.service.calls import Calls
from server.service.gate import Gate
from server.service.once import Reply

log = structlog.get_logger("optin.call")

REPLAYED = ("idempotent-replayed", "true")

Context = grpc.aio.ServicerContext[bytes, bytes]


class Servicer(Protocol):
    """Has a method for each method of the service, by its name on the wire: a coroutine, or where it answers with a
    stream a generator of the messages' bytes."""


def service_handler(
    service: ServiceDescriptor, servicer: Servicer, calls: Calls, gate: Gate, door: Door, observer: Observer
) -> grpc.GenericRpcHandler:
    handlers = {
        method.name: _handler(_Handler(method, getattr(servicer, method.name), calls, gate, door, observer), method)
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(handler: "_Handler", method: MethodDescriptor) -> "grpc.RpcMethodHandler[bytes, bytes]":
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(handler.stream, request_deserializer=None, response_serializer=None)
    return grpc.unary_unary_rpc_method_handler(handler.handle, request_deserializer=None, response_serializer=None)


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
        self._log = log.bind()  # made once: it takes a fifth of a line's time
        self._began = observer.call(self._name, streamed=method.server_streaming)
        self._changes = method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
        self._shows_requests = structlog.is_configured() and log.is_enabled_for(logging.DEBUG)

    async def handle(self, raw: bytes, context: Context) -> bytes:
        started = time.perf_counter()
        told = self._door.told_by(context)
        call_id, caller = told.call_id, None
        ended = self._began(told.metadata, call_id)
        error: Exception | None = None
        reply = Reply(b"")
        try:
            with self._gate:
                caller = self._known(told)
                with self._door.access.admitted(caller):
                    reply = await self._in_time(raw, call_id, context, caller)
        except asyncio.CancelledError:  # the caller went away, or its deadline has passed
            self._cancelled(call_id, started, ended)
            raise
        except Exception as raised:
            error = raised
        with suppress(Exception):  # a log that cannot be written (no disk, no reader) changes no answer
            self._note(call_id, caller, started, reply, error, ended)
        if error is not None:
            await self._refuse(context, error, call_id)
        trailing = ((CALL_ID, call_id), REPLAYED) if reply.replayed else ((CALL_ID, call_id),)
        context.set_trailing_metadata(trailing)
        return reply.body

    async def stream(self, raw: bytes, context: Context) -> None:
        """Ends when the caller leaves, or with an error: what is streamed has no end of its own."""
        started = time.perf_counter()
        told = self._door.told_by(context)
        call_id, caller = told.call_id, None
        ended = self._began(told.metadata, call_id)
        try:
            self._gate.require_open()
            caller = self._known(told)
            call = Call(self._calls, self._name, call_id, caller, lambda: self._known(told))
            with self._door.access.admitted(caller):
                async with aclosing(self._call(self._parsed(raw, call_id), call)) as messages:
                    async for message in messages:
                        await context.write(message)
        except asyncio.CancelledError:
            self._cancelled(call_id, started, ended)
            raise
        except Exception as error:
            with suppress(Exception):
                self._note(call_id, caller, started, Reply(b""), error, ended)
            await self._refuse(context, error, call_id)

    async def _refuse(self, context: Context, error: Exception, call_id: str) -> None:
        if isinstance(error, PlatformLimited):
            await self._door.access.hold(context.time_remaining())
        # Without its traceback, which would keep this frame, and so the request, until the next look for garbage.
        await abort(context, error.with_traceback(None), call_id)

    def _known(self, told: Told) -> Caller:
        """Raises InvalidCredentials, RoleNotAllowed."""
        caller = self._door.caller(told)
        roles.require(caller, self._name)
        return caller

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

    async def _in_time(self, raw: bytes, call_id: str, context: Context, caller: Caller) -> Reply:
        """A change that cannot be answered by its deadline is refused before it is parsed."""
        seconds_left = context.time_remaining()
        if self._changes and seconds_left is not None and self._calls.wait_seconds() > seconds_left:
            raise Overloaded(limit="the call would wait past its deadline")
        answer = await Call(self._calls, self._name, call_id, caller).answer(self._call, self._parsed(raw, call_id))
        return answer if isinstance(answer, Reply) else Reply(answer.SerializeToString())

    def _cancelled(self, call_id: str, started: float, ended: Ended) -> None:
        seconds = time.perf_counter() - started
        ended("CANCELLED", seconds)
        self._log.info("call", method=self._name, code="CANCELLED", ms=_ms(seconds), call_id=call_id)

    def _note(
        self,
        call_id: str,
        caller: Caller | None,
        started: float,
        reply: Reply,
        error: Exception | None,
        ended: Ended,
    ) -> None:
        seconds = time.perf_counter() - started
        code = "OK" if error is None else code_of(error).name
        ended(code, seconds)
        if isinstance(error, Overloaded):
            self._gate.tell_refused(error)
            return
        entry = {"method": self._name, "code": code, "ms": _ms(seconds), "call_id": call_id}
        if caller is not None:
            entry["caller"] = caller.actor
        if reply.outcome or reply.replayed:
            entry["outcome"] = reply.outcome or "REPLAYED"
        if error is None:
            self._log.info("call", **entry)
        elif isinstance(error, DomainError):
            self._log.info("call", **entry, reason=error.reason)
        else:
            self._log.error("call", **entry, exc_info=error)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
