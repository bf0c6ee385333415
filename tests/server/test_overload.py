"""What is over a bound is refused at once, and says when to come again; what is left out of a bound still answers."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import resources_pb2 as pb
from sqlalchemy import make_url

from server import app
from server.app import EVENT_OF
from server.domain.carrier import Answer, Bound
from server.domain.errors import Overloaded
from server.domain.ports import Unit
from server.domain.records import Policy
from server.domain.requests import StoredRequest
from server.service import gate, retention
from server.service.writer import Writer
from server.storage import open_storage, schema
from tests.conftest import NOW, Clock, Serving
from tests.support.client import Refusal, refused

CREATE = "/optin.v1.AssignmentService/CreateAssignment"


class SlowCarrier:
    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0

    async def bind(self, policy: Policy) -> Answer:
        self.asked += 1
        await self.go.wait()
        return Bound(policy.id)

    async def void(self, policy: Policy) -> None: ...

    async def cancel(self, policy: Policy) -> None: ...

    async def reinstate(self, policy: Policy) -> None: ...


async def test_calls_over_the_bound_are_refused_and_health_answers(serve: Serving) -> None:
    carrier = SlowCarrier()
    async with serve(carrier=carrier, calls_in_flight=2) as client:
        jane, john = await client.opted_in(), await client.opted_in()
        job = await client.job()
        held = [asyncio.ensure_future(client.assign(one.id, job.id)) for one in (jane, john)]
        while carrier.asked < 2:
            await asyncio.sleep(0.01)
        refusal = await refused(client.assign(jane.id, job.id))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        (retry,) = refusal.of(error_details_pb2.RetryInfo)
        assert retry.retry_delay.ToTimedelta() > timedelta()
        # Before any parsing: what would be malformed is refused for the same reason.
        raw = client.channel.unary_unary(CREATE)
        assert (await refused(raw(b"\xff\xff"))).reason == "OVERLOADED"
        # Before it is received, too: this one's message never comes.
        assert (await refused(client.channel.stream_unary(CREATE)())).reason == "OVERLOADED"
        carrier.go.set()
        assert {(await call).outcome for call in held} == {pb.BINDING_OUTCOME_COVERAGE_BOUND}
        assert (await client.assign(jane.id, job.id)).outcome == pb.BINDING_OUTCOME_COVERAGE_REUSED


async def test_changes_over_the_queues_bound_are_refused_before_they_are_parsed_and_reads_are_not(
    serve: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "QUEUE_MAX", 2)
    async with serve(database_url=f"sqlite+aiosqlite:///{tmp_path}/own.db") as client:
        jane, job = await client.opted_in(), await client.job()
        other = sqlite3.connect(tmp_path / "own.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # another program keeps the server from writing
        calls: list[asyncio.Future[Any]] = []
        for _ in range(2):  # those of a first batch, and those that wait behind it
            calls += (asyncio.ensure_future(client.assign(jane.id, job.id)) for _ in range(10))
            while not any(call.done() for call in calls[-10:]):
                await asyncio.sleep(0.01)
        refusal = await refused(client.channel.unary_unary(CREATE)(b"\xff\xff"))
        assert (refusal.reason, refusal.told) == ("OVERLOADED", {"limit": "calls that wait to be written"})
        assert refusal.of(error_details_pb2.RetryInfo)
        assert await client.get_contractor(jane.id) == jane
        other.execute("ROLLBACK")
        other.close()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        refusals = [Refusal(answer) for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert 0 < len(refusals) < len(calls)
        assert {refusal.reason for refusal in refusals} == {"OVERLOADED"}
        assert len(await client.assignments_of(jane.id)) == len(calls) - len(refusals)


async def test_a_call_whose_message_does_not_come_keeps_no_other_out(serve: Serving) -> None:
    async with serve(calls_in_flight=1) as client:
        begun = client.channel.stream_unary("/optin.v1.JobService/ListJobs")
        calls = [begun() for _ in range(3)]
        for call in calls:
            await call.wait_for_connection()
        await client.job()
        for call in calls[:2]:
            await call.write(b"")
            await call.done_writing()
            assert await call != b"", "each is answered when its message has come"
        await calls[2].done_writing()
        assert (await refused(calls[2])).reason == "MALFORMED_REQUEST"


async def test_a_writer_knows_how_long_a_call_will_wait(tmp_path: object) -> None:
    url = make_url(f"sqlite:///{tmp_path}/optin.db")
    await schema.migrate(url)
    storage = open_storage(url, EVENT_OF)
    writer = Writer(storage, batch_max=1, queue_max=10)
    writer.start()
    loop = asyncio.get_running_loop()

    def slow(_unit: Unit) -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.3), loop).result()

    await writer.run(lambda _unit: None)
    slower = asyncio.ensure_future(writer.run(slow))
    await asyncio.sleep(0.2)
    assert writer.wait_seconds() > 0.1, "the batch under way takes longer than those before it did"
    await slower
    await writer.run(slow)  # so that the writer knows what batches take
    queued = asyncio.ensure_future(writer.run(slow))
    await asyncio.sleep(0.05)
    assert writer.wait_seconds() > 0.05
    await queued
    assert writer.wait_seconds() == 0, "nothing waits: that it was slow may be over"
    await writer.close()
    await storage.close()


async def test_request_ids_are_swept_when_their_time_is_over(serve: Serving, database_url: str, clock: Clock) -> None:
    """In small steps, and only those that are old; what a request created stays."""
    async with serve(database_url=database_url) as client:
        jane, job = await client.opted_in(), await client.job()
        first = await client.assign(jane.id, job.id, request_id="old")
        storage = open_storage(make_url(database_url), EVENT_OF)
        old = [request(f"older-{number}", timedelta(hours=48)) for number in range(2 * retention.STEP_ROWS)]
        await storage.write(lambda unit: unit.requests.insert(old))
        clock.now += timedelta(hours=25)
        young = [request("young", timedelta(hours=-24))]
        await storage.write(lambda unit: unit.requests.insert(young))
        writer = Writer(storage, batch_max=1, queue_max=10)
        writer.start()
        ids = ["old", "young", *(entry.request_id for entry in old)]
        steps = 1
        while await retention.sweep(writer, clock, retention.requests, timedelta(hours=24)):
            steps += 1
        assert steps == 3, "in small ones"
        assert list(await storage.read(lambda unit: unit.requests.find("pf_default", ids))) == ["young"]
        await writer.close()
        await storage.close()
        again = await client.assign(jane.id, job.id, request_id="old")
        assert again.assignment.id != first.assignment.id
        listed = await client.assignments.ListAssignments(assignments_pb.ListAssignmentsRequest(contractor=jane.id))
        assert {a.id for a in listed.assignments} == {first.assignment.id, again.assignment.id}


def request(request_id: str, age: timedelta) -> StoredRequest:
    return StoredRequest(
        platform="pf_default", request_id=request_id, digest=b"-" * 32, response=b"-", create_time=NOW - age
    )


async def test_refusals_are_told_by_one_line_for_all_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "TELL_SECONDS", 0.01)
    guard = gate.Gate(1)
    with structlog.testing.capture_logs() as lines:
        for limit in ("calls in flight", "the call would wait past its deadline", "calls in flight"):
            guard.tell_refused(Overloaded(limit=limit))
        assert lines == []
        while not lines:
            await asyncio.sleep(0.01)
        guard.tell_refused(Overloaded(limit="calls in flight"))
        while len(lines) < 3:
            await asyncio.sleep(0.01)
    assert [(line["event"], line["limit"], line["calls"]) for line in lines] == [
        ("calls refused", "calls in flight", 2),
        ("calls refused", "the call would wait past its deadline", 1),
        ("calls refused", "calls in flight", 1),
    ]


async def test_a_deadline_that_cannot_be_met_is_refused_early(serve: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any parsing; a read waits for no batch."""
    monkeypatch.setattr(Writer, "wait_seconds", lambda _self: 5.0)
    async with serve() as client:
        raw = client.channel.unary_unary(CREATE)
        assert (await refused(raw(b"\xff\xff", timeout=4))).reason == "OVERLOADED"
        assert (await refused(raw(b"\xff\xff", timeout=12))).reason == "OVERLOADED", "it would most likely be too late"
        assert (await refused(raw(b"\xff\xff", timeout=60))).reason == "MALFORMED_REQUEST"
        assert (await refused(raw(b"\xff\xff"))).reason == "MALFORMED_REQUEST"
        listed = client.channel.unary_unary("/optin.v1.AssignmentService/ListAssignments")
        assert await listed(b"", timeout=4) == b""
