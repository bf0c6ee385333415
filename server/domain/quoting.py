"""Quotes: what they cost, who may have one, and what is issued when the application for one is complete (issue 4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from server.domain import anew, matching
from server.domain.decision import NewPolicy
from server.domain.enums import BindingOutcome, BindingReason, BindingWorkflow, CoverageType, PolicyOrigin, PolicyStatus
from server.domain.enums import QuoteStatus as Status
from server.domain.errors import (
    CoverageNotOffered,
    InvalidFields,
    JobCategoryNotApproved,
    MatchingPolicyExists,
    QuoteAlreadyIssued,
    QuoteNotOpen,
    Violation,
    WorkStateNotOffered,
)
from server.domain.matching import Need
from server.domain.records import (
    Approval,
    Assignment,
    Binding,
    Contractor,
    CoverageRate,
    Job,
    JobCategory,
    Policy,
    Quote,
)
from server.domain.states import is_offered
from server.domain.terms import Period, policy_term, start_of_day

TIME_TO_LIVE = timedelta(days=30)
"""Of a quote that nobody applies for."""

HAWAII = "HI"
WITH_GENERAL_ONLY = frozenset({CoverageType.MEDIA, CoverageType.CYBER})
"""Sold as parts of general liability, but for residents of Hawaii, who are not offered that."""

CARRIER_REASONS = frozenset({BindingReason.CARRIER_DECLINED, BindingReason.CARRIER_UNAVAILABLE})


@dataclass(frozen=True, kw_only=True, slots=True)
class QuoteRequest:
    """What a quote is asked for."""

    contractor: Contractor
    job: Job
    category: JobCategory
    coverage_types: tuple[CoverageType, ...]  # in the enum's order, without duplicates
    period: Period


@dataclass(frozen=True, kw_only=True, slots=True)
class Rating:
    """What a quote holds besides its request."""

    work_state: str
    residence_state: str
    category_code: str
    rates: tuple[CoverageRate, ...]


def status_at(quote: Quote, now: datetime) -> Status:
    """The status as it reads: an open quote past its time is EXPIRED, unless a session of it is open."""
    held = quote.applied_until is not None and quote.applied_until > now
    if quote.status is Status.OPEN and quote.expire_time <= now and not held:
        return Status.EXPIRED
    return quote.status


def require_unissued(quote: Quote) -> None:
    """Raises QuoteAlreadyIssued: one issue a quote."""
    if quote.status is Status.ISSUED:
        raise QuoteAlreadyIssued(quote=quote.id, policy=quote.policy)


def require_open(quote: Quote, now: datetime) -> None:
    """Raises QuoteAlreadyIssued or QuoteNotOpen unless the quote may be changed or applied for."""
    require_unissued(quote)
    status = status_at(quote, now)
    if status is not Status.OPEN:
        raise QuoteNotOpen(quote=quote.id, status=status.name)


def rate(request: QuoteRequest, policies: Iterable[Policy]) -> Rating:
    """The price of the types asked for, by the approvals that hold in the work state (spec 4).

    `policies`: the contractor's. Raises InvalidFields, CoverageNotOffered, WorkStateNotOffered,
    JobCategoryNotApproved, MatchingPolicyExists: the first that applies.
    """
    types, residence = request.coverage_types, request.contractor.address.region
    state = request.job.work_state(request.contractor)
    _require_offered(types, state, residence)
    rating = Rating(
        work_state=state, residence_state=residence, category_code=request.category.code, rates=_rates(request, state)
    )
    wanted = _need(types, rating, request.period)
    match = matching.best_match((p for p in policies if p.status is PolicyStatus.ACTIVE), wanted)
    if match is not None:
        raise MatchingPolicyExists(policy=match.id)
    return rating


def _require_offered(types: Sequence[CoverageType], work_state: str, residence: str) -> None:
    alone = WITH_GENERAL_ONLY.intersection(types) and CoverageType.GENERAL not in types
    if alone and residence != HAWAII:
        raise InvalidFields([Violation("coverage_types", "must have GENERAL where they have MEDIA or CYBER")])
    if CoverageType.GENERAL in types and residence == HAWAII:
        raise CoverageNotOffered(coverage_type=CoverageType.GENERAL.name, residence_state=residence)
    if CoverageType.WORKERS_COMP in types and not is_offered(work_state):
        raise WorkStateNotOffered(work_state=work_state)


def _rates(request: QuoteRequest, state: str) -> tuple[CoverageRate, ...]:
    approvals: dict[CoverageType, Approval | None] = {
        t: request.category.approval(t, state) for t in request.coverage_types
    }
    missing = [type_.name for type_, approval in approvals.items() if approval is None]
    if missing:
        raise JobCategoryNotApproved(
            category_code=request.category.code, work_state=state, coverage_types=", ".join(missing)
        )
    return tuple(
        CoverageRate(coverage_type=type_, net_rate=approval.net_rate)
        for type_, approval in approvals.items()
        if approval
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """What to do when an application for a quote is complete; exactly one is set."""

    attach: Policy | None = None  # it matches, so that no other is needed
    awaits: str = ""  # the policy that is being bound: whether it will do is not known yet
    bind: NewPolicy | None = None


def issue(quote: Quote, session_id: str, policies: Sequence[Policy], now: datetime) -> Issue:
    """`policies`: the contractor's. One issue a quote, and never two policies where one would do (spec 7).

    Raises QuoteAlreadyIssued.
    """
    require_unissued(quote)
    mine = next((p for p in policies if p.quote == quote.id and p.status is PolicyStatus.PENDING), None)
    match = mine or matching.best_match(policies, need(quote, now))
    if match is not None:
        return Issue(awaits=match.id) if match.status is PolicyStatus.PENDING else Issue(attach=match)
    return Issue(
        bind=NewPolicy(
            coverage_types=quote.coverage_types,
            work_state=quote.work_state,
            residence_state=quote.residence_state,
            category_code=quote.category_code,
            term=term(quote, now),
            net_rate=quote.net_rate,
            application_session=session_id,
            origin=PolicyOrigin.QUOTE,
            quote=quote.id,
        )
    )


def issued(quote: Quote, policy: Policy) -> Quote:
    return replace(quote, status=Status.ISSUED, policy=policy.id)


def term(quote: Quote, completed: datetime) -> Period:
    """As section 7 says, from the quote's effective day or the day of completion, whichever is later."""
    return policy_term(Period(_from(quote, completed), quote.end_time))


