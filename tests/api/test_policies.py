"""PolicyService, seen from outside (spec 3 and 7)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW, Clock
from tests.support.client import Client, refused

ACTIVE, CANCELLED, EXPIRED = pb.POLICY_STATUS_ACTIVE, pb.POLICY_STATUS_CANCELLED, pb.POLICY_STATUS_EXPIRED
BOUND, REUSED = pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED
DAY = 86_400
TOMORROW = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())
TERM_END = datetime(2027, 11, 23, tzinfo=UTC)


async def bound(client: Client, **changes: Any) -> pb.Policy:
    """A policy that starts tomorrow, of a contractor of its own."""
    jane = await client.opted_in(**changes)
    made = await client.assign(jane.id, (await client.job()).id, start=TOMORROW, end=TOMORROW + DAY)
    assert made.outcome == BOUND
    return await client.policy(made.assignment.policy)


async def listed(client: Client, **filters: Any) -> list[str]:
    request = policies_pb.ListPoliciesRequest(**filters)
    return [policy.id for policy in (await client.policies.ListPolicies(request)).policies]


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


async def test_a_policy_as_bound(any_client: Client) -> None:
    jane = await any_client.opted_in("NY")
    job = await any_client.job(region="NY")
    start = int(datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp())
    made = await any_client.assign(jane.id, job.id, start=start, end=start + DAY)
    policy = await any_client.policy(made.assignment.policy)
    assert policy == pb.Policy(
        id=policy.id,
        number=1,
        contractor=jane.id,
        coverage_types=[pb.COVERAGE_TYPE_WORKERS_COMP],
        work_state="NY",
        residence_state="CA",
        category_code=job.category_code,
        effective_time=Timestamp(seconds=TOMORROW),
        expire_time=stamp(TERM_END),
        status=ACTIVE,
        origin=pb.POLICY_ORIGIN_GENERAL_OPT_IN,
        application_session=made.assignment.binding.application_session,
        net_rate=250,
        carrier_policy_number=policy.carrier_policy_number,
        create_time=stamp(NOW),
    )
    assert policy.carrier_policy_number
    (in_list,) = (await any_client.policies.ListPolicies(policies_pb.ListPoliciesRequest())).policies
    assert in_list == policy


async def test_an_active_policy_past_its_term_reads_as_expired(any_client: Client, clock: Clock) -> None:
    client = any_client
    policy, cancelled = await bound(client), await bound(client)
    await client.cancel_policy(cancelled.id)

    clock.now = TERM_END - timedelta(microseconds=1)
    assert (await client.policy(policy.id)).status == ACTIVE
    assert await listed(client, status=ACTIVE) == [policy.id]
    assert await listed(client, status=EXPIRED) == []

    clock.now = TERM_END
    assert (await client.policy(policy.id)).status == EXPIRED
    assert await listed(client, status=ACTIVE) == []
    assert await listed(client, status=EXPIRED) == [policy.id]
    assert (await client.policy(cancelled.id)).status == CANCELLED
    assert await listed(client, status=CANCELLED) == [cancelled.id]


async def test_list_filters_are_combined_and_newest_comes_first(any_client: Client) -> None:
    client = any_client
    first, second = await bound(client), await bound(client)
    await client.cancel_policy(second.id)
    assert await listed(client) == [second.id, first.id]
    assert await listed(client, contractor=first.contractor) == [first.id]
    assert await listed(client, contractor=first.contractor, status=ACTIVE) == [first.id]
    assert await listed(client, contractor=first.contractor, status=CANCELLED) == []
    for status in (pb.POLICY_STATUS_PENDING, pb.POLICY_STATUS_FAILED):
        assert await listed(client, status=status) == []
    assert await listed(client, contractor="cn_1") == []
    assert (await refused(listed(client, status=99, page_size=-1))).fields == {"status", "page_size"}


async def test_a_cancelled_policy_is_not_reused(any_client: Client, clock: Clock) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    first = await client.assign(jane.id, job.id)
    clock.now += timedelta(days=1)
    cancelled = await client.cancel_policy(first.assignment.policy, "asked for by the insured")
    assert (cancelled.status, cancelled.cancel_reason) == (CANCELLED, "asked for by the insured")
    assert cancelled.cancel_time == stamp(NOW + timedelta(days=1))
    assert await client.policy(cancelled.id) == cancelled

    second = await client.assign(jane.id, job.id)
    assert second.outcome == BOUND
    assert (await client.assign(jane.id, job.id)).assignment.policy == second.assignment.policy
    numbers = {policy.number: policy.id for policy in await client.policies_of(jane.id)}
    assert numbers == {1: first.assignment.policy, 2: second.assignment.policy}
    assert (await client.get_assignment(first.assignment.id)) == first.assignment, "it stays on record"


async def test_an_expired_policy_can_be_cancelled(client: Client, clock: Clock) -> None:
    policy = await bound(client)
    clock.now = TERM_END + timedelta(days=1)
    cancelled = await client.cancel_policy(policy.id)
    assert (cancelled.status, cancelled.cancel_reason) == (CANCELLED, "")
    assert cancelled.cancel_time == stamp(clock.now)


async def test_cancellations_that_are_refused(any_client: Client) -> None:
    client = any_client
    policy = await bound(client)
    cancelled = await client.cancel_policy(policy.id, "first")
    refusal = await refused(client.cancel_policy(policy.id, "second"))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "POLICY_NOT_ACTIVE")
    assert refusal.told == {"policy": policy.id, "status": "CANCELLED"}
    assert await client.policy(policy.id) == cancelled
    assert (await refused(client.cancel_policy("", "x" * 501))).fields == {"id", "reason"}


async def test_what_is_not_there(client: Client) -> None:
    for call in (client.policy("pl_1"), client.cancel_policy("pl_1")):
        refusal = await refused(call)
        assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
        assert refusal.told == {"resource_type": "policy", "resource_name": "pl_1"}
