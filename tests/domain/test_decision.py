"""The decision, sentence by sentence: the guide's, then section 6 of the specification.

Every case is named by the sentence that it holds, and compares the whole decision.
"""

from dataclasses import dataclass, replace

import pytest

from server.domain.decision import AssignmentRequest, Decision, Facts, NewPolicy, decide, failed
from server.domain.enums import (
    ApplicationSessionStatus,
    BindingOutcome,
    BindingReason,
    BindingWorkflow,
    CoverageType,
    PolicyOrigin,
    PolicyStatus,
)
from server.domain.records import Address, Approval, Binding
from server.domain.terms import Period
from tests.domain.given import FACTS, JANE, JOB, LONG_AGO, NOW, OPT_IN, POLICY, REQUEST, ROOFING, utc

WORKERS_COMP, GENERAL, CYBER = CoverageType.WORKERS_COMP, CoverageType.GENERAL, CoverageType.CYBER

NOT_REQUESTED = BindingReason.WORKERS_COMP_NOT_REQUESTED
NO_OPT_IN = BindingReason.NO_GENERAL_OPT_IN
NOT_COMPLETE = BindingReason.OPT_IN_NOT_COMPLETE
MISMATCH = BindingReason.WORK_STATE_MISMATCH
NOT_APPROVED = BindingReason.JOB_CATEGORY_NOT_APPROVED
NOT_WITHHELD = BindingReason.PREMIUM_NOT_WITHHELD
NOT_OFFERED = BindingReason.WORK_STATE_NOT_OFFERED

# What may be decided.

NEW_POLICY = NewPolicy(
    coverage_types=(WORKERS_COMP,),
    work_state="CA",
    residence_state="CA",
    category_code="jc_roofing",
    term=Period(utc("2023-12-03"), utc("2024-12-03")),
    net_rate=425,
    application_session="ias_ca",
)


def bound(policy: NewPolicy = NEW_POLICY, *, left: tuple[CoverageType, ...] = ()) -> Decision:
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_BOUND,
        workflow=BindingWorkflow.GENERAL_OPT_IN,
        application_session=policy.application_session,
        net_rate=policy.net_rate,
        standard_workflow_coverage_types=left,
    )
    return Decision(binding=binding, bind=policy)


def reused(policy: str = "pl_1", *, left: tuple[CoverageType, ...] = (), awaits: str = "") -> Decision:
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_REUSED,
        workflow=BindingWorkflow.GENERAL_OPT_IN,
        policies=(policy,),
        application_session="ias_ca",
        net_rate=300,
        standard_workflow_coverage_types=left,
    )
    return Decision(binding=binding, awaits=awaits)


def reused_by_standard_workflow(*reasons: BindingReason, awaits: str = "") -> Decision:
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_REUSED,
        workflow=BindingWorkflow.STANDARD,
        policies=("pl_1",),
        reasons=reasons,
        net_rate=300,
    )
    return Decision(binding=binding, awaits=awaits)


def standard_workflow(*reasons: BindingReason, left: tuple[CoverageType, ...] = (WORKERS_COMP,)) -> Decision:
    binding = Binding(
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        workflow=BindingWorkflow.STANDARD,
        reasons=reasons,
        standard_workflow_coverage_types=left,
    )
    return Decision(binding=binding)


# What it may rest on.


@dataclass(frozen=True)
class Case:
    sentence: str
    decision: Decision
    facts: Facts = FACTS
    request: AssignmentRequest = REQUEST

    def decided(self) -> Decision:
        return decide(self.request, self.facts, NOW)


def table(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.sentence for case in cases])


def asking(*types: CoverageType) -> AssignmentRequest:
    return replace(REQUEST, coverage_types=types)


def approved(*rows: tuple[CoverageType, str, int]) -> Facts:
    approvals = (
        Approval(coverage_type=type_, state=state, net_rate=rate, approve_time=LONG_AGO) for type_, state, rate in rows
    )
    return replace(FACTS, category=replace(ROOFING, approvals=tuple(approvals)))