def need(quote: Quote, completed: datetime) -> Need:
    """What a policy must cover to do instead of a new one: what is left of the quote's period.

    Where nothing is left, the period as it was.
    """
    start = _from(quote, completed)
    start = start if start < quote.end_time else quote.effective_time
    rating = Rating(
        work_state=quote.work_state,
        residence_state=quote.residence_state,
        category_code=quote.category_code,
        rates=quote.rates,
    )
    return _need(quote.coverage_types, rating, Period(start, quote.end_time))


def covered_too(
    assignment: Assignment, kept: Sequence[Policy], policy: Policy, residence_state: str, *, bound: bool
) -> tuple[Binding, Period] | None:
    """The binding of an assignment that waited, with the policy that was issued for its job; None if it gains nothing.

    It gets the policy for the types that it asked for and that the policies it keeps do not cover to its end; also the
    period for which the policy covers them. `bound`: the policy is new.
    """
    before = assignment.binding
    gained = set(before.standard_workflow_coverage_types).intersection(policy.coverage_types)
    wanted = anew.gap(assignment, kept, gained)
    if wanted is None or before.outcome is BindingOutcome.BINDING_PENDING:
        return None
    types = frozenset(wanted.coverage_types)
    need = Need(
        types=types,
        wished=types,
        work_state=assignment.work_state,
        residence_state=residence_state,
        category_code=assignment.category_code,
        period=wanted.period,
    )
    if not matching.matches(policy, need):
        return None
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_BOUND if bound else BindingOutcome.COVERAGE_REUSED,
        workflow=BindingWorkflow.STANDARD,
        policies=(*before.policies, policy.id),
        reasons=tuple(reason for reason in before.reasons if reason not in CARRIER_REASONS),
        net_rate=before.net_rate + policy.net_rate,
        standard_workflow_coverage_types=matching.residual(before.standard_workflow_coverage_types, types),
    )
    return binding, wanted.period


def _from(quote: Quote, completed: datetime) -> datetime:
    return max(quote.effective_time, start_of_day(completed))


def _need(types: Iterable[CoverageType], rating: Rating, period: Period) -> Need:
    types = frozenset(types)
    return Need(
        types=types,
        wished=types,
        work_state=rating.work_state,
        residence_state=rating.residence_state,
        category_code=rating.category_code,
        period=period,
    )
