"""The decision: whether an assignment's cover is reused, bound, or left to the standard workflow (spec 6).

`decide` is where a new rule goes. It awaits nothing and reads no clock: what it needs to know is in `Facts`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from server.domain import matching
from server.domain.application import status_at
from server.domain.enums import (
    ApplicationSessionStatus,
    BindingOutcome,
    BindingReason,
    BindingWorkflow,
    CoverageType,
    PolicyOrigin,
    PolicyStatus,
)
from server.domain.record import record
from server.domain.records import Approval, Binding, Contractor, Job, JobCategory, OptIn, Policy
from server.domain.states import is_offered
from server.domain.terms import Period, policy_term

OPT_IN_COVERS = (CoverageType.WORKERS_COMP,)
"""The general opt-in binds workers' compensation alone."""


@record(frozen=True, kw_only=True, slots=True)
class AssignmentRequest:
    contractor: str
    job: str
    coverage_types: tuple[CoverageType, ...]  # in the enum's order, without duplicates
    period: Period


@record(frozen=True, kw_only=True, slots=True)
class Facts:
    """All that a decision rests on, read under the contractor's lock."""

    contractor: Contractor
    job: Job
    category: JobCategory
    opt_ins: Sequence[OptIn]  # the contractor's general opt-ins, of every state and status
    policies: Sequence[Policy]  # the contractor's
    platform_withholds: bool

    @property
    def work_state(self) -> str:
        return self.job.work_state(self.contractor)

    @property
    def withholding(self) -> str:
        """Who says that the premium is withheld; empty when nobody does (spec 5)."""
        if self.platform_withholds:
            return "platform"
        if self.contractor.withhold_premium:
            return "contractor"
        return "job" if self.job.withhold_premium else ""


@record(frozen=True, kw_only=True, slots=True)
class NewPolicy:
    """The policy to bind: it gets its number and id from who inserts it."""

    coverage_types: tuple[CoverageType, ...]
    work_state: str
    residence_state: str
    category_code: str
    term: Period
    net_rate: int
    application_session: str
    origin: PolicyOrigin = PolicyOrigin.GENERAL_OPT_IN
    quote: str = ""


@record(frozen=True, kw_only=True, slots=True)
class Decision:
    """What to do. `binding` is the answer, its `policies` without the id of the policy in `bind`."""

    binding: Binding
    bind: NewPolicy | None = None
    awaits: str = ""  # the policy that is being bound: reused when it becomes active

    def bound(self, policy_id: str) -> Binding:
        return replace(self.binding, policies=(policy_id,))


def decide(request: AssignmentRequest, facts: Facts, now: datetime) -> Decision:
    """Same request, facts and time: same decision. Never fails because of eligibility."""
    state = facts.work_state
    approval = facts.category.approval(CoverageType.WORKERS_COMP, state)
    opt_in, opt_in_reason = find_opt_in(facts.opt_ins, state, now)
    reasons = tuple(sorted(_failing_conditions(request, facts, approval, opt_in_reason)))
    if reasons or opt_in is None or approval is None:
        return _standard_workflow(request, facts, reasons)

    match = matching.best_match(facts.policies, _need(request, facts, OPT_IN_COVERS))
    if match is not None:
        return _reuse(match, request, BindingWorkflow.GENERAL_OPT_IN, opt_in.id)
    policy = NewPolicy(
        coverage_types=OPT_IN_COVERS,
        work_state=state,
        residence_state=facts.contractor.address.region,
        category_code=facts.job.category_code,
        term=policy_term(request.period),
        net_rate=approval.net_rate,
        application_session=opt_in.id,
    )
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_BOUND,
        workflow=BindingWorkflow.GENERAL_OPT_IN,
        application_session=opt_in.id,
        net_rate=approval.net_rate,
        standard_workflow_coverage_types=matching.residual(request.coverage_types, set(OPT_IN_COVERS)),
    )
    return Decision(binding=binding, bind=policy)


def failed(binding: Binding, request_types: Iterable[CoverageType], reason: BindingReason) -> Binding:
    """The binding that was tried, when it did not succeed: the standard workflow applies (spec 6.3)."""
    return replace(
        binding,
        outcome=BindingOutcome.BINDING_FAILED,
        policies=(),
        net_rate=0,
        reasons=(reason,),
        standard_workflow_coverage_types=tuple(request_types),
    )


