"""Assignments: created by sets, each with the decision about its cover (spec 6, architecture "The write path")."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.domain.decision import AssignmentRequest, Decision, Facts, NewPolicy, decide, failed
from server.domain.enums import BindingOutcome, BindingReason, CoverageType, PolicyStatus
from server.domain.errors import DomainError, NotFound
from server.domain.ports import Carrier, DecisionRecord, StoredRequest, Unit
from server.domain.records import Assignment, Binding, Policy
from server.service.binding import new_policy, settled
from server.service.context import Context, new_id
from server.service.facts import FactsOf
from server.service.once import Reply, RequestKey, replay, to_store
from server.service.paging import paged
from server.service.writer import LOCKED, Locked

CREATED = "assignment.created"


@dataclass(frozen=True, kw_only=True, slots=True)
class Creation:
    """One call to create an assignment."""

    ctx: Context
    request: AssignmentRequest
    key: RequestKey | None


Result = Reply | DomainError | Locked


class CreateAssignments:
    """The unit that creates assignments, as a `writer.SetWork` over Creations."""

    def __init__(self, carrier: Carrier, render: Callable[[Assignment], bytes]) -> None:
        self._carrier = carrier
        self._render = render

    def __call__(self, unit: Unit, creations: Sequence[Creation]) -> list[Result]:
        by_platform = defaultdict(list)
        for position, creation in enumerate(creations):
            by_platform[creation.ctx.platform].append(position)
        results: dict[int, Result] = {}
        for platform, positions in by_platform.items():
            batch = _Batch(unit, platform, self._carrier, self._render)
            results.update(zip(positions, batch.run([creations[p] for p in positions]), strict=True))
        return [results[position] for position in range(len(creations))]


class _Batch:
    """The creations of one platform in one unit: load by sets, decide one by one, write by sets."""

    def __init__(self, unit: Unit, platform: str, carrier: Carrier, render: Callable[[Assignment], bytes]) -> None:
        self._unit = unit
        self._platform = platform
        self._carrier = carrier
        self._render = render
        self._policies: list[Policy] = []
        self._decisions: list[DecisionRecord] = []
        self._requests: list[StoredRequest] = []

    def run(self, creations: Sequence[Creation]) -> list[Result]:
        # The lock comes before the look at the request ids: a repeat has the same contractor, so whoever holds
        # the lock sees what the first call left.
        locked = self._unit.contractors.lock(c.request.contractor for c in creations)
        self._seen = dict(self._unit.requests.find(self._platform, {c.key.request_id for c in creations if c.key}))
        fresh = [c for c in creations if c.key is None or c.key.request_id not in self._seen]
        self._facts = FactsOf(self._unit, self._platform, [c.request for c in fresh])
        results = [LOCKED if c.request.contractor in locked else self._create(c) for c in creations]
        self._write()
        return results

    def _create(self, creation: Creation) -> Reply | DomainError:
        key = creation.key
        try:
            if key is not None and key.request_id in self._seen:
                return replay(self._seen[key.request_id], key)
            assignment = self._decide(creation)
        except DomainError as error:
            return error
        reply = Reply(self._render(assignment), outcome=assignment.binding.outcome.name)
        if key is not None:
            self._seen[key.request_id] = to_store(key, reply, creation.ctx.now)
            self._requests.append(self._seen[key.request_id])
        return reply

    def _decide(self, creation: Creation) -> Assignment:
        ctx, request = creation.ctx, creation.request
        facts = self._facts.about(ctx, request)
        decision = decide(request, facts, ctx.now)
        binding = self._bind(ctx, request, decision.bind, decision) if decision.bind else decision.binding
        assignment = assignment_of(ctx, request, facts, binding, new_id("an"))
        self._decisions.append(
            DecisionRecord(
                assignment=assignment, number=1, decide_time=ctx.now, trigger=CREATED, facts=evidence(facts, decision)
            )
        )
        return assignment

    def _bind(self, ctx: Context, request: AssignmentRequest, wanted: NewPolicy, decision: Decision) -> Binding:
        pending = new_policy(ctx, request.contractor, wanted, self._facts.next_number(request.contractor))
        policy = settled(pending, self._carrier.issue(pending))
        self._policies.append(policy)
        self._facts.add(policy)
        if policy.status is PolicyStatus.FAILED:
            return failed(decision.binding, request.coverage_types, BindingReason.CARRIER_DECLINED)
        return decision.bound(policy.id)

    def _write(self) -> None:
        if self._policies:
            self._unit.policies.insert(self._policies)
        if self._decisions:
            self._unit.assignments.insert(self._decisions)
        if self._requests:
            self._unit.requests.insert(self._requests)


def preview(unit: Unit, ctx: Context, request: AssignmentRequest) -> Assignment:
    """What would happen, with no id of what does not exist (spec 4, validate_only). Raises NotFound."""
    facts = FactsOf(unit, ctx.platform, [request]).about(ctx, request)
    return assignment_of(ctx, request, facts, decide(request, facts, ctx.now).binding, "")


def get(unit: Unit, ctx: Context, assignment_id: str) -> Assignment:
    """Raises NotFound."""
    assignment = unit.assignments.find(ctx.platform, [assignment_id]).get(assignment_id)
    if assignment is None:
        raise NotFound("assignment", assignment_id)
    return assignment


def list_page(
    unit: Unit, ctx: Context, *, contractor: str, job: str, outcome: BindingOutcome | None, size: int, token: str
) -> tuple[list[Assignment], str]:
    return paged(
        lambda page: unit.assignments.page(ctx.platform, page, contractor=contractor, job=job, outcome=outcome),
        lambda assignment: assignment.id,
        size=size,
        token=token,
        bound_to=("assignments", ctx.platform, contractor, job, outcome),
    )


def assignment_of(
    ctx: Context, request: AssignmentRequest, facts: Facts, binding: Binding, assignment_id: str
) -> Assignment:
    return Assignment(
        id=assignment_id,
        platform=ctx.platform,
        contractor=request.contractor,
        job=request.job,
        coverage_types=request.coverage_types,
        effective_time=request.period.start,
        end_time=request.period.end,
        work_state=facts.work_state,
        category_code=facts.job.category_code,
        binding=binding,
        create_time=ctx.now,
    )


def evidence(facts: Facts, decision: Decision) -> dict[str, object]:
    """What the decision rested on, as it is kept beside it (spec 6)."""
    approval = facts.category.approval(CoverageType.WORKERS_COMP, facts.work_state)
    return {
        "work_state": facts.work_state,
        "residence_state": facts.contractor.address.region,
        "application_session": decision.binding.application_session,
        "policies": [policy.id for policy in facts.policies],
        "approval": approval and {"state": approval.state, "net_rate": approval.net_rate},
        "withholding": facts.withholding,
    }
