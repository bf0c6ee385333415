"""Quotes: who may have one at which price, and what is issued when it was applied for (issue 4)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from server.domain import errors, quoting
from server.domain.decision import NewPolicy
from server.domain.enums import (
    AssignmentStatus,
    BindingOutcome,
    BindingReason,
    BindingWorkflow,
    CoverageType,
    PolicyOrigin,
    PolicyStatus,
    QuoteStatus,
)
from server.domain.errors import DomainError
from server.domain.quoting import Issue, QuoteRequest, covered_too, issue, rate, status_at
from server.domain.records import Address, Approval, Assignment, Binding, CoverageRate, JobCategory, Policy, Quote
from server.domain.terms import Period
from tests.domain.given import JANE, JOB, LONG_AGO, NOW, PERIOD, POLICY, ROOFING, utc

GENERAL, PROFESSIONAL, WORKERS_COMP = CoverageType.GENERAL, CoverageType.PROFESSIONAL, CoverageType.WORKERS_COMP
MEDIA, CYBER = CoverageType.MEDIA, CoverageType.CYBER


def approved(*rows: tuple[CoverageType, str, int]) -> JobCategory:
    return replace(
        ROOFING,
        approvals=tuple(
            Approval(coverage_type=type_, state=state, net_rate=net_rate, approve_time=LONG_AGO)
            for type_, state, net_rate in rows
        ),
    )


EVERYTHING = approved(*((type_, "", 100 * type_) for type_ in CoverageType), (GENERAL, "CA", 7))


def asking(
    *types: CoverageType, work: str = "CA", home: str = "CA", category: JobCategory = EVERYTHING
) -> QuoteRequest:
    return QuoteRequest(
        contractor=replace(JANE, address=Address(region=home)),
        job=replace(JOB, address=Address(region=work) if work else None),
        category=category,
        coverage_types=types,
        period=PERIOD,
    )


@pytest.mark.parametrize(
    ("request_", "rates"),
    [
        (asking(WORKERS_COMP), {WORKERS_COMP: 300}),
        (asking(GENERAL), {GENERAL: 7}),  # the row for the state wins
        (asking(GENERAL, work="NY"), {GENERAL: 100}),
        (asking(GENERAL, MEDIA, CYBER), {GENERAL: 7, MEDIA: 400, CYBER: 500}),
        (asking(MEDIA, CYBER, home="HI"), {MEDIA: 400, CYBER: 500}),  # residents of Hawaii are not offered GENERAL
        (asking(PROFESSIONAL, work="OH"), {PROFESSIONAL: 200}),
        (asking(WORKERS_COMP, home="OH"), {WORKERS_COMP: 300}),  # the work state counts
        (asking(GENERAL, work="HI"), {GENERAL: 100}),  # the residence counts
        (asking(WORKERS_COMP, home="NY", category=approved((WORKERS_COMP, "", 0))), {WORKERS_COMP: 0}),
    ],
)
def test_a_quote_has_a_rate_for_each_type(request_: QuoteRequest, rates: dict[CoverageType, int]) -> None:
    rating = rate(request_, ())
    assert rating.rates == tuple(CoverageRate(coverage_type=t, net_rate=r) for t, r in rates.items())
    assert rating.work_state == request_.job.work_state(request_.contractor)
    assert (rating.residence_state, rating.category_code) == (request_.contractor.address.region, "jc_roofing")


def test_remote_work_is_rated_where_the_contractor_lives() -> None:
    rating = rate(asking(WORKERS_COMP, work="", home="NY", category=approved((WORKERS_COMP, "NY", 5))), ())
    assert (rating.work_state, rating.rates[0].net_rate) == ("NY", 5)


@pytest.mark.parametrize(
    ("request_", "error", "metadata"),
    [
        (asking(MEDIA), errors.InvalidFields, {"fields": "coverage_types"}),
        (asking(WORKERS_COMP, CYBER, work="OH"), errors.InvalidFields, {"fields": "coverage_types"}),
        (
            asking(GENERAL, MEDIA, home="HI"),
            errors.CoverageNotOffered,
            {"coverage_type": "GENERAL", "residence_state": "HI"},
        ),
        *(
            (asking(WORKERS_COMP, work=state, category=ROOFING), errors.WorkStateNotOffered, {"work_state": state})
            for state in ("ND", "OH", "WA", "WY")
        ),
        (asking(WORKERS_COMP, work="", home="WA"), errors.WorkStateNotOffered, {"work_state": "WA"}),
        (
            asking(GENERAL, PROFESSIONAL, WORKERS_COMP, category=ROOFING),
            errors.JobCategoryNotApproved,
            {"category_code": "jc_roofing", "work_state": "CA", "coverage_types": "GENERAL, PROFESSIONAL"},
        ),
        (
            asking(WORKERS_COMP, category=approved((WORKERS_COMP, "NY", 1))),
            errors.JobCategoryNotApproved,
            {"category_code": "jc_roofing", "work_state": "CA", "coverage_types": "WORKERS_COMP"},
        ),
    ],
)
def test_who_may_not_have_a_quote(request_: QuoteRequest, error: type[DomainError], metadata: dict[str, str]) -> None:
    with pytest.raises(error) as raised:
        rate(request_, [POLICY])
    assert raised.value.metadata == metadata


BOTH = replace(POLICY, id="pl_both", coverage_types=(GENERAL, WORKERS_COMP))


@pytest.mark.parametrize(
    ("request_", "policy", "refused"),
    [
        (asking(WORKERS_COMP), POLICY, True),
        (asking(WORKERS_COMP), BOTH, True),
        (asking(GENERAL, WORKERS_COMP), BOTH, True),
        (asking(GENERAL, WORKERS_COMP), POLICY, False),
        (asking(WORKERS_COMP, work="NY"), POLICY, False),
        (asking(WORKERS_COMP, home="NY"), POLICY, True),  # residence is for GENERAL
        (asking(GENERAL, home="NY"), BOTH, False),
        (asking(WORKERS_COMP), replace(POLICY, category_code="jc_other"), False),
        (asking(WORKERS_COMP), replace(POLICY, expire_time=utc("2023-12-06")), False),
        (asking(WORKERS_COMP), replace(POLICY, status=PolicyStatus.CANCELLED), False),
        (asking(WORKERS_COMP), replace(POLICY, status=PolicyStatus.PENDING), False),  # it may yet fail
    ],
)
def test_a_matching_policy_refuses_a_quote(request_: QuoteRequest, policy: Policy, refused: bool) -> None:
    if not refused:
        rate(request_, [policy])
        return
    with pytest.raises(errors.MatchingPolicyExists) as raised:
        rate(request_, [policy])
    assert raised.value.metadata == {"policy": policy.id}


QUOTE = Quote(
    id="qt_1",
    platform="pf_default",
    contractor="cn_jane",
    job="jb_roof",
    coverage_types=(GENERAL, WORKERS_COMP),
    effective_time=utc("2026-12-01 09:30"),
    end_time=utc("2026-12-20"),
    work_state="CA",
    residence_state="NV",
    category_code="jc_roofing",
    rates=(CoverageRate(coverage_type=GENERAL, net_rate=7), CoverageRate(coverage_type=WORKERS_COMP, net_rate=300)),
    create_time=NOW,
    expire_time=NOW + timedelta(days=30),
)
ISSUED = replace(QUOTE, status=QuoteStatus.ISSUED, policy="pl_1")
SECOND = timedelta(seconds=1)
END = QUOTE.expire_time


@pytest.mark.parametrize(
    ("quote", "now", "status"),
    [
        (QUOTE, NOW, QuoteStatus.OPEN),
        (QUOTE, END - SECOND, QuoteStatus.OPEN),
        (QUOTE, END, QuoteStatus.EXPIRED),
        (replace(QUOTE, applied_until=END + SECOND), END, QuoteStatus.OPEN),
        (replace(QUOTE, applied_until=END + SECOND), END + SECOND, QuoteStatus.EXPIRED),
        (replace(QUOTE, applied_until=NOW), END - SECOND, QuoteStatus.OPEN),
        (ISSUED, END, QuoteStatus.ISSUED),
    ],
)
def test_the_status_reads_off_the_clock(quote: Quote, now: Any, status: QuoteStatus) -> None:
    assert status_at(quote, now) is status


def test_only_an_open_quote_may_be_changed_and_applied_for() -> None:
    quoting.require_open(QUOTE, NOW)
    with pytest.raises(errors.QuoteNotOpen) as not_open:
        quoting.require_open(QUOTE, END)
    assert not_open.value.metadata == {"quote": "qt_1", "status": "EXPIRED"}
    with pytest.raises(errors.QuoteAlreadyIssued) as issued:
        quoting.require_open(ISSUED, NOW)
    assert issued.value.metadata == {"quote": "qt_1", "policy": "pl_1"}


def test_what_is_issued_is_what_was_quoted() -> None:
    assert issue(QUOTE, "ias_1", (), NOW) == Issue(
        bind=NewPolicy(
            coverage_types=(GENERAL, WORKERS_COMP),
            work_state="CA",
            residence_state="NV",
            category_code="jc_roofing",
            term=Period(utc("2026-12-01"), utc("2027-12-01")),
            net_rate=307,
            application_session="ias_1",
            origin=PolicyOrigin.QUOTE,
            quote="qt_1",
        )
    )


@pytest.mark.parametrize(
    ("completed", "start", "end"),
    [
        ("2026-11-22 12:00", "2026-12-01", "2027-12-01"),  # the quote's day is later
        ("2026-12-01 10:00", "2026-12-01", "2027-12-01"),
        ("2026-12-05 23:59", "2026-12-05", "2027-12-05"),  # the day of completion is later
        ("2028-02-29 08:00", "2028-02-29", "2029-03-01"),  # and the quote's period is over
    ],
)
def test_the_term_starts_on_the_later_day(completed: str, start: str, end: str) -> None:
    assert quoting.term(QUOTE, utc(completed)) == Period(utc(start), utc(end))


def test_the_term_reaches_the_quotes_end() -> None:
    long = replace(QUOTE, effective_time=utc("2026-12-01 12:00"), end_time=utc("2027-12-01 12:00"))
    assert quoting.term(long, NOW) == Period(utc("2026-12-01"), utc("2027-12-02"))


def policy(**changes: Any) -> Policy:
    """One that matches the quote."""
    fields: dict[str, Any] = {
        "coverage_types": (GENERAL, WORKERS_COMP),
        "residence_state": "NV",
        "effective_time": utc("2026-12-01"),
        "expire_time": utc("2027-12-01"),
    }
    return replace(POLICY, **fields | changes)


PENDING, DONE = PolicyStatus.PENDING, utc("2026-12-05 10:00")


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([policy()], "attach"),
        ([policy(effective_time=utc("2026-12-05"))], "attach"),  # what is left of the period
        ([policy(effective_time=utc("2026-12-06"))], "bind"),
        ([policy(expire_time=utc("2026-12-19"))], "bind"),
        ([policy(coverage_types=(WORKERS_COMP,))], "bind"),
        ([policy(residence_state="CA")], "bind"),
        ([policy(status=PolicyStatus.CANCELLED)], "bind"),
        ([policy(status=PENDING)], "awaits"),
        ([policy(status=PENDING), policy(id="pl_2")], "attach"),
        ([policy(status=PENDING, coverage_types=(WORKERS_COMP,), origin=PolicyOrigin.QUOTE, quote="qt_2")], "bind"),
        # The quote is being issued already, with whatever term.
        ([policy(status=PENDING, effective_time=utc("2026-12-06"), quote="qt_1"), policy(id="pl_2")], "awaits"),
        ([policy(status=PolicyStatus.FAILED, quote="qt_1")], "bind"),
    ],
)
def test_never_two_policies_where_one_would_do(policies: Sequence[Policy], expected: str) -> None:
    todo = issue(QUOTE, "ias_1", policies, DONE)
    assert [name for name in ("attach", "awaits", "bind") if getattr(todo, name)] == [expected]


def test_of_a_period_that_is_over_the_whole_counts() -> None:
    late = utc("2027-01-10 10:00")
    assert issue(QUOTE, "ias_1", [policy()], late).attach == policy()
    assert issue(QUOTE, "ias_1", [policy(effective_time=utc("2026-12-02"))], late).bind is not None


def test_a_quote_is_issued_once() -> None:
    assert quoting.issued(QUOTE, policy()) == ISSUED
    with pytest.raises(errors.QuoteAlreadyIssued):
        issue(ISSUED, "ias_2", (), NOW)


UNCOVERED = Binding(
    outcome=BindingOutcome.STANDARD_WORKFLOW,
    workflow=BindingWorkflow.STANDARD,
    reasons=(BindingReason.NO_GENERAL_OPT_IN,),
    standard_workflow_coverage_types=(GENERAL, WORKERS_COMP),
)


def waiting(binding: Binding = UNCOVERED, **changes: Any) -> Assignment:
    fields: dict[str, Any] = {
        "id": "an_1",
        "platform": "pf_default",
        "contractor": "cn_jane",
        "job": "jb_roof",
        "coverage_types": (GENERAL, WORKERS_COMP),
        "effective_time": utc("2026-12-02"),
        "end_time": utc("2026-12-04"),
        "work_state": "CA",
        "category_code": "jc_roofing",
        "binding": binding,
        "create_time": NOW,
        "status": AssignmentStatus.ACTIVE,
    }
    return Assignment(**fields | changes)


COVERED = replace(
    UNCOVERED,
    outcome=BindingOutcome.COVERAGE_BOUND,
    policies=("pl_1",),
    net_rate=300,
    standard_workflow_coverage_types=(),
)
BY_OPT_IN = Binding(
    outcome=BindingOutcome.COVERAGE_REUSED,
    workflow=BindingWorkflow.GENERAL_OPT_IN,
    application_session="ias_ca",
    policies=("pl_0",),
    net_rate=50,
    standard_workflow_coverage_types=(GENERAL, CYBER),
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (UNCOVERED, COVERED),
        (
            BY_OPT_IN,
            Binding(
                outcome=BindingOutcome.COVERAGE_BOUND,
                workflow=BindingWorkflow.STANDARD,
                policies=("pl_0", "pl_1"),
                net_rate=350,
                standard_workflow_coverage_types=(CYBER,),
            ),
        ),
        (
            replace(
                UNCOVERED,
                outcome=BindingOutcome.BINDING_FAILED,
                workflow=BindingWorkflow.GENERAL_OPT_IN,
                reasons=(BindingReason.CARRIER_DECLINED,),
            ),
            replace(COVERED, reasons=()),
        ),
    ],
)
def test_an_assignment_that_waited_gets_the_policy_for_what_it_lacks(before: Binding, after: Binding) -> None:
    kept = [policy(id=id_, coverage_types=(WORKERS_COMP,), net_rate=50) for id_ in before.policies]
    assert covered_too(waiting(before), kept, policy(), "NV", bound=True) == (
        after,
        Period(waiting().effective_time, waiting().end_time),
    )


def test_a_policy_that_was_there_is_reused() -> None:
    gained = covered_too(waiting(), (), policy(), "NV", bound=False)
    assert gained is not None
    assert gained[0] == replace(COVERED, outcome=BindingOutcome.COVERAGE_REUSED)


@pytest.mark.parametrize(
    ("assignment", "residence"),
    [
        (waiting(COVERED), "NV"),  # it lacks nothing
        (waiting(replace(BY_OPT_IN, outcome=BindingOutcome.BINDING_PENDING)), "NV"),  # its own decision comes first
        (waiting(replace(UNCOVERED, standard_workflow_coverage_types=(CYBER,))), "NV"),
        (waiting(end_time=utc("2027-12-02")), "NV"),
        (waiting(effective_time=utc("2026-11-30")), "NV"),
        (waiting(work_state="NY"), "NV"),
        (waiting(category_code="jc_other"), "NV"),
        (waiting(), "CA"),  # the policy covers GENERAL for a resident of Nevada
    ],
)
def test_what_the_policy_does_not_match_waits_on(assignment: Assignment, residence: str) -> None:
    assert covered_too(assignment, (), policy(), residence, bound=True) is None


def test_the_rest_of_an_extended_assignment_gets_a_policy_that_covers_it() -> None:
    """The one that covers its beginning stays; the new one need not reach back so far."""
    first = policy(id="pl_0", coverage_types=(GENERAL, WORKERS_COMP), expire_time=utc("2026-12-03"))
    extended = waiting(replace(UNCOVERED, policies=("pl_0",), net_rate=50))
    rest = policy(effective_time=utc("2026-12-03"))
    gained = covered_too(extended, [first], rest, "NV", bound=True)
    assert gained is not None
    assert (gained[0].policies, gained[0].net_rate, gained[1].start) == (("pl_0", "pl_1"), 350, utc("2026-12-03"))
    late = replace(rest, effective_time=utc("2026-12-03 01:00"))
    assert covered_too(extended, [first], late, "NV", bound=True) is None