INCOMPLETE = [s for s in ApplicationSessionStatus if s is not ApplicationSessionStatus.APPLICATION_COMPLETE]
NY_JOB = replace(JOB, address=Address(region="NY"))
OHIO_JOB = replace(JOB, address=Address(region="OH"))
REMOTE_JOB = replace(JOB, address=None)
DRIVING_JOB = replace(JOB, category_code="jc_driving")
DRIVING = replace(ROOFING, code="jc_driving")
STARTED = replace(OPT_IN, status=ApplicationSessionStatus.STARTED)
WITHDRAWN = replace(OPT_IN, status=ApplicationSessionStatus.CANCELLED)
NY_OPT_IN = replace(OPT_IN, id="ias_ny", work_state="NY")
NO_WITHHOLDING = replace(FACTS, platform_withholds=False)
QUOTED = replace(POLICY, origin=PolicyOrigin.QUOTE, application_session="", quote="qt_1")
QUOTED_BOTH = replace(QUOTED, coverage_types=(GENERAL, WORKERS_COMP))


# The guide.


@table(
    Case("All of them hold: eligible", bound()),
    *(
        Case(
            f"Application status must be APPLICATION_COMPLETE, not {status.name}",
            standard_workflow(NOT_COMPLETE),
            replace(FACTS, opt_ins=[replace(OPT_IN, status=status)]),
        )
        for status in INCOMPLETE
    ),
    Case(
        "Work state must match the job's work state",
        standard_workflow(MISMATCH),
        replace(FACTS, job=NY_JOB),
    ),
    Case("Job category must be approved", standard_workflow(NOT_APPROVED), approved()),
    Case(
        "Assignment must request workers' compensation",
        standard_workflow(NOT_REQUESTED, left=(GENERAL,)),
        request=asking(GENERAL),
    ),
    Case("Premium withholding required (withhold_premium = true)", standard_workflow(NOT_WITHHELD), NO_WITHHOLDING),
    Case(
        "Coverage restriction: Workers' compensation only",
        bound(left=(GENERAL, CYBER)),
        request=asking(GENERAL, WORKERS_COMP, CYBER),
    ),
    Case(
        "State-specific applications",
        bound(replace(NEW_POLICY, work_state="NY", application_session="ias_ny")),
        replace(FACTS, job=NY_JOB, opt_ins=[OPT_IN, NY_OPT_IN]),
    ),
)
def test_eligibility_conditions(case: Case) -> None:
    assert case.decided() == case.decision


@table(
    Case(
        "The system checks for a completed general opt-in for the assignment's work state",
        bound(),
        replace(FACTS, opt_ins=[NY_OPT_IN, replace(STARTED, id="ias_started"), OPT_IN]),
    ),
    Case(
        "If found, the system checks for existing matching coverage",
        reused("pl_2"),
        replace(FACTS, policies=[replace(POLICY, work_state="NY"), replace(POLICY, id="pl_2", number=2)]),
    ),
    Case("If matching coverage exists, it is reused", reused(), replace(FACTS, policies=[POLICY])),
    Case("If not, new coverage is automatically bound", bound()),
    Case(
        "If eligibility does not match, the system falls back to the standard workflow",
        standard_workflow(NOT_APPROVED, NOT_WITHHELD),
        replace(approved(), platform_withholds=False),
    ),
    Case(
        "Matching coverage from a previous assignment with the same job category and work state is reused",
        reused(),
        replace(FACTS, policies=[POLICY]),
        replace(REQUEST, job="jb_other", period=Period(utc("2024-11-01"), utc("2024-12-01"))),
    ),
    Case(
        "Works across categories: another category binds another policy without another application",
        bound(replace(NEW_POLICY, category_code="jc_driving")),
        replace(FACTS, job=DRIVING_JOB, category=DRIVING, policies=[POLICY]),
    ),
)
def test_coverage_binding_logic(case: Case) -> None:
    assert case.decided() == case.decision


