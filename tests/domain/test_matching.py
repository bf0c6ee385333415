"""Which policy covers an assignment (spec 7)."""

from dataclasses import dataclass, replace
from datetime import timedelta
from operator import attrgetter

import pytest

from server.domain.enums import CoverageType, PolicyOrigin, PolicyStatus
from server.domain.matching import Need, best_match, in_its_place, matches, need, residual, status_at
from server.domain.records import Address, Policy
from server.domain.terms import Period
from tests.domain.given import JANE, PERIOD, POLICY, utc

WORKERS_COMP, GENERAL, CYBER = CoverageType.WORKERS_COMP, CoverageType.GENERAL, CoverageType.CYBER
TICK = timedelta(microseconds=1)

NEED = Need(
    types=frozenset({WORKERS_COMP}),
    wished=frozenset({WORKERS_COMP}),
    work_state="CA",
    residence_state="CA",
    category_code="jc_roofing",
    period=PERIOD,
)
NEEDS_GENERAL = replace(NEED, types=frozenset({GENERAL}), wished=frozenset({GENERAL}))
NEEDS_CYBER = replace(NEED, types=frozenset({CYBER}), wished=frozenset({CYBER}))
GENERAL_POLICY = replace(POLICY, coverage_types=(GENERAL,))
CYBER_POLICY = replace(POLICY, coverage_types=(CYBER,))
BOTH_POLICY = replace(POLICY, coverage_types=(GENERAL, WORKERS_COMP))


@dataclass(frozen=True)
class Case:
    sentence: str
    policy: Policy
    fits: bool
    need: Need = NEED


CASES = [
    *(
        Case(f"it was issued, or is being bound, and is neither cancelled nor failed: {status.name}", policy, fits)
        for status, fits in {
            PolicyStatus.PENDING: True,
            PolicyStatus.ACTIVE: True,
            PolicyStatus.CANCELLED: False,
            PolicyStatus.FAILED: False,
        }.items()
        for policy in [replace(POLICY, status=status)]
    ),
    Case("of any origin", replace(POLICY, origin=PolicyOrigin.QUOTE), True),
    Case("has another category", replace(POLICY, category_code="jc_driving"), False),
    Case("covers the type asked for", POLICY, True),
    Case("covers more than the type asked for", BOTH_POLICY, True),
    Case("covers another type", POLICY, False, NEEDS_GENERAL),
    Case("covers one of two types", POLICY, False, replace(NEED, types=frozenset({WORKERS_COMP, GENERAL}))),
    Case("covers both types", BOTH_POLICY, True, replace(NEED, types=frozenset({WORKERS_COMP, GENERAL}))),
    Case("nothing is asked for", POLICY, False, replace(NEED, types=frozenset())),
    Case("another work state, covers WORKERS_COMP", replace(POLICY, work_state="NY"), False),
    Case("another work state, covers WORKERS_COMP too", replace(BOTH_POLICY, work_state="NY"), False, NEEDS_GENERAL),
    Case("another work state, covers GENERAL", replace(GENERAL_POLICY, work_state="NY"), True, NEEDS_GENERAL),
    Case("another residence state, covers WORKERS_COMP", replace(POLICY, residence_state="NY"), True),
    Case(
        "another residence state, covers GENERAL", replace(GENERAL_POLICY, residence_state="NY"), False, NEEDS_GENERAL
    ),
    Case("another residence state, covers GENERAL too", replace(BOTH_POLICY, residence_state="NY"), False),
    Case(
        "other states, covers neither WORKERS_COMP nor GENERAL",
        replace(CYBER_POLICY, work_state="NY", residence_state="NY"),
        True,
        NEEDS_CYBER,
    ),
    Case("its term is the period", replace(POLICY, effective_time=PERIOD.start, expire_time=PERIOD.end), True),
    Case("its term starts later", replace(POLICY, effective_time=PERIOD.start + TICK), False),
    Case("its term ends sooner", replace(POLICY, expire_time=PERIOD.end - TICK), False),
    Case("it is cancelled to end with it", replace(POLICY, cancel_time=PERIOD.end), True),
    Case("it is cancelled to end sooner", replace(POLICY, cancel_time=PERIOD.end - TICK), False),
]


@pytest.mark.parametrize("case", CASES, ids=[case.sentence for case in CASES])
def test_a_policy_matches_an_assignment_when(case: Case) -> None:
    assert matches(case.policy, case.need) is case.fits


