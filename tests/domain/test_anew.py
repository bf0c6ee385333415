"""Deciding anew: what earlier policies leave over, and what another one may cover (issue 4, item 5)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from server.domain.anew import as_it_was, covered_from, covered_until, gap, joined, left_over, lost, not_bound, reuse
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
    binding, period = reuse(about, kept, types, replace(FACTS, policies=live), NOW)
    assert (binding, period) == (expected, Period(START, END))


def test_only_the_rest_of_an_extended_assignment_is_decided() -> None:
    extended = assignment(end_time=LATER, binding=replace(REUSED, policies=("pl_1", "pl_9"), net_rate=600))
    binding, period = reuse(extended, [COMP], (WORKERS_COMP,), replace(FACTS, policies=(COMP, NEXT)), NOW)
    assert (binding.policies, binding.net_rate, period) == (("pl_1", "pl_3"), 600, Period(COMP.expire_time, LATER))


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


# What policies that come first, and last, leave in between.


LAST = replace(NEXT, effective_time=utc("2024-12-20"), expire_time=utc("2025-12-20"))


def test_what_is_left_ends_where_later_policies_cover_the_rest() -> None:
    longer = assignment(end_time=LATER)
    left = gap(longer, [LAST], (WORKERS_COMP,))
    assert left is not None
    assert left.period == Period(START, LAST.effective_time)
    both = gap(longer, [LAST], (WORKERS_COMP, GENERAL))
    assert both is not None
    assert both.period == Period(START, LATER), "as far as any of the types is lacking"
    assert gap(longer, [COMP, NEXT], (WORKERS_COMP,)) is None
    extended = left_over(assignment(), [COMP, replace(LAST, effective_time=utc("2025-01-01"))], (WORKERS_COMP,), LATER)
    assert extended is not None
    assert extended.period.end == LATER, "an extension has the end that was asked for"
    assert covered_from(WORKERS_COMP, [COMP, LAST], LATER) == LAST.effective_time
    assert covered_from(WORKERS_COMP, [COMP, NEXT], LATER) == COMP.effective_time
    assert covered_from(WORKERS_COMP, [COMP], LATER) == LATER


def until(policy: Policy, time: str) -> Policy:
    return replace(policy, cancel_time=utc(time))


EARLY = replace(NEXT, effective_time=utc("2024-11-01"))  # it was reused for what follows the first one's end


@pytest.mark.parametrize(
    ("named", "gone"),
    [
        ([COMP, NEXT], []),
        ([until(COMP, "2024-11-25"), NEXT], []),  # it had begun
        ([until(COMP, "2024-11-20"), NEXT], ["pl_1"]),
        ([COMP, until(NEXT, "2024-12-05")], []),
        ([COMP, until(NEXT, "2024-12-03")], ["pl_3"]),
        ([COMP, until(EARLY, "2024-12-03")], ["pl_3"]),
        ([COMP, until(EARLY, "2024-12-05")], []),
        ([until(COMP, "2024-11-25"), until(EARLY, "2024-12-03")], []),  # it follows where the first one ends
        ([until(COMP, "2024-11-20"), until(EARLY, "2024-11-20")], ["pl_1", "pl_3"]),
        ([LIABILITY, until(COMP, "2024-11-21")], []),  # the other one is of another type
        ([COMP, until(BOTH, "2024-11-21")], []),  # it alone covers GENERAL
    ],
)
def test_a_policy_is_lost_that_ends_before_the_part_begins_that_rests_on_it(
    named: Sequence[Policy], gone: Sequence[str]
) -> None:
    assert COMP.expire_time == utc("2024-12-03")
    assert [policy.id for policy in lost((GENERAL, WORKERS_COMP), START, named)] == gone


def test_a_policy_that_is_back_covers_what_it_can() -> None:
    """An assignment that was extended without cover, and then lost the policy of its first part."""
    lost = replace(
        REUSED,
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        workflow=BindingWorkflow.STANDARD,
        policies=(),
        net_rate=0,
        standard_workflow_coverage_types=(WORKERS_COMP,),
    )
    extended = assignment(end_time=LATER, binding=lost)
    facts = replace(FACTS, policies=(COMP,))
    binding, period = reuse(extended, [], (WORKERS_COMP,), facts, NOW, back=COMP)
    assert (binding.policies, binding.net_rate, period) == (("pl_1",), 300, Period(START, COMP.expire_time))
    assert binding.standard_workflow_coverage_types == (WORKERS_COMP,), "of the rest"
    assert reuse(extended, [], (WORKERS_COMP,), facts, NOW)[0].policies == (), "where it is not what it is about"


@pytest.mark.parametrize(
    ("left", "types", "reasons"),
    [
        ((WORKERS_COMP,), (GENERAL,), (BindingReason.NO_GENERAL_OPT_IN,)),  # as it was told before
        ((), (GENERAL,), ()),  # it is covered
        ((), (WORKERS_COMP,), (BindingReason.OPT_IN_NOT_COMPLETE,)),  # what was decided now
    ],
)
def test_why_the_opt_in_does_not_apply_is_told_as_long_as_it_matters(
    left: tuple[CoverageType, ...], types: tuple[CoverageType, ...], reasons: tuple[BindingReason, ...]
) -> None:
    before = replace(REUSED, reasons=(BindingReason.NO_GENERAL_OPT_IN,), standard_workflow_coverage_types=left)
    about = assignment(GENERAL, WORKERS_COMP, binding=before)
    wanted = left_over(about, [], types, END)
    assert wanted is not None
    part = Binding(
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        workflow=BindingWorkflow.STANDARD,
        reasons=(BindingReason.OPT_IN_NOT_COMPLETE,),
        standard_workflow_coverage_types=types,
    )
    assert joined(about, [], wanted, part).reasons == reasons