@table(
    Case(
        "No general opt-in found: Standard workflow applies",
        standard_workflow(NO_OPT_IN),
        replace(FACTS, opt_ins=[]),
    ),
    Case("Eligibility mismatch: Standard workflow applies", standard_workflow(MISMATCH), replace(FACTS, job=NY_JOB)),
    Case(
        "Job category restrictions: Eligibility fails; standard workflow applies",
        standard_workflow(NOT_APPROVED),
        approved((WORKERS_COMP, "NY", 425)),
    ),
)
def test_fallback_and_error_handling(case: Case) -> None:
    assert case.decided() == case.decision


FAILURES = [BindingReason.CARRIER_DECLINED, BindingReason.CARRIER_UNAVAILABLE]


@pytest.mark.parametrize(
    "reason",
    FAILURES,
    ids=[
        f"Coverage binding failure: Assignment still succeeds; standard workflow applies ({r.name})" for r in FAILURES
    ],
)
@pytest.mark.parametrize(
    "facts",
    [FACTS, replace(FACTS, policies=[replace(POLICY, status=PolicyStatus.PENDING)])],
    ids=["the policy it binds", "the policy it waits for"],
)
def test_binding_failure(facts: Facts, reason: BindingReason) -> None:
    request = asking(GENERAL, WORKERS_COMP)
    assert failed(decide(request, facts, NOW).binding, request.coverage_types, reason) == Binding(
        outcome=BindingOutcome.BINDING_FAILED,
        workflow=BindingWorkflow.GENERAL_OPT_IN,
        application_session="ias_ca",
        reasons=(reason,),
        standard_workflow_coverage_types=(GENERAL, WORKERS_COMP),
    )


# Section 6 of the specification.


@table(
    Case(
        "Work state := the job's work state, wherever the contractor lives",
        bound(replace(NEW_POLICY, residence_state="NY")),
        replace(FACTS, contractor=replace(JANE, address=Address(region="NY"))),
    ),
    Case(
        "A remote job's work state is the contractor's residence",
        bound(replace(NEW_POLICY, work_state="NY", residence_state="NY", application_session="ias_ny")),
        replace(
            FACTS,
            contractor=replace(JANE, address=Address(region="NY")),
            job=REMOTE_JOB,
            opt_ins=[OPT_IN, NY_OPT_IN],
        ),
    ),
)
def test_1_the_work_state(case: Case) -> None:
    assert case.decided() == case.decision


