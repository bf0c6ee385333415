"""QuoteService, and applications for quotes, end to end; the rules themselves are in tests/domain/test_quoting.py."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import quote_service_pb2 as quotes_pb
from optin.v1 import resources_pb2 as pb

from server.domain.carrier import Answer, Bound, Declined
from server.domain.records import Policy
from tests.conftest import NOW, Clock, Serving
from tests.support.client import WORKERS_COMP, Client, at, refused

GENERAL, PROFESSIONAL = pb.COVERAGE_TYPE_GENERAL, pb.COVERAGE_TYPE_PROFESSIONAL
CYBER = pb.COVERAGE_TYPE_CYBER
OPEN, ISSUED, EXPIRED = pb.QUOTE_STATUS_OPEN, pb.QUOTE_STATUS_ISSUED, pb.QUOTE_STATUS_EXPIRED
COMPLETE = pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE
DAY = 86_400
TOMORROW = int(NOW.timestamp()) // DAY * DAY + DAY
MONTH = timedelta(days=30)


async def jane_and_job(client: Client) -> tuple[pb.Contractor, pb.Job]:
    """A job in a category that is approved for everything, everywhere."""
    category = await client.category(net_rate=250)
    await client.approve(category.code, GENERAL, PROFESSIONAL, CYBER)
    return await client.contractor(), await client.job(category.code)


async def update(client: Client, quote: str, *mask: str, **changes: Any) -> pb.Quote:
    request = quotes_pb.UpdateQuoteRequest(quote=pb.Quote(id=quote, **changes), update_mask=FieldMask(paths=mask))
    return (await client.quotes.UpdateQuote(request)).quote


async def listed(client: Client, **filters: Any) -> list[str]:
    return [quote.id for quote in (await client.quotes.ListQuotes(quotes_pb.ListQuotesRequest(**filters))).quotes]


# Quotes.


async def test_bad_fields_are_named_all_at_once(client: Client) -> None:
    bad = pb.Quote(coverage_types=[0], effective_time=Timestamp(nanos=-1), end_time=at(0))
    refusal = await refused(client.quotes.CreateQuote(quotes_pb.CreateQuoteRequest(quote=bad, request_id="é")))
    names = ("contractor", "job", "coverage_types", "effective_time", "end_time")
    assert refusal.fields == {"request_id", *(f"quote.{name}" for name in names)}
    assert (refusal.code, refusal.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    empty = await refused(client.quotes.CreateQuote(quotes_pb.CreateQuoteRequest(quote=pb.Quote())))
    assert empty.fields == {"quote.contractor", "quote.job", "quote.coverage_types"}


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (TOMORROW, TOMORROW, "end_time"),
        (TOMORROW, TOMORROW + 366 * DAY, "end_time"),
        (1, None, "effective_time"),
    ],
)
async def test_dates_are_those_of_an_assignment(client: Client, start: int, end: int | None, field: str) -> None:
    refusal = await refused(client.quote("cn_1", "jb_1", start=start, end=end))
    assert refusal.fields == {f"quote.{field}"}


async def test_no_quote_starts_in_the_past_in_production(serve: Serving) -> None:
    async with serve(environment="production") as client:
        jane, job = await jane_and_job(client)
        refusal = await refused(client.quote(jane.id, job.id, start=TOMORROW - 2 * DAY, end=TOMORROW))
        assert refusal.fields == {"quote.effective_time"}
        quote = await client.quote(jane.id, job.id, start=TOMORROW - DAY, end=TOMORROW)
        refusal = await refused(update(client, quote.id, effective_time=at(TOMORROW - 2 * DAY)))
        assert refusal.fields == {"quote.effective_time"}


async def test_what_is_named_must_be_there(client: Client) -> None:
    jane, job = await jane_and_job(client)
    gone = await client.contractor()
    await client.delete(gone.id)
    for contractor, job_id, missing in [
        ("cn_none", job.id, "contractor"),
        (gone.id, job.id, "contractor"),
        (jane.id, "jb_none", "job"),
    ]:
        refusal = await refused(client.quote(contractor, job_id))
        assert (refusal.reason, refusal.told["resource_type"]) == ("RESOURCE_NOT_FOUND", missing)
    for call in (client.get_quote("qt_none"), update(client, "qt_none", end_time=at(TOMORROW))):
        refusal = await refused(call)
        assert (refusal.reason, refusal.told["resource_type"]) == ("RESOURCE_NOT_FOUND", "quote")


async def test_refusals_reach_the_caller_with_their_codes(client: Client) -> None:
    jane, job = await jane_and_job(client)
    islander = await client.contractor(address=pb.Address(region="HI"))
    elsewhere = await client.job(job.category_code, "OH")
    unapproved = await client.job((await client.category(approved=False)).code)
    precondition = StatusCode.FAILED_PRECONDITION
    for call, code, reason in [
        (client.quote(jane.id, job.id, CYBER), StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
        (client.quote(islander.id, job.id, GENERAL), precondition, "COVERAGE_NOT_OFFERED"),
        (client.quote(jane.id, elsewhere.id), precondition, "WORK_STATE_NOT_OFFERED"),
        (client.quote(jane.id, unapproved.id), precondition, "JOB_CATEGORY_NOT_APPROVED"),
    ]:
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (code, reason)
    assert (await refused(client.quote(jane.id, job.id, CYBER))).fields == {"quote.coverage_types"}
    assert (await client.quote(islander.id, job.id, CYBER)).net_rate == 100
    await client.issue((await client.quote(jane.id, job.id)).id)
    refusal = await refused(client.quote(jane.id, job.id))
    (policy,) = await client.policies_of(jane.id)
    assert (refusal.code, refusal.reason) == (StatusCode.ALREADY_EXISTS, "MATCHING_POLICY_EXISTS")
    assert refusal.told == {"policy": policy.id}


async def test_lists_and_statuses(any_client: Client, clock: Clock) -> None:
    """A quote expires by the clock, and not while somebody applies for it."""
    client = any_client
    jane, job = await jane_and_job(client)
    other = await client.job(job.category_code)
    old = await client.quote(jane.id, job.id, GENERAL)
    issued = await client.quote(jane.id, other.id)
    await client.issue(issued.id)
    clock.now = NOW + MONTH / 2
    applied_for, reviewed = await client.quote(jane.id, job.id, CYBER, GENERAL), await client.quote(jane.id, job.id, 2)
    session = await client.quote_session(old.id)
    in_review = await client.quote_session(reviewed.id)
    await client.fill_in(in_review.id, losses_last_3_years=True)
    await client.submit(in_review.id, final_review={})
    assert await listed(client, contractor=jane.id) == [reviewed.id, applied_for.id, issued.id, old.id]
    assert await listed(client, job=other.id) == [issued.id]
    assert await listed(client, status=ISSUED, contractor=jane.id) == [issued.id]
    assert await listed(client, status=EXPIRED, contractor=jane.id) == []

    clock.now = NOW + MONTH + timedelta(seconds=1)  # the session ends in half a month
    assert (await client.get_quote(old.id)).status == OPEN
    assert await listed(client, status=OPEN, contractor=jane.id) == [reviewed.id, applied_for.id, old.id]
    await client.cancel_session(session.id)
    assert (await client.get_quote(old.id)).status == EXPIRED
    assert await listed(client, status=EXPIRED, contractor=jane.id) == [old.id]
    clock.now += MONTH
    assert await listed(client, status=OPEN) == [reviewed.id]
    assert (await client.get_quote(reviewed.id)).status == OPEN
    assert await listed(client, status=EXPIRED) == [applied_for.id, old.id]

    for call in (client.quote_session(old.id), update(client, old.id, end_time=at(TOMORROW + DAY))):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (StatusCode.FAILED_PRECONDITION, "QUOTE_NOT_OPEN")
        assert refusal.told == {"quote": old.id, "status": "EXPIRED"}


async def test_an_updated_quote_is_rated_anew(any_client: Client) -> None:
    client = any_client
    jane, job = await jane_and_job(client)
    quote = await client.quote(jane.id, job.id)
    await client.approve(job.category_code, WORKERS_COMP, states=["NY"], net_rate=7)
    elsewhere = await client.job(job.category_code, "NY")

    assert (await client.get_quote(quote.id)).net_rate == 250
    more = await update(client, quote.id, coverage_types=[WORKERS_COMP, GENERAL])
    assert [(r.coverage_type, r.net_rate) for r in more.rates] == [(GENERAL, 100), (WORKERS_COMP, 250)]
    moved = await update(client, quote.id, "job", "effective_time", job=elsewhere.id, end_time=at(1))
    assert (moved.work_state, moved.net_rate, moved.end_time) == ("NY", 107, quote.end_time)
    later = await update(client, quote.id, "end_time", end_time=at(TOMORROW + 60 * DAY))
    assert later.end_time == at(TOMORROW + 60 * DAY)
    default = await update(client, quote.id, "end_time")
    assert default == moved == await client.get_quote(quote.id)
    assert (moved.expire_time, moved.create_time) == (quote.expire_time, quote.create_time)
    same = await update(client, quote.id, contractor=jane.id, net_rate=1, policy="pl_1")
    assert same == moved


async def test_an_update_is_refused_as_a_creation_is(client: Client) -> None:
    jane, job = await jane_and_job(client)
    quote = await client.quote(jane.id, job.id)
    for refusal, fields in [
        (await refused(update(client, quote.id, contractor="cn_2")), {"quote.contractor"}),
        (await refused(update(client, quote.id, coverage_types=[CYBER])), {"quote.coverage_types"}),
        (await refused(update(client, quote.id, "coverage_types")), {"quote.coverage_types"}),
        (await refused(update(client, quote.id, "colour")), {"update_mask"}),
        (await refused(update(client, quote.id, end_time=at(TOMORROW))), {"quote.end_time"}),
        (await refused(update(client, quote.id, end_time=Timestamp(nanos=-1))), {"quote.end_time"}),
        (await refused(update(client, "")), {"quote.id"}),
    ]:
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", fields)
    assert (await refused(update(client, quote.id, job="jb_none"))).reason == "RESOURCE_NOT_FOUND"
    assert await client.get_quote(quote.id) == quote
    await client.issue(quote.id)
    refusal = await refused(update(client, quote.id, end_time=at(TOMORROW + DAY)))
    (policy,) = await client.policies_of(jane.id)
    assert (refusal.code, refusal.reason) == (StatusCode.FAILED_PRECONDITION, "QUOTE_ALREADY_ISSUED")
    assert refusal.told == {"quote": quote.id, "policy": policy.id}


# Applications.


async def test_what_is_said_of_a_session_must_be_the_quotes(client: Client) -> None:
    jane, job = await jane_and_job(client)
    quote = await client.quote(jane.id, job.id)
    other = await client.contractor()
    refusal = await refused(client.quote_session(quote.id, contractor=other.id, work_state="NY"))
    assert refusal.fields == {"application_session.contractor", "application_session.work_state"}
    session = await client.quote_session(quote.id, contractor=jane.id, work_state="ca")
    assert (session.contractor, session.work_state) == (jane.id, "CA")
    await client.delete(jane.id)
    assert (await refused(client.quote_session(quote.id))).told["resource_type"] == "contractor"


async def test_withholding_is_not_asked_for(serve: Serving) -> None:
    async with serve(withhold_premium=False) as client:
        jane, job = await jane_and_job(client)
        session = await client.issue((await client.quote(jane.id, job.id)).id)
        assert session.status == COMPLETE
        made = await client.assign(jane.id, job.id, start=TOMORROW, end=TOMORROW + DAY)
        assert made.outcome == pb.BINDING_OUTCOME_COVERAGE_REUSED
        (decision,) = await client.decisions(made.assignment.id)
        assert (decision.withholding, decision.withholding_source) == (False, 0)


async def test_the_form_follows_the_quote_until_it_is_closed(client: Client) -> None:
    jane, job = await jane_and_job(client)
    quote = await client.quote(jane.id, job.id)
    ready = await client.quote_session(quote.id)
    await client.fill_in(ready.id)
    in_review = await client.quote_session(quote.id)
    await client.fill_in(in_review.id, losses_last_3_years=True)
    await client.submit(in_review.id, final_review={})
    closed = await client.quote_session(quote.id)
    await client.cancel_session(closed.id)
    before = await client.form(closed.id)

    await update(client, quote.id, end_time=at(TOMORROW + DAY))  # the form is the same
    assert (await client.get_session(ready.id)).step == pb.APPLICATION_STEP_FINAL_REVIEW
    await update(client, quote.id, coverage_types=[WORKERS_COMP, PROFESSIONAL])
    for session in (ready, in_review):
        after = await client.get_session(session.id)
        assert after.status == pb.APPLICATION_SESSION_STATUS_STARTED
        assert (after.step, list(after.reasons)) == (pb.APPLICATION_STEP_APPLICATION_QUESTIONS, [])
        asked = {question.id for question in (await client.form(session.id)).questions}
        assert asked == {question.id for question in before.questions} | {"claims_by_clients_last_3_years"}
    assert await client.form(closed.id) == before
    await client.fill_in(ready.id)
    assert (await client.submit(ready.id, final_review={})).status == COMPLETE
    (policy,) = await client.policies_of(jane.id)
    assert policy.coverage_types == [PROFESSIONAL, WORKERS_COMP]


async def test_a_quote_is_issued_once(any_client: Client) -> None:
    client = any_client
    jane, job = await jane_and_job(client)
    quote = await client.quote(jane.id, job.id)
    first, second, third = [await client.quote_session(quote.id) for _ in range(3)]
    for session in (first, second):
        await client.fill_in(session.id)
    await client.fill_in(third.id, losses_last_3_years=True)
    await client.submit(third.id, final_review={})
    request = sessions_pb.SubmitApplicationStepRequest(id=first.id, final_review={}, request_id="a")
    done = await client.sessions.SubmitApplicationStep(request)
    assert done == await client.sessions.SubmitApplicationStep(request)

    approve = sessions_pb.ReviewApplicationSessionRequest(id=third.id, decision=pb.REVIEW_DECISION_APPROVE)
    for call in (
        client.submit(second.id, final_review={}),
        client.submit(second.id, verify_info={}),
        client.sessions.ReviewApplicationSession(approve),
        client.quote_session(quote.id),
    ):
        assert (await refused(call)).reason == "QUOTE_ALREADY_ISSUED"
    (policy,) = await client.policies_of(jane.id)
    assert (await client.get_quote(quote.id)).policy == policy.id
    decline = sessions_pb.ReviewApplicationSessionRequest(id=third.id, decision=pb.REVIEW_DECISION_DECLINE)
    declined = (await client.sessions.ReviewApplicationSession(decline)).application_session
    assert declined.status == pb.APPLICATION_SESSION_STATUS_INELIGIBLE


async def test_approval_in_review_issues_the_policy(client: Client, clock: Clock) -> None:
    """From the day of completion, where that is later than the quote's."""
    jane, job = await jane_and_job(client)
    quote = await client.quote(jane.id, job.id)
    session = await client.quote_session(quote.id)
    await client.fill_in(session.id, has_employees=True)
    await client.submit(session.id, final_review={})
    assert await client.policies_of(jane.id) == []
    clock.now = NOW + timedelta(days=10)
    approve = sessions_pb.ReviewApplicationSessionRequest(id=session.id, decision=pb.REVIEW_DECISION_APPROVE)
    approved = (await client.sessions.ReviewApplicationSession(approve)).application_session
    (policy,) = await client.policies_of(jane.id)
    assert (approved.status, policy.application_session) == (COMPLETE, session.id)
    assert policy.effective_time == at(TOMORROW + 9 * DAY)


