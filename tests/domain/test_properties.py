"""What holds for every decision, whatever the facts (spec 6 and 7)."""

from collections import ChainMap
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from server.domain.decision import AssignmentRequest, Facts, decide, find_opt_in
from server.domain.enums import (
    ApplicationSessionStatus,
    BindingOutcome,
    BindingReason,
    BindingWorkflow,
    CoverageType,
    PolicyStatus,
)
from server.domain.errors import InvalidFields
from server.domain.matching import Need, matches
from server.domain.records import Address, ApplicationSession, Approval, Policy
from server.domain.terms import EARLIEST, Period, assignment_period, policy_term, start_of_day, years_after
from tests.domain.given import (
    FACTS,
    JANE,
    JOB,
    LONG_AGO,
    NEW_SESSION,
    NOW,
    OPT_IN,
    POLICY,
    REQUEST,
    ROOFING,
    issued,
    utc,
)

COMPLETE = ApplicationSessionStatus.APPLICATION_COMPLETE
WORKERS_COMP, GENERAL, CYBER = CoverageType.WORKERS_COMP, CoverageType.GENERAL, CoverageType.CYBER

World = tuple[AssignmentRequest, Facts]

# A slow machine is no failure.
relaxed = settings(deadline=None)


def times(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    return st.timedeltas(timedelta(0), last - first).map(first.__add__)


@st.composite
def periods(draw: st.DrawFn) -> Period:
    """Any period that an assignment may have."""
    start = draw(times(EARLIEST, utc("2031-01-01")))
    end = draw(times(start + timedelta(microseconds=1), years_after(start)))
    return Period(start, end)


# The facts, near to what is eligible and to what matches, so that every outcome is common.

states = st.sampled_from(["CA", "CA", "CA", "NY", "OH"])
addresses = st.builds(Address, region=states)
withheld = st.sampled_from([None, False, True])
type_lists = st.sampled_from([(WORKERS_COMP,), (WORKERS_COMP, GENERAL), (GENERAL, CYBER, WORKERS_COMP), (GENERAL,), ()])
approvals = st.builds(
    Approval,
    coverage_type=st.sampled_from([WORKERS_COMP, WORKERS_COMP, GENERAL]),
    state=st.sampled_from(["", "CA", "NY"]),
    net_rate=st.integers(1, 999),
    approve_time=st.just(LONG_AGO),
)


@st.composite
def opt_ins(draw: st.DrawFn) -> list[ApplicationSession]:
    return [
        replace(
            NEW_SESSION,
            id=f"ias_{number}",
            work_state=draw(states),
            status=(status := draw(st.sampled_from([COMPLETE, COMPLETE, *ApplicationSessionStatus]))),
            complete_time=draw(times(LONG_AGO, NOW)) if status is COMPLETE else None,
        )
        for number in range(draw(st.integers(0, 3)))
    ]


@st.composite
def policies(draw: st.DrawFn, period: Period) -> list[Policy]:
    """Policies that match an assignment in CA, but for what is varied."""
    term = policy_term(period)
    fits = replace(POLICY, effective_time=term.start, expire_time=term.end)
    variations: list[dict[str, Any]] = [
        *({"status": status} for status in PolicyStatus),
        {"coverage_types": (GENERAL,)},
        {"coverage_types": (WORKERS_COMP, GENERAL)},
        {"work_state": "NY"},
        {"residence_state": "NY"},
        {"category_code": "jc_driving"},
        {"effective_time": period.start, "expire_time": period.end},
        {"effective_time": period.end, "expire_time": period.end + timedelta(days=365)},
    ]
    varied = draw(st.lists(st.lists(st.sampled_from(variations), max_size=2), max_size=3))
    return [
        replace(fits, id=f"pl_{number}", number=number, net_rate=100 + number, **dict(ChainMap(*changes)))
        for number, changes in enumerate(varied, 1)
    ]


@st.composite
def any_worlds(draw: st.DrawFn) -> World:
    period = draw(periods())
    return (
        replace(REQUEST, coverage_types=draw(type_lists), period=period),
        Facts(
            contractor=replace(JANE, address=draw(addresses), withhold_premium=draw(withheld)),
            job=replace(JOB, address=draw(st.none() | addresses), withhold_premium=draw(withheld)),
            category=replace(ROOFING, approvals=tuple(draw(st.lists(approvals, max_size=3)))),
            opt_ins=draw(opt_ins()),
            policies=draw(policies(period)),
            platform_withholds=draw(st.booleans()),
        ),
    )


def eligible(request: AssignmentRequest, facts: Facts) -> World:
    """The same, with what makes it eligible."""
    types = tuple(dict.fromkeys([*request.coverage_types, WORKERS_COMP]))
    return replace(request, coverage_types=types), replace(
        facts, job=JOB, category=ROOFING, opt_ins=[*facts.opt_ins, OPT_IN], platform_withholds=True
    )


worlds = any_worlds() | any_worlds().map(lambda world: eligible(*world))

# The specification's words, said a second time and more simply.


def complete_in(facts: Facts) -> set[str]:
    return {session.work_state for session in facts.opt_ins if session.status is COMPLETE}


def begun_in(facts: Facts) -> set[str]:
    return {session.work_state for session in facts.opt_ins}


def is_approved(facts: Facts) -> bool:
    return any(
        approval.coverage_type is WORKERS_COMP and approval.state in ("", facts.work_state)
        for approval in facts.category.approvals
    )


FAILS: dict[BindingReason, Callable[[AssignmentRequest, Facts], bool]] = {
    BindingReason.WORKERS_COMP_NOT_REQUESTED: lambda request, facts: WORKERS_COMP not in request.coverage_types,
    BindingReason.NO_GENERAL_OPT_IN: lambda request, facts: (
        facts.work_state not in begun_in(facts) and not complete_in(facts)
    ),
    BindingReason.OPT_IN_NOT_COMPLETE: lambda request, facts: facts.work_state in begun_in(facts) - complete_in(facts),
    BindingReason.WORK_STATE_MISMATCH: lambda request, facts: (
        facts.work_state not in begun_in(facts) and bool(complete_in(facts))
    ),
    BindingReason.JOB_CATEGORY_NOT_APPROVED: lambda request, facts: not is_approved(facts),
    BindingReason.PREMIUM_NOT_WITHHELD: lambda request, facts: (
        True not in (facts.platform_withholds, facts.contractor.withhold_premium, facts.job.withhold_premium)
    ),
    BindingReason.WORK_STATE_NOT_OFFERED: lambda request, facts: facts.work_state in ("ND", "OH", "WA", "WY"),
}


def failing(request: AssignmentRequest, facts: Facts) -> tuple[BindingReason, ...]:
    return tuple(reason for reason, fails in FAILS.items() if fails(request, facts))


def fitting(request: AssignmentRequest, facts: Facts) -> list[Policy]:
    """The policies that match: for the opt-in workers' compensation, otherwise all that was requested."""
    wished = frozenset(request.coverage_types)
    need = Need(
        types=wished if failing(request, facts) else frozenset({WORKERS_COMP}),
        wished=wished,
        work_state=facts.work_state,
        residence_state=facts.contractor.address.region,
        category_code=facts.job.category_code,
        period=request.period,
    )
    return [policy for policy in facts.policies if matches(policy, need)]


# The properties.


@relaxed
@given(worlds, st.randoms(use_true_random=False))
def test_the_same_facts_in_any_order_give_the_same_decision(world: World, random: Random) -> None:
    request, facts = world
    shuffled = replace(
        facts,
        opt_ins=random.sample(facts.opt_ins, len(facts.opt_ins)),
        policies=random.sample(facts.policies, len(facts.policies)),
    )
    assert decide(request, facts, NOW) == decide(request, facts, NOW) == decide(request, shuffled, NOW)


@relaxed
@given(worlds)
def test_every_failing_condition_has_its_reason_and_every_reason_its_condition_in_enum_order(world: World) -> None:
    binding = decide(*world, NOW).binding
    assert binding.reasons == failing(*world)
    assert list(binding.reasons) == sorted(binding.reasons)


@relaxed
@given(worlds)
def test_a_match_is_reused_whenever_there_is_one(world: World) -> None:
    decision = decide(*world, NOW)
    found = {policy.id: policy for policy in fitting(*world)}
    event(decision.binding.outcome.name)
    assert (decision.binding.outcome is BindingOutcome.COVERAGE_REUSED) == bool(found)
    if found:
        [reused] = decision.binding.policies
        assert decision.binding.net_rate == found[reused].net_rate
        assert bool(decision.awaits) == all(policy.status is PolicyStatus.PENDING for policy in found.values())
        assert decision.awaits in ("", reused)


@relaxed
@given(worlds)
def test_a_policy_is_bound_only_when_eligible_and_nothing_matches(world: World) -> None:
    decision = decide(*world, NOW)
    binds = not failing(*world) and not fitting(*world)
    assert (decision.bind is not None) == binds
    assert (decision.binding.outcome is BindingOutcome.COVERAGE_BOUND) == binds


@relaxed
@given(worlds)
def test_the_workflow_is_the_opt_ins_exactly_when_eligible(world: World) -> None:
    request, facts = world
    binding = decide(request, facts, NOW).binding
    session, _ = find_opt_in(facts.opt_ins, facts.work_state, NOW)
    if failing(request, facts):
        assert (binding.workflow, binding.application_session) == (BindingWorkflow.STANDARD, "")
    else:
        assert session is not None
        assert (binding.workflow, binding.application_session) == (BindingWorkflow.GENERAL_OPT_IN, session.id)


@relaxed
@given(worlds)
def test_the_residual_types_are_those_requested_and_not_covered(world: World) -> None:
    request, facts = world
    decision = decide(request, facts, NOW)
    covered = {type_ for p in facts.policies if p.id in decision.binding.policies for type_ in p.coverage_types}
    if decision.bind:
        covered.update(decision.bind.coverage_types)
    left = tuple(type_ for type_ in request.coverage_types if type_ not in covered)
    assert decision.binding.standard_workflow_coverage_types == left


@relaxed
@given(periods())
def test_the_policy_bound_for_any_period_matches_the_assignment(period: Period) -> None:
    request = replace(REQUEST, period=period)
    wanted = decide(request, FACTS, NOW).bind
    assert wanted is not None
    assert wanted.term.contains(period)
    policy = issued(wanted)
    assert decide(request, replace(FACTS, policies=[policy]), NOW).binding.policies == (policy.id,)


@relaxed
@given(worlds)
def test_the_policy_bound_serves_the_next_assignment_like_it(world: World) -> None:
    request, facts = eligible(*world)
    facts = replace(facts, policies=[p for p in facts.policies if p not in fitting(request, facts)])
    decision = decide(request, facts, NOW)
    assert decision.bind is not None
    policy = issued(decision.bind)
    again = decide(request, replace(facts, policies=[*facts.policies, policy]), NOW)
    assert again.binding == replace(
        decision.binding, outcome=BindingOutcome.COVERAGE_REUSED, policies=(policy.id,), net_rate=policy.net_rate
    )


@relaxed
@given(periods())
def test_a_term_is_whole_days_a_year_at_least_and_no_day_more_than_needed(period: Period) -> None:
    term = policy_term(period)
    assert (term.start, term.end) == (start_of_day(term.start), start_of_day(term.end))
    assert timedelta(0) <= period.start - term.start < timedelta(days=1)
    assert term.end >= years_after(term.start)
    assert term.end == years_after(term.start) or timedelta(0) <= term.end - period.end < timedelta(days=1)


@relaxed
@given(opt_ins(), states)
def test_there_is_an_opt_in_or_exactly_one_reason_why_not(sessions: list[ApplicationSession], state: str) -> None:
    session, reason = find_opt_in(sessions, state, NOW)
    assert (session is None) == (reason is not None)
    if session is not None:
        assert session.work_state == state
        assert session.status is COMPLETE


dates = st.one_of(
    st.none(),
    st.datetimes(timezones=st.just(UTC)),
    times(utc("1999-12-01"), utc("2032-01-01")),
    times(NOW - timedelta(days=9), NOW + timedelta(days=9)),
)


@relaxed
@given(dates, dates, st.booleans())
def test_any_dates_give_a_period_or_field_errors(
    start: datetime | None, end: datetime | None, past_allowed: bool
) -> None:
    try:
        period = assignment_period(start, end, NOW, past_allowed=past_allowed)
    except InvalidFields as error:
        fields = {violation.field for violation in error.violations}
    else:
        fields = set()
        assert (start or period.start, end or period.end) == (period.start, period.end)
        assert period.start < period.end <= years_after(period.start)
    event(", ".join(sorted(fields)) or "a period")
    assert fields <= {"effective_time", "end_time"}