@table(
    Case(
        "WORKERS_COMP is requested",
        standard_workflow(NOT_REQUESTED, left=(GENERAL, CYBER)),
        request=asking(GENERAL, CYBER),
    ),
    Case("An empty list requests nothing", standard_workflow(NOT_REQUESTED, left=()), request=asking()),
    Case("A completed general opt-in for the work state", bound()),
    Case(
        "Several opt-ins for one state: the one completed last counts",
        bound(replace(NEW_POLICY, application_session="ias_later")),
        replace(
            FACTS,
            opt_ins=[
                replace(OPT_IN, id="ias_later", complete_time=LONG_AGO.replace(day=9)),
                replace(OPT_IN, id="ias_sooner", complete_time=LONG_AGO.replace(day=8)),
                replace(STARTED, id="ias_begun_since"),
            ],
        ),
    ),
    Case(
        "Several opt-ins completed at the same time: the newest counts",
        bound(replace(NEW_POLICY, application_session="ias_b")),
        replace(FACTS, opt_ins=[replace(OPT_IN, id="ias_b"), replace(OPT_IN, id="ias_a")]),
    ),
    Case(
        "The state is offered",
        standard_workflow(NOT_OFFERED),
        replace(FACTS, job=OHIO_JOB, opt_ins=[replace(OPT_IN, work_state="OH")]),
    ),
    Case(
        "The category is approved for workers' compensation, not for another type",
        standard_workflow(NOT_APPROVED),
        approved((GENERAL, "CA", 425), (CYBER, "", 425)),
    ),
    Case(
        "The category is approved there, not in another state",
        standard_workflow(NOT_APPROVED),
        approved((WORKERS_COMP, "NY", 425)),
    ),
    Case(
        "The category is approved there, by a row for the state",
        bound(),
        approved((WORKERS_COMP, "CA", 425)),
    ),
    Case(
        "A row for the state wins over the row for every state",
        bound(),
        approved((WORKERS_COMP, "", 999), (WORKERS_COMP, "CA", 425), (GENERAL, "CA", 888)),
    ),
    Case("Withholding in effect, nobody says so", standard_workflow(NOT_WITHHELD), NO_WITHHOLDING),
    Case("Withholding in effect, the platform says so", bound()),
    Case(
        "Withholding in effect, the contractor says so",
        bound(),
        replace(NO_WITHHOLDING, contractor=replace(JANE, withhold_premium=True)),
    ),
    Case(
        "Withholding in effect, the job says so",
        bound(),
        replace(NO_WITHHOLDING, job=replace(JOB, withhold_premium=True)),
    ),
    Case(
        "Withholding, false equals unset",
        bound(),
        replace(FACTS, contractor=replace(JANE, withhold_premium=False), job=replace(JOB, withhold_premium=False)),
    ),
    Case(
        "Every condition that fails gives its reason, in enum order",
        standard_workflow(NOT_REQUESTED, NO_OPT_IN, NOT_APPROVED, NOT_WITHHELD, NOT_OFFERED, left=(GENERAL,)),
        replace(approved(), job=OHIO_JOB, opt_ins=[], platform_withholds=False),
        asking(GENERAL),
    ),
)
def test_2_eligible_for_the_general_opt_in(case: Case) -> None:
    assert case.decided() == case.decision


@table(
    *(
        Case(
            f"Sessions for this state, none complete, whatever their status ({status.name}): OPT_IN_NOT_COMPLETE",
            standard_workflow(NOT_COMPLETE),
            replace(FACTS, opt_ins=[replace(OPT_IN, status=status, complete_time=None)]),
        )
        for status in INCOMPLETE
    ),
    Case(
        "A withdrawn opt-in no longer counts: OPT_IN_NOT_COMPLETE",
        standard_workflow(NOT_COMPLETE),
        replace(FACTS, opt_ins=[WITHDRAWN]),
    ),
    Case(
        "Sessions for this state come first, though one for another state is complete: OPT_IN_NOT_COMPLETE",
        standard_workflow(NOT_COMPLETE),
        replace(FACTS, opt_ins=[NY_OPT_IN, STARTED]),
    ),
    Case(
        "A completed one for another state: WORK_STATE_MISMATCH",
        standard_workflow(MISMATCH),
        replace(FACTS, opt_ins=[NY_OPT_IN]),
    ),
    Case("Otherwise, without any: NO_GENERAL_OPT_IN", standard_workflow(NO_OPT_IN), replace(FACTS, opt_ins=[])),
    Case(
        "Otherwise, with an incomplete one for another state: NO_GENERAL_OPT_IN",
        standard_workflow(NO_OPT_IN),
        replace(FACTS, opt_ins=[replace(STARTED, work_state="NY")]),
    ),
)
def test_2_exactly_one_reason_for_the_opt_in(case: Case) -> None:
    assert case.decided() == case.decision


@table(
    Case("A matching policy gives COVERAGE_REUSED", reused(), replace(FACTS, policies=[POLICY])),
    Case("A matching policy of any origin gives COVERAGE_REUSED", reused(), replace(FACTS, policies=[QUOTED])),
    Case(
        "A policy that is being bound gives COVERAGE_REUSED, when it becomes active",
        reused(awaits="pl_1"),
        replace(FACTS, policies=[replace(POLICY, status=PolicyStatus.PENDING)]),
    ),
    Case(
        "Otherwise one is bound, COVERAGE_BOUND: the policy was cancelled",
        bound(),
        replace(FACTS, policies=[replace(POLICY, status=PolicyStatus.CANCELLED)]),
    ),
    Case(
        "Otherwise one is bound, COVERAGE_BOUND: the policy is for another state",
        bound(),
        replace(FACTS, policies=[replace(POLICY, work_state="NY")]),
    ),
    Case(
        "Otherwise one is bound, COVERAGE_BOUND: the policy ends before the assignment does",
        bound(),
        replace(FACTS, policies=[replace(POLICY, expire_time=utc("2023-12-06"))]),
    ),
)
def test_3_eligible(case: Case) -> None:
    assert case.decided() == case.decision