async def test_a_policy_that_came_to_match_is_attached(any_client: Client) -> None:
    """Bound meanwhile by an opt-in; the assignment that waited reuses it."""
    client = any_client
    jane, job = await jane_and_job(client)
    dates = {"start": TOMORROW, "end": TOMORROW + 5 * DAY}
    waiting = (await client.assign(jane.id, job.id, **dates)).assignment
    quote = await client.quote(jane.id, job.id, **dates)
    session = await client.quote_session(quote.id)
    await client.fill_in(session.id)
    await client.apply((await client.session(jane.id)).id)
    bound = await client.assign(jane.id, job.id, **dates)
    assert bound.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
    await client.submit(session.id, final_review={})
    (policy,) = await client.policies_of(jane.id)
    issued = await client.get_quote(quote.id)
    assert (issued.status, issued.policy, policy.origin) == (ISSUED, policy.id, pb.POLICY_ORIGIN_GENERAL_OPT_IN)
    covered = await client.get_assignment(waiting.id)
    assert (covered.policy, covered.binding.outcome) == (policy.id, pb.BINDING_OUTCOME_COVERAGE_REUSED)


# Assignments that waited.


async def test_only_what_the_policy_covers_is_covered(any_client: Client) -> None:
    client = any_client
    jane, job = await jane_and_job(client)
    joan = await client.contractor()
    other = await client.job(job.category_code)
    await client.apply((await client.session(jane.id)).id)
    within = {"start": TOMORROW + DAY, "end": TOMORROW + 2 * DAY}
    partly = (await client.assign(jane.id, job.id, WORKERS_COMP, GENERAL, CYBER, **within)).assignment
    opt_in = partly.policy
    early = (await client.assign(jane.id, job.id, GENERAL, start=TOMORROW - DAY, end=TOMORROW + DAY)).assignment
    elsewhere = (await client.assign(jane.id, other.id, GENERAL, **within)).assignment
    anothers = (await client.assign(joan.id, job.id, GENERAL, **within)).assignment
    enough = (await client.assign(jane.id, job.id, **within)).assignment

    await client.issue((await client.quote(jane.id, job.id, GENERAL)).id)
    policy = (await client.policies_of(jane.id))[-1]
    covered = await client.get_assignment(partly.id)
    assert covered.binding == pb.Binding(
        outcome=pb.BINDING_OUTCOME_COVERAGE_BOUND,
        workflow=pb.BINDING_WORKFLOW_STANDARD,
        policies=[opt_in, policy.id],
        message="New coverage was bound from a quote; the standard workflow applies to cyber.",
        net_rate=350,
        standard_workflow_coverage_types=[CYBER],
    )
    assert covered.policy == opt_in
    assert [(d.number, d.trigger) for d in await client.decisions(partly.id)] == [
        (1, "assignment.created"),
        (2, "quote.issued"),
    ]
    for left in (early, elsewhere, anothers, enough):
        assert await client.get_assignment(left.id) == left
        assert len(await client.decisions(left.id)) == 1

    # A residence that changes counts from then on only.
    moved = pb.Contractor(id=jane.id, address=pb.Address(region="NY"))
    await client.contractors.UpdateContractor(contractors_pb.UpdateContractorRequest(contractor=moved))
    again = await client.assign(jane.id, job.id, GENERAL, **within)
    assert again.outcome == pb.BINDING_OUTCOME_STANDARD_WORKFLOW
    assert await client.get_assignment(partly.id) == covered


