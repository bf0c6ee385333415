"""A carrier behind the port that does not always bind (spec 6.3 and 7)."""

from collections.abc import AsyncIterator

import pytest
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import resources_pb2 as pb

from server.domain.carrier import Answer, Bound, Declined
from server.domain.records import Policy
from tests.conftest import Serving
from tests.support.client import WORKERS_COMP, Client, refused

BOUND, REUSED = pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED
FAILED = pb.BINDING_OUTCOME_BINDING_FAILED
GENERAL = pb.COVERAGE_TYPE_GENERAL


class MoodyCarrier:
    """Declines until told to accept; keeps what it was asked."""

    def __init__(self) -> None:
        self.accepts = False
        self.asked: list[Policy] = []

    def issue(self, policy: Policy) -> Answer:
        self.asked.append(policy)
        return Bound(f"MOODY-{len(self.asked)}") if self.accepts else Declined()


@pytest.fixture
def carrier() -> MoodyCarrier:
    return MoodyCarrier()


@pytest.fixture
async def client(serve: Serving, database_url: str, carrier: MoodyCarrier) -> AsyncIterator[Client]:
    async with serve(database_url=database_url, carrier=carrier) as client:
        yield client


async def test_a_decline_leaves_the_assignment_and_a_failed_policy(client: Client, carrier: MoodyCarrier) -> None:
    jane, job = await client.opted_in(), await client.job()
    made = await client.assign(jane.id, job.id, GENERAL, WORKERS_COMP)
    (policy,) = await client.policies_of(jane.id)
    (session,) = {asked.application_session for asked in carrier.asked}

    assert made.outcome == FAILED
    assert made.assignment.policy == ""
    assert made.assignment.binding == pb.Binding(
        outcome=FAILED,
        workflow=pb.BINDING_WORKFLOW_GENERAL_OPT_IN,
        application_session=session,
        reasons=[pb.BINDING_REASON_CARRIER_DECLINED],
        message=made.assignment.binding.message,
        standard_workflow_coverage_types=[GENERAL, WORKERS_COMP],
    )
    assert made.assignment.status == pb.ASSIGNMENT_STATUS_ACTIVE
    assert await client.get_assignment(made.assignment.id) == made.assignment
    listed = assignments_pb.ListAssignmentsRequest(outcome=FAILED)
    assert list((await client.assignments.ListAssignments(listed)).assignments) == [made.assignment]

    assert (policy.number, policy.status, policy.carrier_policy_number) == (1, pb.POLICY_STATUS_FAILED, "")
    assert policy.id == carrier.asked[0].id
    failed = policies_pb.ListPoliciesRequest(status=pb.POLICY_STATUS_FAILED)
    assert list((await client.policies.ListPolicies(failed)).policies) == [policy]


async def test_the_next_assignment_binds_under_the_next_number(client: Client, carrier: MoodyCarrier) -> None:
    jane, job = await client.opted_in(), await client.job()
    outcomes = [(await client.assign(jane.id, job.id)).outcome for _ in range(2)]
    carrier.accepts = True
    bound = await client.assign(jane.id, job.id)
    outcomes += [bound.outcome, (await client.assign(jane.id, job.id)).outcome]
    assert outcomes == [FAILED, FAILED, BOUND, REUSED]

    policies = await client.policies_of(jane.id)
    assert [(p.number, p.status, p.carrier_policy_number) for p in policies] == [
        (1, pb.POLICY_STATUS_FAILED, ""),
        (2, pb.POLICY_STATUS_FAILED, ""),
        (3, pb.POLICY_STATUS_EXPIRED, "MOODY-3"),
    ]
    assert policies[-1].id == bound.assignment.policy
    assert len(carrier.asked) == 3, "what is reused is not asked for again"


async def test_a_replay_of_a_decline_asks_nobody(client: Client, carrier: MoodyCarrier) -> None:
    jane, job = await client.opted_in(), await client.job()
    first = await client.assign(jane.id, job.id, request_id="a")
    carrier.accepts = True
    assert await client.assign(jane.id, job.id, request_id="a") == first
    assert len(carrier.asked) == len(await client.policies_of(jane.id)) == 1


async def test_validate_only_asks_nobody(client: Client, carrier: MoodyCarrier) -> None:
    jane, job = await client.opted_in(), await client.job()
    would = await client.assign(jane.id, job.id, validate_only=True)
    assert would.outcome == BOUND
    assert carrier.asked == []


async def test_a_failed_policy_cannot_be_cancelled(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    await client.assign(jane.id, job.id)
    (policy,) = await client.policies_of(jane.id)
    refusal = await refused(client.cancel_policy(policy.id))
    assert (refusal.reason, refusal.told) == ("POLICY_NOT_ACTIVE", {"policy": policy.id, "status": "FAILED"})
    await client.delete(jane.id)
    assert (await client.policy(policy.id)) == policy, "nor with its contractor's deletion"


async def test_one_contractors_decline_is_no_others(client: Client, carrier: MoodyCarrier) -> None:
    jane, john, job = await client.opted_in(), await client.opted_in(), await client.job()
    assert (await client.assign(jane.id, job.id)).outcome == FAILED
    carrier.accepts = True
    assert (await client.assign(john.id, job.id)).outcome == BOUND
    assert [p.number for p in await client.policies_of(john.id)] == [1]