@table(
    Case(
        "The standard workflow reuses too: a policy of any origin, with the reasons why the opt-in did not apply",
        reused_by_standard_workflow(NO_OPT_IN, NOT_WITHHELD),
        replace(FACTS, opt_ins=[], platform_withholds=False, policies=[POLICY]),
    ),
    Case(
        "A policy that matches all requested types gives COVERAGE_REUSED with workflow = STANDARD",
        reused_by_standard_workflow(NOT_COMPLETE),
        replace(FACTS, opt_ins=[WITHDRAWN], policies=[QUOTED_BOTH]),
        asking(GENERAL, WORKERS_COMP),
    ),
    Case(
        "A policy matches without workers' compensation",
        reused_by_standard_workflow(NOT_REQUESTED),
        replace(FACTS, policies=[replace(QUOTED, coverage_types=(GENERAL,))]),
        asking(GENERAL),
    ),
    Case(
        "The standard workflow waits for a policy that is being bound",
        reused_by_standard_workflow(NOT_COMPLETE, awaits="pl_1"),
        replace(FACTS, opt_ins=[WITHDRAWN], policies=[replace(POLICY, status=PolicyStatus.PENDING)]),
    ),
    Case(
        "A policy that matches some requested types only does not do",
        standard_workflow(NO_OPT_IN, left=(GENERAL, WORKERS_COMP)),
        replace(FACTS, opt_ins=[], policies=[POLICY]),
        asking(GENERAL, WORKERS_COMP),
    ),
    Case(
        "An empty request matches nothing",
        standard_workflow(NOT_REQUESTED, left=()),
        replace(FACTS, policies=[POLICY]),
        asking(),
    ),
    Case("Otherwise STANDARD_WORKFLOW, no policy", standard_workflow(NO_OPT_IN), replace(FACTS, opt_ins=[])),
)
def test_4_not_eligible(case: Case) -> None:
    assert case.decided() == case.decision


@table(
    Case(
        "Asked for [WORKERS_COMP, GENERAL], the opt-in covers the first and lists the second",
        bound(left=(GENERAL,)),
        request=asking(WORKERS_COMP, GENERAL),
    ),
    Case(
        "A reused policy covers the first, and the second is listed",
        reused(left=(GENERAL,)),
        replace(FACTS, policies=[POLICY]),
        asking(WORKERS_COMP, GENERAL),
    ),
    Case(
        "A reused policy that covers both leaves nothing to the standard workflow, and is preferred",
        reused("pl_both"),
        replace(FACTS, policies=[POLICY, replace(QUOTED_BOTH, id="pl_both")]),
        asking(WORKERS_COMP, GENERAL),
    ),
)
def test_5_workers_compensation_alone(case: Case) -> None:
    assert case.decided() == case.decision


def test_a_binding_names_the_policy_once_it_exists() -> None:
    decision = decide(REQUEST, FACTS, NOW)
    assert decision.bound("pl_7") == replace(decision.binding, policies=("pl_7",))


@pytest.mark.parametrize(
    ("facts", "who"),
    [
        (FACTS, "platform"),
        (replace(NO_WITHHOLDING, contractor=replace(JANE, withhold_premium=True)), "contractor"),
        (replace(NO_WITHHOLDING, job=replace(JOB, withhold_premium=True)), "job"),
        (NO_WITHHOLDING, ""),
    ],
)
def test_a_decision_can_be_kept_with_who_withholds(facts: Facts, who: str) -> None:
    assert facts.withholding == who
