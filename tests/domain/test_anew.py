"""Deciding anew: what earlier policies leave over, and what another one may cover (issue 4, item 5)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from server.domain.anew import as_it_was, covered_until, joined, left_over, not_bound, reuse
from server.domain.enums import (
    BindingOutcome,
    BindingReason,
    BindingWorkflow,
    CoverageType,
    PolicyStatus,
)
from server.domain.records import Address, Assignment, Binding, Policy
from server.domain.terms import Period
from tests.domain.given import FACTS, JANE, JOB, NOW, OPT_IN, POLICY, utc

GENERAL, WORKERS_COMP, CYBER = CoverageType.GENERAL, CoverageType.WORKERS_COMP, CoverageType.CYBER
START, END = utc("2024-11-20"), utc("2024-12-01")  # in the last days of POLICY's term
LATER = utc("2025-02-01")
COMP = replace(POLICY, net_rate=300)
LIABILITY = replace(POLICY, id="pl_2", number=2, coverage_types=(GENERAL,), net_rate=40)
NEXT = replace(POLICY, id="pl_3", number=3, effective_time=POLICY.expire_time, expire_time=utc("2025-12-03"))
BOTH = replace(POLICY, id="pl_4", number=4, coverage_types=(GENERAL, WORKERS_COMP), net_rate=330)
REUSED = Binding(
    outcome=BindingOutcome.COVERAGE_REUSED,
    workflow=BindingWorkflow.GENERAL_OPT_IN,
    policies=("pl_1",),
    application_session=OPT_IN.id,
    net_rate=300,
)


def assignment(*types: CoverageType, **changes: object) -> Assignment:
    made = Assignment(
        id="an_1",
        platform="pf_default",
        contractor="cn_jane",
        job="jb_roof",
        coverage_types=types or (WORKERS_COMP,),
        effective_time=START,
        end_time=END,
        work_state="CA",
        category_code="jc_roofing",
        binding=REUSED,
        create_time=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policies", "until"),
    [
        ([], START),
        ([LIABILITY], START),
        ([COMP], COMP.expire_time),
        ([NEXT, COMP], NEXT.expire_time),
        ([NEXT], START),
        ([COMP, replace(NEXT, effective_time=utc("2024-12-04"))], COMP.expire_time),  # a gap of a day
        ([replace(COMP, cancel_time=utc("2024-11-25"))], utc("2024-11-25")),
        ([replace(COMP, cancel_time=utc("2024-11-01"))], START),
        ([replace(COMP, expire_time=START)], START),
    ],
)
def test_cover_reaches_as_far_as_there_is_no_gap(policies: Sequence[Policy], until: datetime) -> None:
    assert covered_until(WORKERS_COMP, policies, START) == until


@pytest.mark.parametrize(
    ("policies", "end", "types", "start"),
    [
        ([COMP, LIABILITY], COMP.expire_time, None, None),
        ([COMP, LIABILITY], LATER, (GENERAL, WORKERS_COMP), COMP.expire_time),
        ([COMP, LIABILITY, NEXT], LATER, (GENERAL,), LIABILITY.expire_time),
        ([COMP], END, (GENERAL,), START),
        # All of it from where the first one stops, so that nothing is left out.
        ([COMP, replace(LIABILITY, expire_time=END)], LATER, (GENERAL, WORKERS_COMP), END),
    ],
)
def test_what_the_policies_leave_over(
    policies: Sequence[Policy], end: datetime, types: Sequence[CoverageType] | None, start: datetime | None
) -> None:
    left = left_over(assignment(), policies, (WORKERS_COMP, GENERAL), end)
    if types is None:
        assert left is None
        return
    assert left is not None
    assert (left.contractor, left.job) == ("cn_jane", "jb_roof")
    assert (left.coverage_types, left.period) == (types, Period(start or END, end))


def test_nothing_is_left_of_no_types() -> None:
    assert left_over(assignment(), [], (), END) is None


def test_a_job_is_as_it_was_whatever_became_of_it() -> None:
    moved = replace(JOB, category_code="jc_other", address=Address(region="NY", line1="1 Main St"))
    was = as_it_was(assignment(), moved, JANE)
    assert (was.work_state(JANE), was.category_code) == ("CA", "jc_roofing")
    in_ny = replace(JANE, address=Address(region="NY"))
    assert as_it_was(assignment(), replace(JOB, address=None), in_ny).work_state(in_ny) == "CA"


@pytest.mark.parametrize(
    ("types", "kept", "live", "expected"),
    [
        pytest.param(
            (WORKERS_COMP,), [], [BOTH], replace(REUSED, policies=("pl_4",), net_rate=330), id="another policy has it"
        ),
        pytest.param(
            (WORKERS_COMP,),
            [],
            [],
            Binding(
                outcome=BindingOutcome.STANDARD_WORKFLOW,
                workflow=BindingWorkflow.STANDARD,
                standard_workflow_coverage_types=(WORKERS_COMP,),
            ),
            id="none is bound, though the opt-in applies",
        ),
        pytest.param(
            (WORKERS_COMP,),
            [],
            [replace(BOTH, status=PolicyStatus.PENDING)],
            Binding(
                outcome=BindingOutcome.STANDARD_WORKFLOW,
                workflow=BindingWorkflow.STANDARD,
                standard_workflow_coverage_types=(WORKERS_COMP,),
            ),
            id="one that is being bound may come to nothing",
        ),
        pytest.param(
            (WORKERS_COMP,),
            [LIABILITY],
            [LIABILITY],
            Binding(
                outcome=BindingOutcome.STANDARD_WORKFLOW,
                workflow=BindingWorkflow.STANDARD,
                policies=("pl_2",),
                net_rate=40,
                standard_workflow_coverage_types=(WORKERS_COMP,),
            ),
            id="what is kept stays",
        ),
        pytest.param(
            (GENERAL,),
            [COMP],
            [COMP, LIABILITY],
            Binding(
                outcome=BindingOutcome.COVERAGE_REUSED,
                workflow=BindingWorkflow.STANDARD,
                policies=("pl_1", "pl_2"),
                net_rate=340,
            ),
            id="why the opt-in does not apply is beside the point where it has covered what it covers",
        ),
        pytest.param(
            (GENERAL, WORKERS_COMP), [BOTH], [], replace(REUSED, policies=("pl_4",), net_rate=330), id="kept ones do"
        ),
    ],
)
def test_another_policy_is_reused_and_none_is_bound(
    types: tuple[CoverageType, ...], kept: Sequence[Policy], live: Sequence[Policy], expected: Binding
) -> None:
    about = assignment(GENERAL, WORKERS_COMP)
    binding, start = reuse(about, kept, types, replace(FACTS, policies=live), NOW)
    assert (binding, start) == (expected, START)


def test_only_the_rest_of_an_extended_assignment_is_decided() -> None:
    extended = assignment(end_time=LATER, binding=replace(REUSED, policies=("pl_1", "pl_9"), net_rate=600))
    binding, start = reuse(extended, [COMP], (WORKERS_COMP,), replace(FACTS, policies=(COMP, NEXT)), NOW)
    assert (binding.policies, binding.net_rate, start) == (("pl_1", "pl_3"), 600, COMP.expire_time)


def test_a_policy_that_is_kept_counts_once() -> None:
    left = left_over(assignment(), [COMP], (WORKERS_COMP,), LATER)
    assert left is not None
    assert joined(assignment(), [COMP], left, REUSED) == REUSED


def test_types_that_were_left_before_stay_left() -> None:
    before = assignment(
        GENERAL, WORKERS_COMP, CYBER, binding=replace(REUSED, standard_workflow_coverage_types=(GENERAL, CYBER))
    )
    left = left_over(before, [COMP], (WORKERS_COMP,), LATER)
    assert left is not None
    part = replace(REUSED, policies=("pl_3",), net_rate=300)
    after = joined(before, [COMP], left, part)
    assert (after.policies, after.net_rate) == (("pl_1", "pl_3"), 600)
    assert after.standard_workflow_coverage_types == (GENERAL, CYBER)


def test_a_pending_policy_that_fails_leaves_those_that_were_there() -> None:
    pending = replace(
        REUSED,
        outcome=BindingOutcome.BINDING_PENDING,
        policies=("pl_1", "pl_3"),
        net_rate=600,
        standard_workflow_coverage_types=(GENERAL,),
    )
    about = assignment(GENERAL, WORKERS_COMP, binding=pending)
    assert not_bound(about, NEXT, BindingReason.CARRIER_DECLINED) == replace(
        pending,
        outcome=BindingOutcome.BINDING_FAILED,
        policies=("pl_1",),
        net_rate=300,
        reasons=(BindingReason.CARRIER_DECLINED,),
        standard_workflow_coverage_types=(GENERAL, WORKERS_COMP),
    )
