"""CancelPolicy now and later, ReinstatePolicy, and what becomes of assignments (issue 4, item 5), seen from outside."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW, Clock
from tests.support.client import GUIDE_END, WORKERS_COMP, Client, at, refused

BOUND, REUSED = pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED
STANDARD_WORKFLOW = pb.BINDING_OUTCOME_STANDARD_WORKFLOW
ACTIVE, CANCELLED = pb.POLICY_STATUS_ACTIVE, pb.POLICY_STATUS_CANCELLED
GENERAL, CYBER = pb.COVERAGE_TYPE_GENERAL, pb.COVERAGE_TYPE_CYBER
DAY = 86_400
TODAY = int(NOW.timestamp()) // DAY * DAY
MAY = TODAY + 160 * DAY


class Covered:
    """One that has started today and one that starts in May, both covered by the same policy."""

    def __init__(self, started: pb.Assignment, later: pb.Assignment) -> None:
        self.started, self.later = started, later
        self.contractor, self.job, self.policy = started.contractor, started.job, started.policy


async def covered(client: Client) -> Covered:
    jane, job = await client.opted_in(), await client.job()
    started = (await client.assign(jane.id, job.id, start=TODAY, end=TODAY + 200 * DAY)).assignment
    later = (await client.assign(jane.id, job.id, start=MAY, end=MAY + 10 * DAY)).assignment
    assert later.policy == started.policy
    return Covered(started, later)


async def statuses(client: Client, contractor: str) -> dict[str, list[str]]:
    found = {}
    for status in (ACTIVE, CANCELLED, pb.POLICY_STATUS_EXPIRED):
        request = policies_pb.ListPoliciesRequest(contractor=contractor, status=status)
        listed = (await client.policies.ListPolicies(request)).policies
        assert all(policy.status == status for policy in listed)
        found[pb.PolicyStatus.Name(status)] = [policy.id for policy in listed]
    return found


async def test_cancelled_at_once_those_that_start_later_lose_it(audited: Client) -> None:
    client = audited
    it = await covered(client)
    cancelled = await client.cancel_policy(it.policy, "moved away")
    assert (cancelled.status, cancelled.cancel_reason) == (CANCELLED, "moved away")
    assert await client.get_assignment(it.started.id) == it.started
    binding = (await client.get_assignment(it.later.id)).binding
    assert (binding.outcome, binding.workflow) == (STANDARD_WORKFLOW, pb.BINDING_WORKFLOW_STANDARD)
    assert (binding.policies, binding.net_rate) == ([], 0)
    assert binding.standard_workflow_coverage_types == [WORKERS_COMP]
    assert not binding.reasons, "the opt-in applies: it is only that nothing is bound for an assignment that was made"
    assert binding.message == "The standard workflow applies, because no policy matches."
    last = (await client.decisions(it.later.id))[-1]
    assert (last.number, last.trigger, last.policy) == (2, "policy.cancelled", it.policy)
    assert await client.told(it.later.id, "assignment.uncovered") == ["assignment.created", "assignment.uncovered"]
    assert len(await client.policies_of(it.contractor)) == 1


async def test_until_a_later_cancellation_takes_effect_the_policy_is_active(audited: Client, clock: Clock) -> None:
    client = audited
    it = await covered(client)
    cancelled = await client.cancel_policy(it.policy, "at the end of the month", time=TODAY + 8 * DAY)
    assert (cancelled.status, cancelled.cancel_time) == (ACTIVE, at(TODAY + 8 * DAY))
    assert (await statuses(client, it.contractor))["POLICY_STATUS_ACTIVE"] == [it.policy]
    assert await client.get_assignment(it.started.id) == it.started
    assert (await client.get_assignment(it.later.id)).binding.outcome == STANDARD_WORKFLOW

    short = await client.assign(it.contractor, it.job, start=TODAY + DAY, end=TODAY + 8 * DAY)
    assert (short.outcome, short.assignment.policy) == (REUSED, it.policy)
    longer = await client.assign(it.contractor, it.job, start=TODAY + DAY, end=TODAY + 9 * DAY)
    assert longer.outcome == BOUND, "for matching, its cover ends there"

    clock.now += timedelta(days=8)
    assert (await client.policy(it.policy)).status == CANCELLED
    assert await statuses(client, it.contractor) == {
        "POLICY_STATUS_ACTIVE": [longer.assignment.policy],
        "POLICY_STATUS_CANCELLED": [it.policy],
        "POLICY_STATUS_EXPIRED": [],
    }
    refusal = await refused(client.cancel_policy(it.policy))
    assert (refusal.reason, refusal.told["status"]) == ("POLICY_NOT_ACTIVE", "CANCELLED")
    clock.now += timedelta(days=400)
    assert (await statuses(client, it.contractor))["POLICY_STATUS_CANCELLED"] == [it.policy]
    assert await client.told(it.policy, "policy.cancelled") == ["policy.active", "policy.cancelled"]


async def test_a_later_cancellation_may_be_moved(audited: Client) -> None:
    client = audited
    it = await covered(client)
    await client.cancel_policy(it.policy, time=MAY + 5 * DAY)
    assert await client.get_assignment(it.later.id) == it.later, "it will have started by then"
    moved = await client.cancel_policy(it.policy, time=MAY)
    assert (moved.status, moved.cancel_time) == (ACTIVE, at(MAY))
    assert (await client.get_assignment(it.later.id)).binding.outcome == STANDARD_WORKFLOW


async def test_another_policy_takes_its_place(audited: Client) -> None:
    client = audited
    it = await covered(client)
    other = (await client.assign(it.contractor, it.job, start=TODAY + 2 * DAY, end=TODAY + 366 * DAY)).assignment
    assert other.binding.outcome == BOUND, "the first one ends a day too soon"
    await client.cancel_policy(it.policy)
    after = (await client.get_assignment(it.later.id)).binding
    assert (after.outcome, list(after.policies)) == (REUSED, [other.policy])
    assert await client.told(it.later.id, "assignment.covered") == ["assignment.created", "assignment.covered"]


async def test_what_other_policies_cover_stays(audited: Client) -> None:
    client = audited
    jane, category = await client.opted_in(), await client.category()
    await client.approve(category.code, GENERAL, net_rate=40)
    job = await client.job(category.code)
    made = (await client.assign(jane.id, job.id, GENERAL, WORKERS_COMP, start=MAY, end=MAY + DAY)).assignment
    quote = await client.quote(jane.id, job.id, GENERAL, start=MAY, end=MAY + DAY)
    await client.issue(quote.id)
    comp, liability = (await client.get_assignment(made.id)).binding.policies
    await client.cancel_policy(comp)
    after = (await client.get_assignment(made.id)).binding
    assert (after.outcome, list(after.policies), after.net_rate) == (STANDARD_WORKFLOW, [liability], 40)
    assert after.standard_workflow_coverage_types == [WORKERS_COMP]
    assert after.message.startswith("The standard workflow applies to workers' compensation, because")
    await client.reinstate(comp)
    back = (await client.get_assignment(made.id)).binding
    assert (back.outcome, list(back.policies), back.net_rate) == (REUSED, [liability, comp], 290)
    assert not back.standard_workflow_coverage_types


@pytest.mark.parametrize("time", [TODAY, TODAY + 366 * DAY, -(2**40)])
async def test_a_time_outside_what_is_left_of_the_term_is_a_field_error(client: Client, time: int) -> None:
    it = await covered(client)
    refusal = await refused(client.cancel_policy(it.policy, time=time))
    assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, {"effective_time"})
    assert (await client.policy(it.policy)).status == ACTIVE


async def test_of_a_policy_past_its_term_the_time_is_left_out(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    guides = (await client.assign(jane.id, job.id)).assignment
    refusal = await refused(client.cancel_policy(guides.policy, time=GUIDE_END))
    assert refusal.fields == {"effective_time"}
    assert (await client.cancel_policy(guides.policy)).status == CANCELLED
    assert await client.get_assignment(guides.id) == guides


async def test_reinstated_it_covers_those_that_it_left_uncovered(audited: Client, clock: Clock) -> None:
    client = audited
    it = await covered(client)
    bystander = (await client.assign(it.contractor, it.job, GENERAL, start=MAY, end=MAY + DAY)).assignment
    await client.cancel_policy(it.policy, "by mistake")
    clock.now += timedelta(hours=1)
    back = await client.reinstate(it.policy)
    assert (back.status, back.cancel_reason, back.HasField("cancel_time")) == (ACTIVE, "", False)
    assert await client.policy(it.policy) == back
    after = await client.get_assignment(it.later.id)
    assert (after.binding.outcome, after.policy, after.binding.net_rate) == (REUSED, it.policy, 250)
    assert [d.trigger for d in await client.decisions(it.later.id)] == [
        "assignment.created",
        "policy.cancelled",
        "policy.reinstated",
    ]
    assert await client.get_assignment(bystander.id) == bystander
    assert await client.told(it.policy, "policy.reinstated") == [
        "policy.active",
        "policy.cancelled",
        "policy.reinstated",
    ]
    assert (await client.told(it.later.id, "assignment.covered"))[-1] == "assignment.covered"


async def test_a_cancellation_still_to_come_is_withdrawn(audited: Client, clock: Clock) -> None:
    client = audited
    it = await covered(client)
    await client.cancel_policy(it.policy, time=TODAY + 8 * DAY)
    assert (await client.reinstate(it.policy)).status == ACTIVE
    assert (await client.get_assignment(it.later.id)).policy == it.policy
    clock.now += timedelta(days=9)
    assert (await client.policy(it.policy)).status == ACTIVE


async def test_only_a_cancelled_policy_within_its_term_is_reinstated(audited: Client, clock: Clock) -> None:
    client = audited
    it = await covered(client)
    refusal = await refused(client.reinstate(it.policy))
    assert (refusal.code, refusal.reason) == (StatusCode.FAILED_PRECONDITION, "POLICY_NOT_CANCELLED")
    assert refusal.told == {"policy": it.policy, "status": "ACTIVE"}
    await client.cancel_policy(it.policy)
    other = await client.assign(it.contractor, it.job, start=TODAY + DAY, end=TODAY + 2 * DAY)
    refusal = await refused(client.reinstate(it.policy))
    assert (refusal.code, refusal.reason) == (StatusCode.ALREADY_EXISTS, "MATCHING_POLICY_EXISTS")
    assert refusal.told == {"policy": other.assignment.policy}
    clock.now = datetime.fromtimestamp(TODAY, UTC) + timedelta(days=365)
    refusal = await refused(client.reinstate(it.policy))
    assert (refusal.code, refusal.reason) == (StatusCode.FAILED_PRECONDITION, "POLICY_TERM_ENDED")
    refusal = await refused(client.reinstate("pl_0"))
    assert refusal.code == StatusCode.NOT_FOUND


async def test_of_a_deleted_contractor_nothing_is_reinstated(audited: Client) -> None:
    client = audited
    it = await covered(client)
    await client.cancel_policy(it.policy, time=TODAY + DAY)
    await client.delete(it.contractor)
    assert (await client.policy(it.policy)).cancel_reason == "contractor deleted"
    refusal = await refused(client.reinstate(it.policy))
    assert (refusal.code, refusal.told["resource_type"]) == (StatusCode.NOT_FOUND, "contractor")


async def test_what_was_cancelled_before_the_contractor_was_deleted_stays_as_it_was(
    audited: Client, clock: Clock
) -> None:
    it = await covered(audited)
    await audited.cancel_policy(it.policy, "moved", time=TODAY + DAY)
    clock.now += timedelta(days=2)
    before = await audited.policy(it.policy)
    await audited.delete(it.contractor)
    assert await audited.policy(it.policy) == before


async def test_a_new_residence_counts_for_general_from_then_on(audited: Client) -> None:
    client = audited
    jane, category = await client.contractor(), await client.category()
    await client.approve(category.code, GENERAL, CYBER)
    job = await client.job(category.code)
    quote = await client.quote(jane.id, job.id, GENERAL, start=TODAY, end=MAY)
    await client.issue(quote.id)
    before = (await client.assign(jane.id, job.id, GENERAL, start=TODAY, end=MAY)).assignment
    assert before.binding.outcome == REUSED
    moved = pb.Contractor(id=jane.id, address=pb.Address(region="NV"))
    await client.contractors.UpdateContractor(contractors_pb.UpdateContractorRequest(contractor=moved))
    assert await client.get_assignment(before.id) == before
    after = await client.assign(jane.id, job.id, GENERAL, start=TODAY, end=MAY)
    assert after.outcome == STANDARD_WORKFLOW
    assert (await client.quote(jane.id, job.id, GENERAL)).residence_state == "NV"


async def test_a_time_that_is_none_is_a_field_error(client: Client) -> None:
    it = await covered(client)
    request = policies_pb.CancelPolicyRequest(id=it.policy, effective_time=Timestamp(nanos=-1))
    assert (await refused(client.policies.CancelPolicy(request))).fields == {"effective_time"}
