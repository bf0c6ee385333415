"""Remote carriers: the two units, waiting, recovery, and what a carrier is owed. Over both databases."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
import structlog
from optin.v1 import assignment_service_pb2, contractor_service_pb2, policy_service_pb2
from optin.v1 import resources_pb2 as pb

from server.app import running
from server.commands.audit import audit
from server.config import Settings
from server.domain.carrier import Answer, Bound, CarrierUnavailable, Declined, NotAsked, NotKnown
from server.domain.records import Policy
from server.domain.terms import next_midnight
from tests.conftest import NOW, Clock, Serving
from tests.storage.opened import opened
from tests.support.client import Client, at
from tests.support.postgres import PostgresCluster

DAY = 86_400
TOMORROW = int(next_midnight(NOW).timestamp())
TERM_END = TOMORROW + 365 * DAY


class Carrier:
    """Answers when it is let, with what the test sets; keeps what it was told."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.asked: list[str] = []
        self.voided: list[str] = []
        self.told: list[Policy] = []  # as it was when it was cancelled or reinstated
        self.down = False

    async def bind(self, policy: Policy) -> Answer:
        self.asked.append(policy.id)
        await self.go.wait()
        return self.answer or Bound(f"C-{policy.id}")

    async def void(self, policy: Policy) -> None:
        if self.down:
            raise CarrierUnavailable
        self.voided.append(policy.id)

    async def cancel(self, policy: Policy) -> None:
        self.told.append(policy)

    async def reinstate(self, policy: Policy) -> None:
        self.told.append(policy)

    async def is_told(self, times: int) -> None:
        async with asyncio.timeout(5):
            while len(self.told) < times:
                await asyncio.sleep(0.02)


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


async def test_binds_between_two_units(serve: Serving, database_url: str, carrier: Carrier) -> None:
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        first = await client.assign(jane.id, job.id, request_id="a")
        assert first.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
        policy = await policy_of(client, first.assignment.policy)
        assert policy.status == pb.POLICY_STATUS_EXPIRED  # issued for 2023
        assert policy.carrier_policy_number == f"C-{policy.id}"
        assert await client.assign(jane.id, job.id, request_id="a") == first
        assert await stored(client, first.assignment.id) == first.assignment
        second = await client.assign(jane.id, job.id)
        assert second.outcome == pb.BINDING_OUTCOME_COVERAGE_REUSED
        assert carrier.asked == [policy.id]


async def test_others_wait_for_the_policy(serve: Serving, database_url: str, carrier: Carrier) -> None:
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        carrier.go.clear()
        calls = [asyncio.ensure_future(client.assign(jane.id, job.id, request_id=f"r{n % 10}")) for n in range(20)]
        while not carrier.asked:
            await asyncio.sleep(0.01)
        listed = await client.assignments.ListAssignments(
            assignment_service_pb2.ListAssignmentsRequest(contractor=jane.id)
        )
        assert [a.binding.outcome for a in listed.assignments] == [pb.BINDING_OUTCOME_BINDING_PENDING]
        carrier.go.set()
        answers = await asyncio.gather(*calls)
        outcomes = [answer.outcome for answer in answers]
        assert outcomes.count(pb.BINDING_OUTCOME_COVERAGE_BOUND) == 2  # the first, and its repeat
        assert outcomes.count(pb.BINDING_OUTCOME_COVERAGE_REUSED) == 18
        assert len({answer.assignment.id for answer in answers}) == 10
        assert len(carrier.asked) == 1