def must_wait(decision: Decision, awaited: Policy | None) -> bool:
    """Whether for the policy that is being bound. When the one that was waited for has failed, that is the answer
    (spec 7): others may have begun to bind the next one meanwhile, again and again."""
    return bool(decision.awaits) and (awaited is None or awaited.fail_reason is None)


def what_to_bind(
    decision: Decision, request_types: tuple[CoverageType, ...], awaited: Policy | None
) -> NewPolicy | Binding:
    """The policy to bind now, or the binding where none is to be.

    `awaited`: the policy that was waited for, if any. What is still being bound was waited for long enough.
    """
    failure = None if awaited is None else awaited.fail_reason
    if decision.awaits:
        return given_up(decision.binding, request_types, failure or BindingReason.CARRIER_UNAVAILABLE)
    if decision.bind is None:
        return decision.binding
    return decision.bind if failure is None else failed(decision.binding, request_types, failure)


def given_up(binding: Binding, request_types: Iterable[CoverageType], reason: BindingReason) -> Binding:
    """The binding that would have reused a policy that is still being bound, when that is not waited for any more."""
    if binding.workflow is BindingWorkflow.GENERAL_OPT_IN:
        return failed(binding, request_types, reason)
    return replace(
        binding,
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        policies=(),
        net_rate=0,
        standard_workflow_coverage_types=tuple(request_types),
    )


def find_opt_in(opt_ins: Iterable[OptIn], state: str, now: datetime) -> tuple[OptIn | None, BindingReason | None]:
    """The opt-in completed last for the state, or exactly one reason why there is none (spec 6.2)."""
    seen = list(opt_ins)
    complete = [s for s in seen if status_at(s, now) is ApplicationSessionStatus.APPLICATION_COMPLETE]
    here = [s for s in complete if s.work_state == state]
    if here:
        return max(here, key=lambda s: (s.complete_time or s.create_time, s.id)), None
    if any(s.work_state == state for s in seen):
        return None, BindingReason.OPT_IN_NOT_COMPLETE
    return None, BindingReason.WORK_STATE_MISMATCH if complete else BindingReason.NO_GENERAL_OPT_IN


def _failing_conditions(
    request: AssignmentRequest, facts: Facts, approval: Approval | None, opt_in_reason: BindingReason | None
) -> Iterable[BindingReason]:
    if CoverageType.WORKERS_COMP not in request.coverage_types:
        yield BindingReason.WORKERS_COMP_NOT_REQUESTED
    if opt_in_reason is not None:
        yield opt_in_reason
    if approval is None:
        yield BindingReason.JOB_CATEGORY_NOT_APPROVED
    if not facts.withholding:
        yield BindingReason.PREMIUM_NOT_WITHHELD
    if not is_offered(facts.work_state):
        yield BindingReason.WORK_STATE_NOT_OFFERED


def _standard_workflow(request: AssignmentRequest, facts: Facts, reasons: tuple[BindingReason, ...]) -> Decision:
    """The standard workflow reuses too: a policy of any origin that covers all the requested types (spec 6.4)."""
    match = matching.best_match(facts.policies, _need(request, facts, request.coverage_types))
    if match is not None:
        return _reuse(match, request, BindingWorkflow.STANDARD, "", reasons)
    return Decision(
        binding=Binding(
            outcome=BindingOutcome.STANDARD_WORKFLOW,
            workflow=BindingWorkflow.STANDARD,
            reasons=reasons,
            standard_workflow_coverage_types=request.coverage_types,
        )
    )


def _reuse(
    policy: Policy,
    request: AssignmentRequest,
    workflow: BindingWorkflow,
    opt_in: str,
    reasons: tuple[BindingReason, ...] = (),
) -> Decision:
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_REUSED,
        workflow=workflow,
        policies=(policy.id,),
        application_session=opt_in,
        reasons=reasons,
        net_rate=policy.net_rate,
        standard_workflow_coverage_types=matching.residual(request.coverage_types, set(policy.coverage_types)),
    )
    return Decision(binding=binding, awaits=policy.id if policy.status is PolicyStatus.PENDING else "")


def _need(request: AssignmentRequest, facts: Facts, types: Iterable[CoverageType]) -> matching.Need:
    return matching.need(
        types, request.coverage_types, facts.contractor, facts.work_state, facts.job.category_code, request.period
    )
