"""AssignmentService, seen from outside: the decision, matching and dates (spec 6, 7 and 10)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW, Clock, Serving
from tests.support.client import WORKERS_COMP, Client, refused

BOUND, REUSED = pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED
STANDARD_WORKFLOW = pb.BINDING_OUTCOME_STANDARD_WORKFLOW
GENERAL, CYBER = pb.COVERAGE_TYPE_GENERAL, pb.COVERAGE_TYPE_CYBER

WORKERS_COMP_NOT_REQUESTED = pb.BINDING_REASON_WORKERS_COMP_NOT_REQUESTED
NO_GENERAL_OPT_IN = pb.BINDING_REASON_NO_GENERAL_OPT_IN
OPT_IN_NOT_COMPLETE = pb.BINDING_REASON_OPT_IN_NOT_COMPLETE
WORK_STATE_MISMATCH = pb.BINDING_REASON_WORK_STATE_MISMATCH
JOB_CATEGORY_NOT_APPROVED = pb.BINDING_REASON_JOB_CATEGORY_NOT_APPROVED
PREMIUM_NOT_WITHHELD = pb.BINDING_REASON_PREMIUM_NOT_WITHHELD
WORK_STATE_NOT_OFFERED = pb.BINDING_REASON_WORK_STATE_NOT_OFFERED

MICROSECOND = timedelta(microseconds=1)


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


async def assign(
    client: Client,
    contractor: str,
    job: str,
    start: datetime | None = None,
    end: datetime | None = None,
    types: tuple[pb.CoverageType.ValueType, ...] = (WORKERS_COMP,),
) -> pb.Assignment:
    request = assignments_pb.CreateAssignmentRequest(
        assignment=pb.Assignment(
            contractor=contractor,
            job=job,
            coverage_types=types,
            effective_time=stamp(start) if start else None,
            end_time=stamp(end) if end else None,
        )
    )
    made = await client.assignments.CreateAssignment(request)
    assert made.outcome == made.assignment.binding.outcome
    return made.assignment


async def withhold(client: Client, contractor: str, value: bool) -> None:
    request = contractors_pb.UpdateContractorRequest(
        contractor=pb.Contractor(id=contractor, withhold_premium=value),
        update_mask=FieldMask(paths=["withhold_premium"]),
    )
    await client.contractors.UpdateContractor(request)


def assert_standard(assignment: pb.Assignment, *reasons: int) -> None:
    """Left to the standard workflow, with exactly these reasons in this order."""
    binding = assignment.binding
    assert list(binding.reasons) == list(reasons)
    assert (binding.outcome, binding.workflow) == (STANDARD_WORKFLOW, pb.BINDING_WORKFLOW_STANDARD)
    assert (assignment.policy, list(binding.policies), binding.application_session, binding.net_rate) == ("", [], "", 0)
    assert list(binding.standard_workflow_coverage_types) == sorted(set(assignment.coverage_types))
    assert binding.message.endswith(".")


# Eligibility


async def test_no_opt_in(any_client: Client) -> None:
    jane = await any_client.contractor()
    made = await assign(any_client, jane.id, (await any_client.job()).id)
    assert_standard(made, NO_GENERAL_OPT_IN)
    assert await any_client.get_assignment(made.id) == made
    assert await any_client.policies_of(jane.id) == []


async def test_an_opt_in_for_this_state_that_is_not_complete_whatever_its_status(client: Client) -> None:
    job = await client.job()
    info = sessions_pb.VerifyInfo()
    expire = sessions_pb.ExpireApplicationSessionRequest
    for reach in (
        lambda _: None,
        lambda session: client.submit(session, verify_info=info),
        lambda session: client.apply(session, has_employees=True),
        lambda session: client.apply(session, age_18_or_over=False),
        lambda session: client.sessions.ExpireApplicationSession(expire(id=session)),
        client.cancel_session,
    ):
        jane = await client.opted_in("NY")  # complete elsewhere: this state's own session comes first
        done: Any = reach((await client.session(jane.id)).id)
        if done is not None:
            await done
        assert_standard(await assign(client, jane.id, job.id), OPT_IN_NOT_COMPLETE)


async def test_an_opt_in_past_its_time_is_not_complete(client: Client, clock: Clock) -> None:
    jane = await client.contractor()
    await client.session(jane.id)
    clock.now += timedelta(days=31)
    assert_standard(await assign(client, jane.id, (await client.job()).id), OPT_IN_NOT_COMPLETE)


async def test_an_opt_in_that_a_review_completed_counts(client: Client) -> None:
    jane = await client.contractor()
    session = await client.apply((await client.session(jane.id)).id, has_employees=True)
    job = await client.job()
    assert_standard(await assign(client, jane.id, job.id), OPT_IN_NOT_COMPLETE)
    approve = sessions_pb.ReviewApplicationSessionRequest(id=session.id, decision=pb.REVIEW_DECISION_APPROVE)
    await client.sessions.ReviewApplicationSession(approve)
    assert (await assign(client, jane.id, job.id)).binding.outcome == BOUND


async def test_opt_ins_for_two_states_do_not_serve_each_other(any_client: Client) -> None:
    client = any_client
    category = (await client.category()).code
    jobs = {state: (await client.job(category, state)).id for state in ("CA", "NY")}
    jane = await client.opted_in("CA")
    assert_standard(await assign(client, jane.id, jobs["NY"]), WORK_STATE_MISMATCH)
    ca = await assign(client, jane.id, jobs["CA"])
    assert ca.binding.outcome == BOUND
    assert_standard(await assign(client, jane.id, jobs["NY"]), WORK_STATE_MISMATCH)

    session = await client.apply((await client.session(jane.id, "NY")).id)
    ny = await assign(client, jane.id, jobs["NY"])
    assert (ny.binding.outcome, ny.binding.application_session) == (BOUND, session.id)
    assert ny.policy != ca.policy
    assert (await assign(client, jane.id, jobs["CA"])).policy == ca.policy
    assert (await assign(client, jane.id, jobs["NY"])).policy == ny.policy


async def test_another_contractors_opt_in_does_not_count(client: Client) -> None:
    await client.opted_in()
    assert_standard(await assign(client, (await client.contractor()).id, (await client.job()).id), NO_GENERAL_OPT_IN)


async def test_the_opt_in_completed_last_counts(client: Client, clock: Clock) -> None:
    jane = await client.contractor()
    job = await client.job()
    early, late = await client.session(jane.id), await client.session(jane.id)
    await client.apply(late.id)
    clock.now += timedelta(days=1)
    await client.apply(early.id)
    assert (await assign(client, jane.id, job.id)).binding.application_session == early.id
    await client.cancel_session(early.id)
    assert (await assign(client, jane.id, job.id)).binding.application_session == late.id


async def test_a_withdrawn_opt_in_binds_nothing(any_client: Client) -> None:
    client = any_client
    jane = await client.contractor()
    session = await client.apply((await client.session(jane.id)).id)
    await client.cancel_session(session.id)
    assert_standard(await assign(client, jane.id, (await client.job()).id), OPT_IN_NOT_COMPLETE)
    assert await client.policies_of(jane.id) == []


async def test_the_category_has_to_be_approved_in_the_state(client: Client) -> None:
    jane = await client.opted_in()
    for category in (await client.category(approved=False), await client.category("NY", "TX")):
        made = await assign(client, jane.id, (await client.job(category.code)).id)
        assert_standard(made, JOB_CATEGORY_NOT_APPROVED)
    for category in (await client.category(), await client.category("ca")):
        made = await assign(client, jane.id, (await client.job(category.code)).id)
        assert made.binding.outcome == BOUND


async def test_withholding_by_platform_contractor_or_job(serve: Serving) -> None:
    async with serve(withhold_premium=False) as client:
        category = (await client.category()).code
        neither = await client.job(category)
        by_job = await client.job(category, withhold_premium=True)
        jane = await client.opted_in(withhold_premium=True)
        await withhold(client, jane.id, False)
        assert_standard(await assign(client, jane.id, neither.id), PREMIUM_NOT_WITHHELD)
        assert (await assign(client, jane.id, by_job.id)).binding.outcome == BOUND
        john = await client.opted_in(withhold_premium=True)
        assert (await assign(client, john.id, neither.id)).binding.outcome == BOUND
        ann = await client.opted_in(withhold_premium=True)
        await withhold(client, ann.id, False)
    async with serve(withhold_premium=True) as client:
        assert (await assign(client, ann.id, neither.id)).binding.outcome == BOUND


async def test_states_with_a_fund_of_their_own(client: Client) -> None:
    jane = await client.opted_in()
    category = (await client.category()).code
    for state in ("ND", "OH", "WA", "WY"):
        made = await assign(client, jane.id, (await client.job(category, state)).id)
        assert_standard(made, WORK_STATE_MISMATCH, WORK_STATE_NOT_OFFERED)


async def test_every_reason_that_holds_is_given_in_the_enums_order(serve: Serving) -> None:
    async with serve(withhold_premium=False) as client:
        job = await client.job((await client.category(approved=False)).code, "OH")
        nobody = await client.contractor()
        rest = (JOB_CATEGORY_NOT_APPROVED, PREMIUM_NOT_WITHHELD, WORK_STATE_NOT_OFFERED)
        made = await assign(client, nobody.id, job.id, types=(CYBER,))
        assert_standard(made, WORKERS_COMP_NOT_REQUESTED, NO_GENERAL_OPT_IN, *rest)
        jane = await client.opted_in(withhold_premium=True)
        await withhold(client, jane.id, False)
        made = await assign(client, jane.id, job.id)
        assert_standard(made, WORK_STATE_MISMATCH, *rest)


# Coverage types


async def test_an_empty_list_requests_nothing(any_client: Client) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    assert_standard(await assign(client, jane.id, job.id, types=()), WORKERS_COMP_NOT_REQUESTED)
    await assign(client, jane.id, job.id)
    assert_standard(await assign(client, jane.id, job.id, types=()), WORKERS_COMP_NOT_REQUESTED)


async def test_other_types_are_left_to_the_standard_workflow(any_client: Client) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    first = await assign(client, jane.id, job.id, types=(CYBER, WORKERS_COMP, GENERAL, WORKERS_COMP))
    assert list(first.coverage_types) == [GENERAL, WORKERS_COMP, CYBER], "each once, in the enum's order"
    assert first.binding.outcome == BOUND
    assert list(first.binding.standard_workflow_coverage_types) == [GENERAL, CYBER]
    (policy,) = await client.policies_of(jane.id)
    assert list(policy.coverage_types) == [WORKERS_COMP]
    assert await client.get_assignment(first.id) == first

    second = await assign(client, jane.id, job.id, types=(WORKERS_COMP, GENERAL))
    assert (second.binding.outcome, second.policy) == (REUSED, policy.id)
    assert list(second.binding.standard_workflow_coverage_types) == [GENERAL]
    third = await assign(client, jane.id, job.id, types=(GENERAL,))
    assert_standard(third, WORKERS_COMP_NOT_REQUESTED)


async def test_types_that_are_refused(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    numbers: tuple[Any, ...] = (pb.COVERAGE_TYPE_UNSPECIFIED, 99, -1)
    for bad in numbers:
        refusal = await refused(assign(client, jane.id, job.id, types=(WORKERS_COMP, bad, bad)))
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", {"assignment.coverage_types"})


# Matching


async def test_same_category_and_state_reuse_whatever_the_job(any_client: Client) -> None:
    client = any_client
    category = (await client.category()).code
    jane = await client.opted_in()
    first = await assign(client, jane.id, (await client.job(category)).id)
    second = await assign(client, jane.id, (await client.job(category)).id)
    assert (first.binding.outcome, second.binding.outcome) == (BOUND, REUSED)
    assert first.policy == second.policy


async def test_another_category_binds_another_policy_without_another_application(any_client: Client) -> None:
    client = any_client
    jane = await client.opted_in()
    made = [await assign(client, jane.id, (await client.job()).id) for _ in range(2)]
    assert [a.binding.outcome for a in made] == [BOUND, BOUND]
    assert made[0].binding.application_session == made[1].binding.application_session
    policies = await client.policies_of(jane.id)
    assert [(p.number, p.category_code) for p in policies] == [(1, made[0].category_code), (2, made[1].category_code)]


async def test_the_term_has_to_contain_the_whole_period(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    first = await assign(client, jane.id, job.id, utc(2024, 3, 10, 9), utc(2024, 3, 11))
    term = await client.policy(first.policy)
    assert (term.effective_time, term.expire_time) == (stamp(utc(2024, 3, 10)), stamp(utc(2025, 3, 10)))

    within = (
        (utc(2024, 3, 10), utc(2024, 3, 10, 9)),
        (utc(2025, 3, 9, 23), utc(2025, 3, 10)),
        (utc(2024, 3, 10), utc(2025, 3, 10)),
    )
    for start, end in within:
        assert (await assign(client, jane.id, job.id, start, end)).policy == first.policy
    before = await assign(client, jane.id, job.id, utc(2024, 3, 10) - MICROSECOND, utc(2024, 3, 10, 9))
    after = await assign(client, jane.id, job.id, utc(2025, 3, 9), utc(2025, 3, 10) + MICROSECOND)
    assert [a.binding.outcome for a in (before, after)] == [BOUND, BOUND]
    assert len({first.policy, before.policy, after.policy}) == 3


async def test_of_several_the_one_that_expires_last(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    late = await assign(client, jane.id, job.id, utc(2024, 3, 10), utc(2024, 3, 11))
    early = await assign(client, jane.id, job.id, utc(2024, 3, 1), utc(2024, 3, 2))
    assert late.policy != early.policy
    assert (await assign(client, jane.id, job.id, utc(2024, 3, 20), utc(2024, 3, 21))).policy == late.policy
    assert (await assign(client, jane.id, job.id, utc(2024, 3, 5), utc(2024, 3, 6))).policy == early.policy


async def test_an_assignment_of_exactly_a_year_that_starts_at_15_is_inside_what_it_binds(any_client: Client) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    first = await assign(client, jane.id, job.id, utc(2024, 5, 6, 15), utc(2025, 5, 6, 15))
    term = await client.policy(first.policy)
    assert (term.effective_time, term.expire_time) == (stamp(utc(2024, 5, 6)), stamp(utc(2025, 5, 7)))
    again = await assign(client, jane.id, job.id, utc(2024, 5, 6, 15), utc(2025, 5, 6, 15))
    assert (again.binding.outcome, again.policy) == (REUSED, first.policy)


async def test_a_term_that_starts_on_29_february_ends_on_1_march(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    first = await assign(client, jane.id, job.id, utc(2024, 2, 29, 8), utc(2024, 3, 5))
    assert (await client.policy(first.policy)).expire_time == stamp(utc(2025, 3, 1))
    last_day = await assign(client, jane.id, job.id, utc(2025, 2, 28), utc(2025, 3, 1))
    assert last_day.policy == first.policy


async def test_matching_does_not_look_at_the_clock(client: Client, clock: Clock) -> None:
    jane, job = await client.opted_in(), await client.job()
    first = await assign(client, jane.id, job.id, utc(2024, 3, 10), utc(2024, 3, 11))
    clock.now += timedelta(days=700)
    assert (await client.policy(first.policy)).status == pb.POLICY_STATUS_EXPIRED
    assert (await assign(client, jane.id, job.id, utc(2024, 4, 1), utc(2024, 4, 2))).policy == first.policy


async def test_the_standard_workflow_reuses_too(any_client: Client) -> None:
    """What was bound stays, though the opt-in that made it was withdrawn."""
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    first = await assign(client, jane.id, job.id)
    await client.cancel_session(first.binding.application_session)
    second = await assign(client, jane.id, job.id)
    binding = second.binding
    assert (binding.outcome, binding.workflow) == (REUSED, pb.BINDING_WORKFLOW_STANDARD)
    assert (second.policy, list(binding.policies), binding.net_rate) == (first.policy, [first.policy], 250)
    assert (list(binding.reasons), binding.application_session) == ([OPT_IN_NOT_COMPLETE], "")
    assert not binding.standard_workflow_coverage_types

    mixed = await assign(client, jane.id, job.id, types=(WORKERS_COMP, GENERAL))
    assert_standard(mixed, OPT_IN_NOT_COMPLETE)


async def test_remote_work_is_done_where_the_contractor_lives(any_client: Client) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job(region="")
    first = await assign(client, jane.id, job.id)
    assert (first.work_state, first.binding.outcome) == ("CA", BOUND)
    assert (await assign(client, jane.id, job.id)).policy == first.policy

    moved = contractors_pb.UpdateContractorRequest(
        contractor=pb.Contractor(id=jane.id, address=pb.Address(region="NY"))
    )
    await client.contractors.UpdateContractor(moved)
    elsewhere = await assign(client, jane.id, job.id)
    assert elsewhere.work_state == "NY"
    assert_standard(elsewhere, WORK_STATE_MISMATCH)
    at_home = await assign(client, jane.id, (await client.job(first.category_code)).id)
    assert at_home.policy == first.policy, "residence does not matter to workers' compensation"


# validate_only


async def test_validate_only_writes_nothing(any_client: Client) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    would = await client.assign(jane.id, job.id, validate_only=True, request_id="a")
    assert (would.outcome, would.assignment.binding.outcome) == (BOUND, BOUND)
    assert (would.assignment.id, would.assignment.policy, list(would.assignment.binding.policies)) == ("", "", [])
    assert not would.assignment.HasField("create_time")
    assert (would.assignment.binding.net_rate, would.assignment.work_state) == (250, "CA")
    assert would.assignment.binding.application_session
    assert await client.policies_of(jane.id) == await client.assignments_of(jane.id) == []

    did = await client.assign(jane.id, job.id, request_id="a")
    assert did.outcome == BOUND, "the request id is as good as new"
    would.assignment.id, would.assignment.policy = did.assignment.id, did.assignment.policy
    would.assignment.binding.policies.append(did.assignment.policy)
    would.assignment.create_time.CopyFrom(did.assignment.create_time)
    assert would == did

    again = await client.assign(jane.id, job.id, GENERAL, validate_only=True, request_id="a")
    assert again.outcome == STANDARD_WORKFLOW, "other contents under a used request id, and it is not looked at"
    again = await client.assign(jane.id, job.id, validate_only=True)
    assert (again.outcome, again.assignment.policy) == (REUSED, did.assignment.policy)
    assert await client.assignments_of(jane.id) == [did.assignment]
    assert len(await client.policies_of(jane.id)) == 1


async def test_validate_only_refuses_what_would_be_refused(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    assert (await refused(client.assign(jane.id, "jb_1", validate_only=True))).reason == "RESOURCE_NOT_FOUND"
    bad = await refused(client.assign(jane.id, job.id, start=1_000, end=999, validate_only=True, request_id="é"))
    assert bad.fields == {"assignment.effective_time", "assignment.end_time", "request_id"}


# Dates


async def test_dates_that_are_left_out(any_client: Client, clock: Clock) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    made = await assign(client, jane.id, job.id)
    assert made.effective_time == stamp(utc(2026, 11, 23))
    assert made.end_time == stamp(utc(2026, 12, 23))
    assert (await assign(client, jane.id, job.id, start=utc(2024, 2, 1, 5))).end_time == stamp(utc(2024, 3, 2, 5))
    assert (await assign(client, jane.id, job.id, end=utc(2026, 12, 1))).effective_time == stamp(utc(2026, 11, 23))
    clock.now = utc(2026, 12, 31)
    assert (await assign(client, jane.id, job.id)).effective_time == stamp(utc(2027, 1, 1)), "midnight: the next one"


async def test_dates_are_truncated_to_microseconds(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    request = assignments_pb.CreateAssignmentRequest(
        assignment=pb.Assignment(contractor=jane.id, job=job.id, effective_time=Timestamp(seconds=10**9, nanos=1_999))
    )
    made = (await client.assignments.CreateAssignment(request)).assignment
    assert made.effective_time == Timestamp(seconds=10**9, nanos=1_000)
    assert await client.get_assignment(made.id) == made


async def test_dates_at_their_limits(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    latest = NOW.replace(year=NOW.year + 5)
    for start, end in (
        (utc(2000, 1, 1), utc(2001, 1, 1)),
        (utc(2024, 2, 29), utc(2025, 3, 1)),
        (latest - MICROSECOND, latest),
        (utc(2024, 1, 1), utc(2024, 1, 1) + MICROSECOND),
    ):
        made = await assign(client, jane.id, job.id, start, end)
        assert (made.effective_time, made.end_time) == (stamp(start), stamp(end))


async def test_dates_that_are_refused(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    latest = NOW.replace(year=NOW.year + 5)
    start, end = "assignment.effective_time", "assignment.end_time"
    cases = [
        (utc(2024, 1, 1), utc(2024, 1, 1), {end}),
        (utc(2024, 1, 2), utc(2024, 1, 1), {end}),
        (utc(2024, 1, 1), utc(2025, 1, 1) + MICROSECOND, {end}),
        (utc(1999, 12, 31), utc(2000, 1, 1), {start}),
        (latest + MICROSECOND, None, {start}),
        (latest - timedelta(days=1), latest + MICROSECOND, {end}),
        (utc(1970, 1, 1), utc(1970, 1, 2), {start, end}),
        (utc(9999, 12, 31), utc(9999, 12, 31), {start, end}),
        (None, NOW, {end}),
    ]
    for effective, until, fields in cases:
        refusal = await refused(assign(client, jane.id, job.id, effective, until))
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", fields), (effective, until)
    assert await client.assignments_of(jane.id) == []


async def test_in_production_no_start_before_today(serve: Serving) -> None:
    async with serve(environment="production") as client:
        jane, job = await client.opted_in(), await client.job()
        today = NOW.replace(hour=0)
        assert (await assign(client, jane.id, job.id, start=today)).effective_time == stamp(today)
        assert (await assign(client, jane.id, job.id)).effective_time == stamp(today + timedelta(days=1))
        for past in (today - MICROSECOND, utc(2023, 12, 3)):
            refusal = await refused(assign(client, jane.id, job.id, start=past))
            assert refusal.fields == {"assignment.effective_time"}


# Get and List


async def test_what_is_not_there(any_client: Client) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    for call, kind, name in (
        (client.assign("cn_1", job.id), "contractor", "cn_1"),
        (client.assign(jane.id, "jb_1"), "job", "jb_1"),
        (client.assign("cn_1", "jb_1"), "contractor", "cn_1"),
        (client.assign(job.id, jane.id), "contractor", job.id),
        (client.get_assignment("an_1"), "assignment", "an_1"),
    ):
        refusal = await refused(call)
        assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
        assert refusal.told == {"resource_type": kind, "resource_name": name}
    assert await client.assignments_of(jane.id) == []


async def test_list_filters_are_combined_and_newest_comes_first(any_client: Client) -> None:
    client = any_client
    jane, john = await client.opted_in(), await client.contractor()
    category = (await client.category()).code
    here, there = await client.job(category), await client.job(category)
    bound = await assign(client, jane.id, here.id)
    reused = await assign(client, jane.id, there.id)
    standard = await assign(client, john.id, here.id)

    async def listed(**filters: Any) -> list[pb.Assignment]:
        request = assignments_pb.ListAssignmentsRequest(**filters)
        return list((await client.assignments.ListAssignments(request)).assignments)

    assert await listed() == [standard, reused, bound]
    assert await listed(contractor=jane.id) == [reused, bound]
    assert await listed(job=here.id) == [standard, bound]
    assert await listed(contractor=jane.id, job=here.id) == [bound]
    assert await listed(outcome=REUSED) == [reused]
    assert await listed(outcome=STANDARD_WORKFLOW, contractor=jane.id) == []
    assert await listed(contractor="cn_1") == await listed(job="jb_1") == []
    assert (await refused(listed(outcome=99, page_size=-1))).fields == {"outcome", "page_size"}