@pytest.mark.parametrize(
    ("answer", "reason", "voided"),
    [
        (Declined(), pb.BINDING_REASON_CARRIER_DECLINED, 0),
        (NotAsked(), pb.BINDING_REASON_CARRIER_UNAVAILABLE, 0),
        (NotKnown(), pb.BINDING_REASON_CARRIER_UNAVAILABLE, 1),
    ],
)
async def test_a_failure_is_told_to_all_who_waited(
    serve: Serving, carrier: Carrier, answer: Answer, reason: int, voided: int
) -> None:
    async with serve(carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        carrier.answer = answer
        carrier.go.clear()
        calls = [asyncio.ensure_future(client.assign(jane.id, job.id)) for _ in range(5)]
        await asyncio.sleep(0.2)
        carrier.go.set()
        for made in await asyncio.gather(*calls):
            assert made.outcome == pb.BINDING_OUTCOME_BINDING_FAILED
            assert list(made.assignment.binding.reasons) == [reason]
            assert not made.assignment.policy
        assert len(carrier.asked) == 1
        async with asyncio.timeout(5):
            while len(carrier.voided) < voided:
                await asyncio.sleep(0.05)
        assert carrier.voided == carrier.asked[:voided]
        carrier.answer = None
        again = await client.assign(jane.id, job.id)
        assert again.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
        assert (await policy_of(client, again.assignment.policy)).number == 2


async def test_who_waits_for_one_that_fails_does_not_wait_for_the_next_ones(serve: Serving, carrier: Carrier) -> None:
    """However many newer calls begin to bind another before it comes back."""
    async with serve(carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()

        async def seen() -> int:
            """How many bindings are tried while a call is under way."""
            before = len(carrier.asked)
            made = await client.assign(jane.id, job.id)
            assert made.outcome == pb.BINDING_OUTCOME_BINDING_FAILED
            return len(carrier.asked) - before

        async def fail() -> None:
            while True:
                carrier.go.clear()
                await asyncio.sleep(0.1)
                carrier.go.set()
                await asyncio.sleep(0)

        carrier.answer = NotAsked()
        failing = asyncio.create_task(fail())
        calls = []
        for _ in range(100):
            calls.append(asyncio.create_task(seen()))
            await asyncio.sleep(0.01)
        tried = await asyncio.gather(*calls)
        failing.cancel()
        assert len(carrier.asked) > 5
        assert max(tried) < 4


async def test_a_caller_that_goes_away_stops_nothing(serve: Serving, carrier: Carrier) -> None:
    async with serve(carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        carrier.go.clear()
        call = asyncio.ensure_future(client.assign(jane.id, job.id, request_id="a"))
        while not carrier.asked:
            await asyncio.sleep(0.01)
        call.cancel()
        carrier.go.set()
        replay = await client.assign(jane.id, job.id, request_id="a")
        assert replay.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
        assert len(carrier.asked) == 1


async def test_a_contractor_deleted_meanwhile(serve: Serving, database_url: str, carrier: Carrier) -> None:
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        carrier.go.clear()
        call = asyncio.ensure_future(client.assign(jane.id, job.id))
        while not carrier.asked:
            await asyncio.sleep(0.01)
        await client.contractors.DeleteContractor(contractor_service_pb2.DeleteContractorRequest(id=jane.id))
        carrier.go.set()
        assert (await call).outcome == pb.BINDING_OUTCOME_BINDING_FAILED
        async with asyncio.timeout(5):
            while not carrier.voided:
                await asyncio.sleep(0.05)


async def test_a_worker_that_died_is_taken_over(
    serve: Serving, postgres: PostgresCluster, postgres_template: str, carrier: Carrier, clock: Clock
) -> None:
    url = postgres.create_database(template=postgres_template)
    dead = Carrier()
    dead.go.clear()
    async with serve(database_url=url, carrier=dead) as client:
        jane, job = await client.opted_in(), await client.job()
        call = asyncio.ensure_future(client.assign(jane.id, job.id, request_id="a"))
        while not dead.asked:
            await asyncio.sleep(0.01)
        later = Clock()  # of a server for which the lease is over
        later.now = clock.now + timedelta(minutes=1)
        async with (
            running(Settings(port=0, database_url=url), carrier=carrier, clock=later) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            replay = await Client(channel).assign(jane.id, job.id, request_id="a")
        assert replay.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
        dead.answer = NotKnown()  # too late: only who holds the token settles
        dead.go.set()
        assert await call == replay
        assert carrier.asked == dead.asked
        assert not dead.voided


async def test_what_ends_a_policy_reaches_the_carrier(
    serve: Serving, database_url: str, carrier: Carrier, clock: Clock
) -> None:
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        policy = (await client.assign(jane.id, job.id)).assignment.policy
        await client.policies.CancelPolicy(policy_service_pb2.CancelPolicyRequest(id=policy, reason="moved"))
        await carrier.is_told(1)
        assert [told.id for told in carrier.told] == [policy]


async def test_a_server_that_asks_no_carrier_warns_of_what_one_is_owed(
    serve: Serving, database_url: str, carrier: Carrier
) -> None:
    async def served(**settings: Any) -> list[str]:
        with structlog.testing.capture_logs() as lines:
            async with serve(database_url=database_url, **settings) as client:
                await client.category()
        return [line["event"] for line in lines if line["log_level"] == "warning"]

    assert await served() == []
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        carrier.answer, carrier.down = NotKnown(), True
        assert (await client.assign(jane.id, job.id)).outcome == pb.BINDING_OUTCOME_BINDING_FAILED
    assert await served() == ["a remote carrier was asked or is owed orders"]
    carrier.down = False
    async with (
        serve(database_url=database_url, carrier=carrier),
        opened(database_url) as storage,
        asyncio.timeout(10),
    ):
        while await storage.read(lambda unit: unit.orders.due(NOW + timedelta(days=1), 1)):
            await asyncio.sleep(0.05)
    assert carrier.voided
    assert await served() == []


async def test_a_cancellation_and_what_took_it_back_reach_the_carrier(
    serve: Serving, database_url: str, carrier: Carrier
) -> None:
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        policy = (await client.assign(jane.id, job.id, start=TOMORROW, end=TOMORROW + DAY)).assignment.policy
        await client.cancel_policy(policy, "moved", time=TOMORROW + DAY)
        await carrier.is_told(1)
        await client.reinstate(policy)
        await carrier.is_told(2)
    cancelled, reinstated = carrier.told
    ends = next_midnight(NOW) + timedelta(days=1)
    assert (cancelled.revision, cancelled.cancel_reason, cancelled.cancel_time) == (1, "moved", ends)
    assert (reinstated.id, reinstated.revision, reinstated.cancel_time) == (policy, 2, None)


async def extending(client: Client, carrier: Carrier) -> tuple[pb.Assignment, "asyncio.Task[Any]"]:
    """An assignment within a policy's last days, and the call that extends it beyond, while the carrier is asked."""
    jane, job = await client.opted_in(), await client.job()
    await client.assign(jane.id, job.id, start=TOMORROW, end=TOMORROW + DAY)
    before = (await client.assign(jane.id, job.id, start=TERM_END - DAY, end=TERM_END)).assignment
    carrier.go.clear()
    call = asyncio.ensure_future(client.extend(before.id, TERM_END + DAY, request_id="once"))
    while len(carrier.asked) < 2:
        await asyncio.sleep(0.01)
    return before, call


async def test_the_rest_of_an_extended_assignment_is_bound_between_two_units(
    serve: Serving, database_url: str, carrier: Carrier
) -> None:
    async with serve(database_url=database_url, carrier=carrier) as client:
        before, call = await extending(client, carrier)
        first, second = await client.policies_of(before.contractor)
        pending = await client.get_assignment(before.id)
        assert pending.binding.outcome == pb.BINDING_OUTCOME_BINDING_PENDING
        assert list(pending.binding.policies) == [first.id, second.id]
        waits = [
            asyncio.ensure_future(client.extend(before.id, TERM_END + 2 * DAY)),
            asyncio.ensure_future(client.cancel_policy(first.id)),
        ]
        await asyncio.sleep(0.2)
        assert not any(waiting.done() for waiting in waits)
        carrier.go.set()
        extended = await call
        assert extended.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
        assert list(extended.assignment.binding.policies) == [first.id, second.id]
        assert extended.assignment.binding.net_rate == 500
        assert await client.extend(before.id, TERM_END + DAY, request_id="once") == extended
        await asyncio.gather(*waits)
        last = await client.get_assignment(before.id)
        assert last.end_time == at(TERM_END + 2 * DAY)
        assert last.binding.policies[-1] == second.id
        triggers = [decision.trigger for decision in await client.decisions(before.id)]
        assert triggers[:3] == ["assignment.created", "assignment.extended", "carrier.answered"]
    assert (await audit(database_url, now=NOW)).findings == []


async def test_a_deletion_waits_for_the_rest_of_an_extended_assignment(
    serve: Serving, database_url: str, carrier: Carrier
) -> None:
    """Else that would be settled beside a policy that was cancelled before it began."""
    async with serve(database_url=database_url, carrier=carrier) as client:
        before, call = await extending(client, carrier)
        deleting = asyncio.ensure_future(client.delete(before.contractor))
        await asyncio.sleep(0.2)
        assert not deleting.done()
        carrier.go.set()
        assert (await call).outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
        assert (await deleting).HasField("delete_time")
        binding = (await client.get_assignment(before.id)).binding
        assert (binding.outcome, list(binding.policies)) == (pb.BINDING_OUTCOME_STANDARD_WORKFLOW, [])
    assert (await audit(database_url, now=NOW)).findings == []


async def test_where_the_rest_is_not_bound_the_earlier_policy_stays(
    serve: Serving, database_url: str, carrier: Carrier
) -> None:
    async with serve(database_url=database_url, carrier=carrier) as client:
        before, call = await extending(client, carrier)
        carrier.answer = Declined()
        carrier.go.set()
        extended = await call
        assert extended.outcome == pb.BINDING_OUTCOME_BINDING_FAILED
        binding = extended.assignment.binding
        assert (binding.policies, binding.net_rate) == (before.binding.policies, before.binding.net_rate)
        assert binding.standard_workflow_coverage_types == [pb.COVERAGE_TYPE_WORKERS_COMP]
        assert extended.assignment.end_time == at(TERM_END + DAY)
        assert await client.get_assignment(before.id) == extended.assignment
    assert (await audit(database_url, now=NOW)).findings == []


async def policy_of(client: Client, policy: str) -> pb.Policy:
    return (await client.policies.GetPolicy(policy_service_pb2.GetPolicyRequest(id=policy))).policy


async def stored(client: Client, assignment: str) -> pb.Assignment:
    request = assignment_service_pb2.GetAssignmentRequest(id=assignment)
    return (await client.assignments.GetAssignment(request)).assignment
