"""AssignmentService.ExtendAssignment (issue 4, item 5), seen from outside."""

from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW, Clock, Serving
from tests.support.client import GUIDE_END, GUIDE_START, WORKERS_COMP, Client, at, refused

BOUND, REUSED = pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED
STANDARD_WORKFLOW = pb.BINDING_OUTCOME_STANDARD_WORKFLOW
GENERAL = pb.COVERAGE_TYPE_GENERAL
DAY = 86_400
TOMORROW = (int(NOW.timestamp()) // DAY + 1) * DAY
TERM_END = TOMORROW + 365 * DAY
LATE = TERM_END - 10 * DAY  # an assignment that starts then is covered by the policy for some days
BEYOND = TERM_END + 20 * DAY


async def reusing(client: Client, *types: pb.CoverageType.ValueType) -> tuple[pb.Job, pb.Assignment]:
    """An assignment that ends five days before the policy that it reuses."""
    jane, job = await client.opted_in(), await client.job()
    await client.assign(jane.id, job.id, start=TOMORROW, end=TOMORROW + DAY)
    made = await client.assign(jane.id, job.id, *types, start=LATE, end=LATE + 5 * DAY)
    assert made.outcome == REUSED
    return job, made.assignment


async def test_within_the_term_nothing_is_decided(audited: Client) -> None:
    client = audited
    _, before = await reusing(client)
    extended = await client.extend(before.id, TERM_END)
    after = extended.assignment
    assert (after.end_time, extended.outcome) == (at(TERM_END), REUSED)
    after.end_time.CopyFrom(before.end_time)
    assert after == before, "all else is as it was"
    assert len(await client.decisions(before.id)) == 1
    told = await client.told(before.id, "assignment.extended")
    assert told == ["assignment.created", "assignment.extended"]


async def test_the_same_end_is_no_change(client: Client) -> None:
    _, before = await reusing(client)
    assert (await client.extend(before.id, LATE + 5 * DAY)).assignment == before
    await client.extend(before.id, TERM_END)
    assert (await client.told(before.id, "assignment.extended")).count("assignment.extended") == 1


async def test_beyond_the_term_the_rest_is_bound_and_the_earlier_policy_stays(audited: Client) -> None:
    client = audited
    job, before = await reusing(client, GENERAL, WORKERS_COMP)
    await client.approve(job.category_code, WORKERS_COMP, net_rate=300)
    extended = await client.extend(before.id, BEYOND)
    first, second = await client.policies_of(before.contractor)
    assert (second.effective_time, second.net_rate) == (at(TERM_END), 300)
    binding = extended.assignment.binding
    assert extended.outcome == binding.outcome == BOUND
    assert list(binding.policies) == [first.id, second.id]
    assert extended.assignment.policy == first.id
    assert (binding.net_rate, binding.standard_workflow_coverage_types) == (550, [GENERAL])
    assert extended.assignment.end_time == at(BEYOND)
    assert await client.get_assignment(before.id) == extended.assignment
    one, two = await client.decisions(before.id)
    assert (one.trigger, two.trigger) == ("assignment.created", "assignment.extended")
    assert not one.HasField("effective_time")
    assert (two.effective_time, two.binding, two.policies) == (at(TERM_END), binding, [first.id])
    assert await client.told(before.id, "assignment.extended") == ["assignment.created", "assignment.extended"]


async def test_the_rest_may_reuse_a_policy(audited: Client) -> None:
    client = audited
    job, before = await reusing(client)
    (first,) = await client.policies_of(before.contractor)
    other = await client.assign(before.contractor, job.id, start=TERM_END, end=BEYOND)
    extended = await client.extend(before.id, BEYOND)
    assert extended.outcome == REUSED
    assert list(extended.assignment.binding.policies) == [first.id, other.assignment.policy]
    further = await client.extend(before.id, BEYOND + DAY)
    assert further.assignment.binding == extended.assignment.binding, "the second one covers that"


async def test_the_rest_may_be_left_to_the_standard_workflow_which_covers_it(audited: Client) -> None:
    client = audited
    job, before = await reusing(client)
    await client.cancel_session(before.binding.application_session)
    extended = await client.extend(before.id, BEYOND)
    binding = extended.assignment.binding
    assert (extended.outcome, binding.workflow) == (STANDARD_WORKFLOW, pb.BINDING_WORKFLOW_STANDARD)
    assert list(binding.policies) == list(before.binding.policies)
    assert (binding.standard_workflow_coverage_types, binding.net_rate) == ([WORKERS_COMP], before.binding.net_rate)
    assert binding.reasons == [pb.BINDING_REASON_OPT_IN_NOT_COMPLETE]
    assert "workers' compensation" in binding.message
    told = await client.told(before.id, "assignment.uncovered")
    assert told == ["assignment.created", "assignment.extended", "assignment.uncovered"]

    quote = await client.quote(before.contractor, job.id, start=TERM_END, end=BEYOND)
    await client.issue(quote.id)
    covered = (await client.get_assignment(before.id)).binding
    assert covered.outcome == BOUND
    assert list(covered.policies) == [*before.binding.policies, (await client.get_quote(quote.id)).policy]
    assert not covered.standard_workflow_coverage_types
    assert (await client.decisions(before.id))[-1].effective_time == at(TERM_END)


async def test_what_no_policy_covers_only_ends_later(audited: Client) -> None:
    client = audited
    jane, job = await client.contractor(), await client.job()
    made = (await client.assign(jane.id, job.id, start=LATE, end=LATE + DAY)).assignment
    extended = await client.extend(made.id, BEYOND)
    assert (extended.outcome, extended.assignment.binding) == (STANDARD_WORKFLOW, made.binding)
    assert extended.assignment.end_time == at(BEYOND)
    assert len(await client.decisions(made.id)) == 1


async def test_the_work_state_and_category_stay_as_they_were(audited: Client) -> None:
    """A job that moved, or became other work, is so for new assignments."""
    client = audited
    job, before = await reusing(client)
    moved = pb.Job(id=job.id, category_code=(await client.category()).code, address=pb.Address(region="NY"))
    await client.jobs.UpdateJob(jobs_pb.UpdateJobRequest(job=moved))
    extended = await client.extend(before.id, BEYOND)
    assert extended.outcome == BOUND
    second = (await client.policies_of(before.contractor))[1]
    assert (second.work_state, second.category_code) == ("CA", job.category_code)
    assert (extended.assignment.work_state, extended.assignment.category_code) == ("CA", job.category_code)


async def test_a_repeat_gets_the_first_answer(any_client: Client) -> None:
    _, before = await reusing(any_client)
    first = await any_client.extend(before.id, BEYOND, request_id="once")
    assert await any_client.extend(before.id, BEYOND, request_id="once") == first
    assert len(await any_client.policies_of(before.contractor)) == 2


@pytest.mark.parametrize(
    "end",
    [
        Timestamp(seconds=GUIDE_END - 1),
        Timestamp(seconds=GUIDE_START + 366 * DAY, nanos=1_000),
        Timestamp(seconds=-(2**40)),
        None,
    ],
)
async def test_a_bad_end_is_a_field_error(client: Client, end: Timestamp | None) -> None:
    jane, job = await client.opted_in(), await client.job()
    made = (await client.assign(jane.id, job.id)).assignment
    request = assignments_pb.ExtendAssignmentRequest(id=made.id, end_time=end)
    refusal = await refused(client.assignments.ExtendAssignment(request))
    assert (refusal.code, refusal.reason, refusal.fields) == (
        StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        {"end_time"},
    )
    assert await client.get_assignment(made.id) == made


async def test_what_cannot_be_extended(client: Client) -> None:
    refusal = await refused(client.extend("an_0", BEYOND))
    assert (refusal.code, refusal.told["resource_type"]) == (StatusCode.NOT_FOUND, "assignment")
    _, before = await reusing(client)
    await client.assignments.CancelAssignment(assignments_pb.CancelAssignmentRequest(id=before.id))
    refusal = await refused(client.extend(before.id, BEYOND))
    assert (refusal.code, refusal.reason) == (StatusCode.FAILED_PRECONDITION, "ASSIGNMENT_CANCELLED")
    _, before = await reusing(client)
    await client.delete(before.contractor)
    refusal = await refused(client.extend(before.id, BEYOND))
    assert (refusal.code, refusal.told["resource_type"]) == (StatusCode.NOT_FOUND, "contractor")


async def test_in_production_the_rest_starts_today_at_the_earliest(serve: Serving, clock: Clock) -> None:
    async with serve(environment="production") as client:
        _, before = await reusing(client)
        clock.now += timedelta(seconds=TERM_END - TOMORROW, days=8)  # the policy ended a week ago
        refusal = await refused(client.extend(before.id, TERM_END + DAY))
        assert refusal.fields == {"end_time"}
        assert await client.get_assignment(before.id) == before
        extended = await client.extend(before.id, BEYOND)
        assert extended.outcome == BOUND
        second = (await client.policies_of(before.contractor))[1]
        assert second.effective_time == at(TERM_END + 7 * DAY)
