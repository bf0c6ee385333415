"""The facts that decisions rest on, loaded by sets: a few statements, however many calls there are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from server.domain.anew import as_it_was
from server.domain.decision import AssignmentRequest, Facts
from server.domain.enums import BindingOutcome, CoverageType, PolicyStatus
from server.domain.errors import NotFound
from server.domain.ports import Unit
from server.domain.records import Approval, ApprovalSeen, Assignment, Binding, Evidence, Policy
from server.domain.terms import Period
from server.service.context import Context


class FactsOf:
    """The facts about some requests of one platform, as they were when loaded and with what was bound since."""

    def __init__(self, unit: Unit, platform: str, requests: Iterable[AssignmentRequest]) -> None:
        wanted = list(requests)
        self._unit = unit
        self._platform = platform
        self._ids = {request.contractor for request in wanted}
        self._contractors = unit.contractors.find(platform, self._ids)
        self._jobs = unit.jobs.find(platform, {request.job for request in wanted})
        self._categories = unit.categories.find(platform, {job.category_code for job in self._jobs.values()})
        self._opt_ins = unit.sessions.opt_ins(platform, self._contractors)
        self._policies = {id_: list(found) for id_, found in unit.policies.live(platform, self._contractors).items()}
        self._last_numbers: dict[str, int] | None = None

    def about(self, ctx: Context, request: AssignmentRequest) -> Facts:
        """Raises NotFound, for the contractor or the job."""
        contractor = self._contractors.get(request.contractor)
        if contractor is None or contractor.delete_time is not None:
            raise NotFound("contractor", request.contractor)
        job = self._jobs.get(request.job)
        if job is None:
            raise NotFound("job", request.job)
        return Facts(
            contractor=contractor,
            job=job,
            category=self._categories[job.category_code],
            opt_ins=self._opt_ins.get(contractor.id, ()),
            policies=self._policies.get(contractor.id, ()),
            platform_withholds=ctx.withholds_premium,
        )

    def add(self, policy: Policy) -> None:
        """Later requests see what earlier ones bound."""
        self._policies.setdefault(policy.contractor, []).append(policy)

    def next_number(self, contractor: str) -> int:
        """Takes the contractor's next policy number; asked for only when something is bound."""
        if self._last_numbers is None:
            self._last_numbers = dict(self._unit.policies.last_numbers(self._platform, self._ids))
        self._last_numbers[contractor] = self._last_numbers.get(contractor, 0) + 1
        return self._last_numbers[contractor]


def facts_about(unit: Unit, ctx: Context, contractor_id: str, assignments: Sequence[Assignment]) -> Mapping[str, Facts]:
    """What a later decision about each of a contractor's assignments rests on, a deleted contractor's too; by id."""
    contractor = unit.contractors.find(ctx.platform, [contractor_id])[contractor_id]
    jobs = unit.jobs.find(ctx.platform, {assignment.job for assignment in assignments})
    categories = unit.categories.find(ctx.platform, {assignment.category_code for assignment in assignments})
    opt_ins = unit.sessions.opt_ins(ctx.platform, [contractor_id]).get(contractor_id, ())
    policies = unit.policies.live(ctx.platform, [contractor_id]).get(contractor_id, ())
    return {
        assignment.id: Facts(
            contractor=contractor,
            job=as_it_was(assignment, jobs[assignment.job], contractor),
            category=categories[assignment.category_code],
            opt_ins=opt_ins,
            policies=policies,
            platform_withholds=ctx.withholds_premium,
        )
        for assignment in assignments
    }


def evidence(facts: Facts, binding: Binding) -> Evidence:
    """What the decision rested on, as it is kept beside it (spec 6)."""
    approval = facts.category.approval(CoverageType.WORKERS_COMP, facts.work_state)
    found: Evidence = {
        "work_state": facts.work_state,
        "residence_state": facts.contractor.address.region,
        "application_session": binding.application_session,
        "policies": [policy.id for policy in facts.policies],
        "approval": _seen(approval) if approval else None,
        "withholding": facts.withholding,
    }
    if binding.outcome is BindingOutcome.BINDING_PENDING:
        found["being_bound"] = [policy.id for policy in facts.policies if policy.status is PolicyStatus.PENDING]
    return found


def part_of(assignment: Assignment, decided: Period) -> Evidence:
    """As part of the evidence: from when and until when it was decided, unless all of the assignment was."""
    found: Evidence = {}
    if decided.start > assignment.effective_time:
        found["part_start"] = decided.start.isoformat()
    if decided.end < assignment.end_time:
        found["part_end"] = decided.end.isoformat()
    return found


_text = lru_cache(1_000)(datetime.isoformat)


def _seen(approval: Approval) -> ApprovalSeen:
    return {
        "coverage_type": int(approval.coverage_type),
        "state": approval.state,
        "net_rate": approval.net_rate,
        "approve_time": _text(approval.approve_time),
    }