# The carrier.


class Declines:
    """A carrier behind the port that does not bind until it is told to."""

    def __init__(self) -> None:
        self.accepts = False

    def issue(self, policy: Policy) -> Answer:
        return Bound("C-1") if self.accepts else Declined()


async def test_a_carrier_that_declines_leaves_the_quote_open(serve: Serving) -> None:
    carrier = Declines()
    async with serve(carrier=carrier) as client:
        jane, job = await jane_and_job(client)
        quote = await client.quote(jane.id, job.id)
        assert (await client.issue(quote.id)).status == COMPLETE
        assert await client.get_quote(quote.id) == quote
        (failed,) = await client.policies_of(jane.id)
        assert (failed.status, failed.quote) == (pb.POLICY_STATUS_FAILED, quote.id)
        carrier.accepts = True
        await client.issue(quote.id)
        assert [policy.status for policy in await client.policies_of(jane.id)] == [
            pb.POLICY_STATUS_FAILED,
            pb.POLICY_STATUS_ACTIVE,
        ]


def test_both_calls_that_complete_an_application_answer_alike_on_the_wire() -> None:
    """So that whoever settles a policy needs not know which of the two it answers."""
    session = pb.ApplicationSession(id="ias_1", status=COMPLETE)
    answers = (sessions_pb.SubmitApplicationStepResponse, sessions_pb.ReviewApplicationSessionResponse)
    assert len({answer(application_session=session).SerializeToString() for answer in answers}) == 1
