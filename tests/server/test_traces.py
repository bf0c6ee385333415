"""Traces: a call's span goes on with its caller's, and has the unit of work and the carrier below it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import structlog
from grpc.aio import ServicerContext
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from optin.carrier.v1 import carrier_service_pb2 as carrier_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import resources_pb2 as pb
from sqlalchemy import text
from structlog.testing import LogCapture

from server import observed
from server.app import running
from server.carrier.fake import FakeCarrier
from server.config import Settings
from server.storage.sqlite import writer_engine
from server.traces import CARRIER, CHANGES, UNIT, UNIT_ID, Traces
from tests.server.scrape import scrape
from tests.support.client import WORKERS_COMP, Client, refused

CREATE = "optin.v1.AssignmentService/CreateAssignment"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, NOT_SAMPLED = (("traceparent", f"00-{TRACE}-{CALLER}-{flag}") for flag in ("01", "00"))


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@asynccontextmanager
async def traced(exporter: InMemorySpanExporter, url: str, **settings: Any) -> AsyncIterator[tuple[Client, Any]]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with (
        running(Settings(port=0, database_url=url, **settings), observers=[Traces(provider)]) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield Client(channel), server
    provider.shutdown()


@pytest.fixture
def sqlite_url(tmp_path: Any, sqlite_template: Any) -> str:
    (tmp_path / "optin.db").write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{tmp_path}/optin.db"


def creation(contractor: str, job: str) -> assignments_pb.CreateAssignmentRequest:
    return assignments_pb.CreateAssignmentRequest(
        assignment=pb.Assignment(contractor=contractor, job=job, coverage_types=[WORKERS_COMP])
    )


def spans(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Of its trace, and of the span above it."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}" if span.parent else ""


async def test_a_call_goes_on_with_the_trace_of_its_caller(exporter: InMemorySpanExporter, database_url: str) -> None:
    async with traced(exporter, database_url) as (client, _):
        jane, job = await client.opted_in(), await client.job()
        exporter.clear()
        await client.raw(CREATE, creation(jane.id, job.id), SAMPLED, ("x-call-id", "mine"))
    (call,) = spans(exporter, CREATE)
    assert ids(call) == (TRACE, CALLER)
    assert call.kind is SpanKind.SERVER
    assert call.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": CREATE,
        "rpc.response.status_code": "OK",
        "optin.call_id": "mine",
    }
    assert call.status.status_code is StatusCode.UNSET
    (unit,) = spans(exporter, UNIT)
    assert call.context is not None
    assert ids(unit) == (TRACE, f"{call.context.span_id:016x}")
    assert (unit.attributes or {})[CHANGES] == 1
    assert (call.start_time or 0) <= (unit.start_time or 0) <= (unit.end_time or 0) <= (call.end_time or 0)


async def test_calls_that_share_a_unit_each_have_it_in_their_trace(
    exporter: InMemorySpanExporter, sqlite_url: str
) -> None:
    async with traced(exporter, sqlite_url) as (client, _):
        jane, job = await client.opted_in(), await client.job()
        exporter.clear()
        batch = assignments_pb.BatchCreateAssignmentsRequest(requests=[creation(jane.id, job.id)] * 3)
        await asyncio.gather(*(client.assignments.BatchCreateAssignments(batch) for _ in range(4)))
    calls = spans(exporter, "optin.v1.AssignmentService/BatchCreateAssignments")
    units = spans(exporter, UNIT)
    assert len({ids(call)[0] for call in calls}) == 4
    assert {ids(unit)[0] for unit in units} == {ids(call)[0] for call in calls}
    changes = {(unit.attributes or {})[UNIT_ID]: (unit.attributes or {})[CHANGES] for unit in units}
    assert sum(int(str(count)) for count in changes.values()) == 12
    assert len(units) == len({(ids(unit), (unit.attributes or {})[UNIT_ID]) for unit in units}), "once in a call"


async def test_one_that_its_caller_does_not_sample_leaves_nothing(
    exporter: InMemorySpanExporter, sqlite_url: str
) -> None:
    async with traced(exporter, sqlite_url) as (client, _):
        jane, job = await client.opted_in(), await client.job()
        exporter.clear()
        await client.raw(CREATE, creation(jane.id, job.id), NOT_SAMPLED)
        assert exporter.get_finished_spans() == ()
        await client.raw(CREATE, creation(jane.id, job.id), ("traceparent", "00-not-a-trace-01"))
        (call,) = spans(exporter, CREATE)
        assert call.parent is None


async def test_what_cannot_be_read_of_a_caller_s_trace_is_not_repeated(
    exporter: InMemorySpanExporter, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with traced(exporter, sqlite_url) as (client, _):
        jane, job = await client.opted_in(), await client.job()
        exporter.clear()
        for state in ("Canary Doe", "a=Canary,a=Doe", "a=" + "Canary" * 1000):
            await client.raw(CREATE, creation(jane.id, job.id), SAMPLED, ("tracestate", state))
        await client.raw(CREATE, creation(jane.id, job.id), ("traceparent", "Canary" * 1000))
    assert [ids(call)[1] for call in spans(exporter, CREATE)] == [CALLER] * 3 + [""]
    assert caplog.text == ""


async def test_errors_and_whose_they_are(exporter: InMemorySpanExporter, sqlite_url: str, tmp_path: Any) -> None:
    async with traced(exporter, sqlite_url) as (client, _):
        exporter.clear()
        await refused(client.raw(CREATE, creation("cn_none", "jb_none")))
        engine = writer_engine(tmp_path / "optin.db")
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE job_categories RENAME TO gone"))
        engine.dispose()
        await refused(client.category())
    (theirs,) = spans(exporter, CREATE)
    assert (theirs.attributes or {})["rpc.response.status_code"] == "NOT_FOUND"
    assert theirs.status.status_code is StatusCode.UNSET
    (ours,) = spans(exporter, "optin.v1.JobService/CreateJobCategory")
    assert (ours.attributes or {})["rpc.response.status_code"] == "UNAVAILABLE"
    assert ours.status.status_code is StatusCode.ERROR
    assert ours.status.description is None
    assert ours.events == ()
    units = [unit for unit in spans(exporter, UNIT) if ids(unit)[0] == ids(ours)[0]]
    assert [unit.status.status_code for unit in units] == [StatusCode.ERROR]


class Told(FakeCarrier):
    """Remembers the trace that each order to bind came with."""

    traces: list[str]

    async def BindPolicy(
        self, request: carrier_pb.BindPolicyRequest, context: "ServicerContext[Any, Any]"
    ) -> carrier_pb.BindPolicyResponse:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        self.traces.append(metadata["traceparent"])
        return await super().BindPolicy(request, context)


async def test_a_carrier_is_told_the_trace_and_metrics_count_beside(
    exporter: InMemorySpanExporter, sqlite_url: str
) -> None:
    carrier = Told()
    carrier.traces = []
    port = await carrier.start()
    async with traced(exporter, sqlite_url, carrier=f"grpc://127.0.0.1:{port}", metrics_port=0) as (client, server):
        jane, job = await client.opted_in(), await client.job()
        exporter.clear()
        await client.raw(CREATE, creation(jane.id, job.id), SAMPLED)
        found = await asyncio.to_thread(scrape, server.metrics_port)
    await carrier.stop()
    (call,), (asked,) = spans(exporter, CREATE), spans(exporter, f"{CARRIER}/BindPolicy")
    assert call.context is not None
    assert asked.context is not None
    assert ids(asked) == (TRACE, f"{call.context.span_id:016x}")
    assert asked.kind is SpanKind.CLIENT
    assert (asked.attributes or {})["rpc.response.status_code"] == "OK"
    assert carrier.traces == [f"00-{TRACE}-{asked.context.span_id:016x}-01"]
    assert [ids(unit)[0] for unit in spans(exporter, UNIT)] == [TRACE] * 2, "before the carrier, and after"
    assert found("optin_calls_total", method=CREATE, code="OK") == 1
    assert found("optin_carrier_calls_total", method="BindPolicy", code="OK") == 1
    assert found("optin_binding_outcomes_total", outcome="COVERAGE_BOUND") == 1
    assert (found("optin_commit_calls_count") or 0) > 0


async def test_no_span_has_anything_of_a_message(exporter: InMemorySpanExporter, sqlite_url: str) -> None:
    async with traced(exporter, sqlite_url) as (client, _):
        jane = await client.contractor(first_name="Canary", email="canary@example.com")
        await client.apply((await client.session(jane.id)).id, legal_name="Canary Doe")
        await refused(client.contractor(first_name="", last_name="Canary"))
        await refused(client.contractor(email="Canary@example.com"))
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "SubmitApplicationStep" in told
    for word in ("canary", "Canary", "Doe", jane.id):
        assert word not in told


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: list[tuple[str, str]] = []  # of which service, and named what

    async def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: "ServicerContext[Any, Any]"
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            (service,) = [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"]
            self.spans += [(service, span.name) for scope in resource.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.mark.parametrize(("name", "service"), [(None, "optin"), ("optin-west", "optin-west")])
async def test_traces_are_sent_to_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, name: str | None, service: str
) -> None:
    collector = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    if name:
        monkeypatch.setenv("OTEL_SERVICE_NAME", name)
    async with (
        running(Settings(port=0, database_url=sqlite_url)) as optin,
        grpc.aio.insecure_channel(f"127.0.0.1:{optin.port}") as channel,
    ):
        await Client(channel).contractor()
    await server.stop(None)
    assert (service, "optin.v1.ContractorService/CreateContractor") in collector.spans


async def test_without_the_extra_it_says_so_and_serves(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    log = LogCapture()
    monkeypatch.setattr(observed, "log", structlog.wrap_logger(None, processors=[log]))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "server.traces", None)
    async with (
        running(Settings(port=0, database_url=sqlite_url)) as optin,
        grpc.aio.insecure_channel(f"127.0.0.1:{optin.port}") as channel,
    ):
        await Client(channel).contractor()
    assert "no traces are sent" in [entry["event"] for entry in log.entries]
