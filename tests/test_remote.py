"""Remote carriers: the two units, waiting, recovery, and what a carrier is owed. Over both databases."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from optin.v1 import assignment_service_pb2, contractor_service_pb2, policy_service_pb2
from optin.v1 import resources_pb2 as pb

from server.app import running
from server.config import Settings
from server.domain.carrier import Answer, Bound, CarrierUnavailable, Declined, NotAsked, NotKnown
from server.domain.records import Policy
from tests.conftest import Clock, Serving
from tests.support.client import Client
from tests.support.postgres import PostgresCluster


class Carrier:
    """Answers when it is let, with what the test sets; keeps what it was told."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.asked: list[str] = []
        self.voided: list[str] = []
        self.cancelled: list[str] = []
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
        self.cancelled.append(policy.id)


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
        async with asyncio.timeout(5):
            while not carrier.cancelled:
                await asyncio.sleep(0.05)
        assert carrier.cancelled == [policy]


async def policy_of(client: Client, policy: str) -> pb.Policy:
    return (await client.policies.GetPolicy(policy_service_pb2.GetPolicyRequest(id=policy))).policy


async def stored(client: Client, assignment: str) -> pb.Assignment:
    request = assignment_service_pb2.GetAssignmentRequest(id=assignment)
    return (await client.assignments.GetAssignment(request)).assignment
