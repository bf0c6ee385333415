"""Traces, as OpenTelemetry has them. Imported only where they are wanted: the extra `otel` brings what is needed.

A call's span goes on with the trace that its caller names in `traceparent`. Below it are the unit of work that it was
written in and the calls to a remote carrier, which takes the trace on. No span has anything of a message.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AnyValue

from server import __version__
from server.domain.observing import Began, Ended, Metadata, Observer

CARRIER = "optin.carrier.v1.CarrierService"
UNIT = "unit of work"
CALL_ID = "optin.call_id"  # as in the log
CHANGES = "optin.unit.changes"
UNIT_ID = "optin.unit.id"

# What the conventions count as the server's fault; a caller of the carrier sees every failure as one.
FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}

PROPAGATOR = TraceContextTextMapPropagator()


class Traces(Observer):
    def __init__(self, provider: TracerProvider) -> None:
        logging.getLogger("opentelemetry.trace").setLevel(logging.ERROR)  # it warns with what callers sent
        self._provider = provider
        self._tracer = provider.get_tracer("optin", __version__)
        self._new_id = provider.id_generator.generate_span_id

    def call(self, method: str, *, streamed: bool) -> Began:
        attributes = _attributes(method)

        def began(metadata: Metadata, call_id: str) -> Ended:
            caller = PROPAGATOR.extract({key: value for key, value in metadata if isinstance(value, str)})
            span = self._tracer.start_span(
                method, context=caller, kind=SpanKind.SERVER, attributes={**attributes, CALL_ID: call_id}
            )
            contexts.attach(trace.set_span_in_context(span, caller))  # of the call's own task, and gone with it
            return lambda code, _seconds: _end(span, code, failed=code in FAULTS)

        return began

    def mark(self) -> Span | None:
        span = trace.get_current_span()
        return span if span.get_span_context().trace_flags.sampled else None

    def wrote(self, marks: Sequence[object], seconds: float, *, failed: bool) -> None:
        """One span in each call's trace: a call that shares its unit with others has it too, and knows it by its id."""
        end = time.time_ns()
        attributes: dict[str, AnyValue] = {UNIT_ID: f"{self._new_id():016x}", CHANGES: len(marks)}
        for call in {mark for mark in marks if isinstance(mark, Span)}:
            context = trace.set_span_in_context(call)
            span = self._tracer.start_span(UNIT, context, attributes=attributes, start_time=end - int(seconds * 1e9))
            if failed:
                span.set_status(StatusCode.ERROR)
            span.end(end)

    def carrier_call(self, method: str) -> tuple[Metadata, Ended]:
        name = f"{CARRIER}/{method}"
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=_attributes(name))
        metadata: dict[str, str] = {}
        PROPAGATOR.inject(metadata, trace.set_span_in_context(span))
        return tuple(metadata.items()), lambda code, _seconds: _end(span, code, failed=code != "OK")

    async def close(self) -> None:
        """Sends what has not been sent."""
        await asyncio.to_thread(self._provider.shutdown)


def _attributes(method: str) -> dict[str, AnyValue]:
    return {"rpc.system.name": "grpc", "rpc.method": method}


def _end(span: Span, code: str, *, failed: bool) -> None:
    span.set_attribute("rpc.response.status_code", code)
    if failed:
        span.set_status(StatusCode.ERROR)
    span.end()


def sent_as_told() -> Traces:
    """To where OpenTelemetry's own environment variables say; sampling and names too are theirs."""
    resource = Resource.create({SERVICE_VERSION: __version__})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "optin"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)
