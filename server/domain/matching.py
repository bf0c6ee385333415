"""Which policy covers an assignment (spec 7)."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime

from server.domain.enums import CoverageType, PolicyStatus
from server.domain.records import Contractor, Policy
from server.domain.terms import Period


@dataclass(frozen=True, kw_only=True, slots=True)
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

    def rank(policy: Policy) -> tuple[bool, int, datetime, int]:
        covered = len(wanted.wished.intersection(policy.coverage_types))
        return policy.status is not PolicyStatus.PENDING, covered, policy.expire_time, policy.number

    return max(fitting, key=rank, default=None)


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
        and Period(policy.effective_time, policy.expire_time).contains(wanted.period)
    )


def status_at(policy: Policy, now: datetime) -> PolicyStatus:
    """The status as it reads: an active policy past its term is EXPIRED, and nothing has to run (spec 3)."""
    if policy.status is PolicyStatus.ACTIVE and policy.expire_time <= now:
        return PolicyStatus.EXPIRED
    return policy.status


def residual(requested: Iterable[CoverageType], covered: Set[CoverageType]) -> tuple[CoverageType, ...]:
    """The requested types that the policies leave to the standard workflow."""
    return tuple(t for t in requested if t not in covered)
