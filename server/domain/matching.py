"""Which policy covers an assignment (spec 7)."""

from collections.abc import Iterable, Set
from datetime import datetime

from server.domain.enums import CoverageType, PolicyStatus
from server.domain.record import record
from server.domain.records import Contractor, Policy
from server.domain.terms import Period


@record(frozen=True, kw_only=True, slots=True)
class Need:
    """What an assignment asks of a policy. The contractor's policies are matched, so its platform's too."""

    types: frozenset[CoverageType]  # those that must be covered
    wished: frozenset[CoverageType]  # all that were requested: covering more of them is better
    work_state: str
    residence_state: str
    category_code: str
    period: Period


def need(
    types: Iterable[CoverageType],
    wished: Iterable[CoverageType],
    contractor: Contractor,
    work_state: str,
    category_code: str,
    period: Period,
) -> Need:
    return Need(
        types=frozenset(types),
        wished=frozenset(wished),
        work_state=work_state,
        residence_state=contractor.address.region,
        category_code=category_code,
        period=period,
    )


def best_match(policies: Iterable[Policy], wanted: Need) -> Policy | None:
    """The issued policy to use, else the one that is being bound, else None.

    Of several: the one that covers most of the requested types, then expires last, then the newest.
    """
    fitting = [p for p in policies if matches(p, wanted)]
    if len(fitting) < 2:
        return fitting[0] if fitting else None

    def rank(policy: Policy) -> tuple[bool, int, datetime, int]:
        covered = len(wanted.wished.intersection(policy.coverage_types))
        return policy.status is not PolicyStatus.PENDING, covered, policy.end, policy.number

    return max(fitting, key=rank)


def matches(policy: Policy, wanted: Need) -> bool:
    """Whether the policy covers the assignment; the clock plays no part."""
    covers = policy.coverage_types
    return (
        policy.status in (PolicyStatus.ACTIVE, PolicyStatus.PENDING)
        and policy.category_code == wanted.category_code
        and bool(wanted.types)
        and wanted.types.issubset(covers)
        and (CoverageType.WORKERS_COMP not in covers or policy.work_state == wanted.work_state)
        and (CoverageType.GENERAL not in covers or policy.residence_state == wanted.residence_state)
        and policy.effective_time <= wanted.period.start
        and wanted.period.end <= policy.end
    )


def status_at(policy: Policy, now: datetime) -> PolicyStatus:
    """The status as it reads: an active policy whose end has come is CANCELLED or EXPIRED, and nothing has to run."""
    if policy.status is PolicyStatus.ACTIVE and policy.end <= now:
        return PolicyStatus.EXPIRED if policy.cancel_time is None else PolicyStatus.CANCELLED
    return policy.status


def in_its_place(policy: Policy, others: Iterable[Policy], now: datetime) -> Policy | None:
    """Another policy that would do for what is left of the policy's term: same category, state and types."""
    start = max(policy.effective_time, now)
    for other in others:
        wanted = Need(
            types=frozenset(policy.coverage_types),
            wished=frozenset(policy.coverage_types),
            work_state=policy.work_state,
            residence_state=policy.residence_state,
            category_code=policy.category_code,
            period=Period(other.effective_time, other.end),
        )
        overlaps = other.effective_time < policy.expire_time and start < other.end
        if other.id != policy.id and overlaps and matches(other, wanted):
            return other
    return None


def residual(requested: Iterable[CoverageType], covered: Set[CoverageType]) -> tuple[CoverageType, ...]:
    """The requested types that the policies leave to the standard workflow."""
    return tuple(t for t in requested if t not in covered)