@pytest.mark.parametrize(
    ("better", "worse", "wished"),
    [
        pytest.param(
            replace(BOTH_POLICY, id="pl_9"),
            replace(POLICY, number=2, expire_time=utc("2030-01-01")),
            {WORKERS_COMP, GENERAL},
            id="the one that covers most of the requested types",
        ),
        pytest.param(
            replace(POLICY, id="pl_9", expire_time=utc("2024-12-04")),
            replace(BOTH_POLICY, number=2),
            {WORKERS_COMP},
            id="then the one that expires last (types that were not requested count for nothing)",
        ),
        pytest.param(replace(POLICY, id="pl_9", number=10), replace(POLICY, number=9), {WORKERS_COMP}, id="the newest"),
        pytest.param(
            replace(POLICY, id="pl_9"),
            replace(BOTH_POLICY, status=PolicyStatus.PENDING, number=2, expire_time=utc("2030-01-01")),
            {WORKERS_COMP, GENERAL},
            id="before all, one that was issued: only then one that is being bound",
        ),
    ],
)
def test_of_several_policies_the_best_is_taken(better: Policy, worse: Policy, wished: set[CoverageType]) -> None:
    wanted = replace(NEED, wished=frozenset(wished))
    assert best_match([better, worse], wanted) == better
    assert best_match([worse, better], wanted) == better


def test_without_a_matching_policy_there_is_none() -> None:
    assert best_match([], NEED) is None
    assert best_match([CYBER_POLICY], NEED) is None


def test_a_need_takes_the_residence_from_the_contractor() -> None:
    lives_in_ny = replace(JANE, address=Address(region="NY"))
    assert need([GENERAL], [GENERAL, CYBER], lives_in_ny, "CA", "jc_roofing", PERIOD) == Need(
        types=frozenset({GENERAL}),
        wished=frozenset({GENERAL, CYBER}),
        work_state="CA",
        residence_state="NY",
        category_code="jc_roofing",
        period=PERIOD,
    )


@pytest.mark.parametrize("status", PolicyStatus, ids=attrgetter("name"))
def test_an_active_policy_past_its_term_reads_as_expired(status: PolicyStatus) -> None:
    policy = replace(POLICY, status=status)
    past_term = PolicyStatus.EXPIRED if status is PolicyStatus.ACTIVE else status
    assert status_at(policy, policy.expire_time - TICK) is status
    assert status_at(policy, policy.expire_time) is past_term


def test_a_policy_is_active_until_its_cancellation_takes_effect() -> None:
    ends = utc("2024-01-01")
    policy = replace(POLICY, cancel_time=ends)
    assert status_at(policy, ends - TICK) is PolicyStatus.ACTIVE
    assert status_at(policy, ends) is PolicyStatus.CANCELLED
    assert status_at(policy, policy.expire_time) is PolicyStatus.CANCELLED


ENDED = replace(POLICY, id="pl_9", status=PolicyStatus.CANCELLED, cancel_time=utc("2024-01-01"))
IN_TERM = utc("2024-03-01")


@pytest.mark.parametrize(
    ("other", "would_do"),
    [
        (POLICY, True),
        (replace(POLICY, status=PolicyStatus.PENDING), True),
        (BOTH_POLICY, True),
        (replace(POLICY, residence_state="NY"), True),
        (replace(POLICY, effective_time=utc("2024-12-02"), expire_time=utc("2025-12-02")), True),
        (replace(POLICY, effective_time=ENDED.expire_time, expire_time=utc("2025-12-02")), False),
        (replace(POLICY, expire_time=IN_TERM), False),
        (replace(POLICY, cancel_time=IN_TERM), False),
        (replace(POLICY, status=PolicyStatus.CANCELLED), False),
        (replace(POLICY, status=PolicyStatus.FAILED), False),
        (replace(POLICY, work_state="NY"), False),
        (replace(POLICY, category_code="jc_driving"), False),
        (GENERAL_POLICY, False),
        (replace(POLICY, id="pl_9"), False),
    ],
)
def test_a_policy_in_the_place_of_one_that_ended(other: Policy, would_do: bool) -> None:
    assert in_its_place(ENDED, [CYBER_POLICY, other], IN_TERM) == (other if would_do else None)


def test_the_residual_types_keep_their_order() -> None:
    assert residual([GENERAL, WORKERS_COMP, CYBER], {WORKERS_COMP}) == (GENERAL, CYBER)
    assert residual([WORKERS_COMP], {WORKERS_COMP, GENERAL}) == ()


def test_a_period_is_half_open_and_contains_itself() -> None:
    assert PERIOD.contains(PERIOD)
    assert not PERIOD.contains(Period(PERIOD.start - TICK, PERIOD.end))
    assert not PERIOD.contains(Period(PERIOD.start, PERIOD.end + TICK))
