"""Assignments: created by sets, each with the decision about its cover (spec 6, architecture "The write path")."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import field, replace

from server.domain.carrier import PendingBinding
from server.domain.decision import (
    AssignmentRequest,
    Decision,
    Facts,
    NewPolicy,
    decide,
    failed,
    must_wait,
    what_to_bind,
)
from server.domain.enums import AssignmentStatus, BindingOutcome, PolicyStatus
from server.domain.errors import AssignmentCancelled, AssignmentStarted, DomainError, InvalidFields, NotFound, Violation
from server.domain.events import OF_POLICY, EventType
from server.domain.ports import Page, Unit
from server.domain.record import record
from server.domain.records import Assignment, Binding, DecisionRecord, Policy
from server.domain.requests import StoredRequest
from server.service.binding import Asked, Binder
from server.service.context import Context, new_id
from server.service.events import Rendered, Responses, new_event
from server.service.facts import FactsOf, evidence
from server.service.once import Awaits, Reply, RequestKey, decided, replay, to_store
from server.service.paging import NUMBER, Place, paged
from server.service.writer import LOCKED, Locked

CREATED = EventType.ASSIGNMENT_CREATED.value  # the trigger of the first decision


@record(frozen=True, kw_only=True, slots=True)
class Creation:
    """One call to create an assignment."""

    ctx: Context
    request: AssignmentRequest
    key: RequestKey | None
    awaited: str = ""  # a policy that it has waited for
    gave_up: bool = False  # and that is still being bound


Result = Reply | DomainError | Locked | Awaits | Asked


@record(frozen=True, kw_only=True, slots=True)
class CreateAssignments:
    """The unit that creates assignments, as a `writer.SetWork` over Creations."""

    binder: Binder
    render: Callable[[Assignment], Rendered]
    responses: Responses = field(default_factory=dict, hash=False)

    def __call__(self, unit: Unit, creations: Sequence[Creation]) -> list[Result]:
        by_platform = defaultdict(list)
        for position, creation in enumerate(creations):
            by_platform[creation.ctx.platform].append(position)
        results: dict[int, Result] = {}
        for platform, positions in by_platform.items():
            with unit.within(platform):
                # Who holds one platform's contractors and waited for another's could wait in a circle.
                made = _Batch(unit, platform, self).run([creations[p] for p in positions], may_wait=not results)
            results.update(zip(positions, made, strict=True))
        return [results[position] for position in range(len(creations))]


class _Batch:
    """The creations of one platform in one unit: load by sets, decide one by one, write by sets."""

    def __init__(self, unit: Unit, platform: str, terms: CreateAssignments) -> None:
        self._unit = unit
        self._platform = platform
        self._terms = terms
        self._policies: list[Policy] = []
        self._decisions: list[DecisionRecord] = []
        self._pending: list[PendingBinding] = []
        self._requests: list[StoredRequest] = []

    def run(self, creations: Sequence[Creation], *, may_wait: bool) -> list[Result]:
        # The lock comes before the look at the request ids: a repeat has the same contractor, so whoever holds
        # the lock sees what the first call left.
        wanted = [c.request.contractor for c in creations]
        locked = self._unit.contractors.lock(wanted, self._platform, may_wait=may_wait)
        self._seen = dict(self._unit.requests.find(self._platform, {c.key.request_id for c in creations if c.key}))
        fresh = [c for c in creations if c.key is None or c.key.request_id not in self._seen]
        self._facts = FactsOf(self._unit, self._platform, [c.request for c in fresh])
        self._awaited = self._unit.policies.find(self._platform, {c.awaited for c in creations if c.awaited})
        results = [LOCKED if c.request.contractor in locked else self._create(c) for c in creations]
        self._write()
        return results

    def _create(self, creation: Creation) -> Result:
        key = creation.key
        try:
            if key is not None and key.request_id in self._seen:
                return replay(self._seen[key.request_id], key, gave_up=creation.gave_up)
            result = self._decide(creation)
        except DomainError as error:
            return error
        if key is not None and not isinstance(result, Awaits):
            self._seen[key.request_id] = to_store(key, result, creation.ctx.now)
            self._requests.append(self._seen[key.request_id])
        return result

    def _decide(self, creation: Creation) -> Reply | Awaits | Asked:
        request = creation.request
        facts = self._facts.about(creation.ctx, request)
        decision = decide(request, facts, creation.ctx.now)
        awaited = self._awaited.get(creation.awaited)
        if must_wait(decision, awaited) and not creation.gave_up:
            return Awaits(decision.awaits)
        todo = what_to_bind(decision, request.coverage_types, awaited)
        if isinstance(todo, Binding):
            return self._made(creation, facts, todo)
        return self._bind(creation, facts, decision, todo)

    def _bind(self, creation: Creation, facts: Facts, decision: Decision, wanted: NewPolicy) -> Reply | Asked:
        ctx, request, binder = creation.ctx, creation.request, self._terms.binder
        policy = binder.bind(ctx, request.contractor, wanted, self._facts.next_number(request.contractor))
        binding = decision.bound(policy.id)
        if policy.fail_reason is not None:
            binding = failed(binding, request.coverage_types, policy.fail_reason)
        self._policies.append(policy)
        self._unit.events.record(OF_POLICY[policy.status], policy, ctx.now)
        self._facts.add(policy)
        if policy.status is not PolicyStatus.PENDING:
            return self._made(creation, facts, binding)
        assignment, _ = self._assign(creation, facts, replace(binding, outcome=BindingOutcome.BINDING_PENDING))
        request_id = creation.key.request_id if creation.key else ""
        self._pending.append(binder.pending(ctx, policy, assignment=assignment.id, request_id=request_id))
        return Asked(policy, self._pending[-1])

    def _made(self, creation: Creation, facts: Facts, binding: Binding) -> Reply:
        _, response = self._assign(creation, facts, binding)
        return decided(response, binding)

    def _assign(self, creation: Creation, facts: Facts, binding: Binding) -> tuple[Assignment, bytes]:
        """The assignment and the response that tells of it."""
        ctx = creation.ctx
        assignment = assignment_of(ctx, creation.request, facts, binding, new_id("an"))
        self._decisions.append(
            DecisionRecord(
                assignment=assignment,
                number=1,
                decide_time=ctx.now,
                trigger=CREATED,
                facts=evidence(facts, binding),
            )
        )
        self._unit.trail.record(ctx.platform, ctx.act(assignment.id))
        rendered = self._terms.render(assignment)
        self._unit.events.add(new_event(EventType.ASSIGNMENT_CREATED, assignment, ctx.now, rendered.data))
        respond = self._terms.responses.get(ctx.face)
        return assignment, respond(assignment) if respond else rendered.response

    def _write(self) -> None:
        if self._policies:
            self._unit.policies.insert(self._policies)
        if self._decisions:
            self._unit.assignments.insert(self._decisions)
        if self._pending:
            self._unit.pending.insert(self._pending)
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


def only_one(unit: Unit, ctx: Context, *, contractor: str, job: str) -> Assignment:
    """The active assignment of the job, and of the contractor if one is given. Raises NotFound, InvalidFields."""
    found = unit.assignments.page(ctx.platform, Page(2), contractor=contractor, job=job, status=AssignmentStatus.ACTIVE)
    if not found:
        raise NotFound("assignment", "")
    if len(found) > 1:
        raise InvalidFields([Violation("job", "has several active assignments; name the assignment")])
    return found[0]


def cancel(unit: Unit, ctx: Context, assignment_id: str, reason: str) -> Assignment:
    """Before it starts only; decisions and policies stay. Raises NotFound, AssignmentCancelled, AssignmentStarted."""
    unit.contractors.lock([get(unit, ctx, assignment_id).contractor])
    assignment = get(unit, ctx, assignment_id)
    if assignment.status is AssignmentStatus.CANCELLED:
        raise AssignmentCancelled(assignment=assignment.id)
    if assignment.effective_time <= ctx.now:
        raise AssignmentStarted(assignment=assignment.id, effective_time=assignment.effective_time.isoformat())
    cancelled = replace(assignment, status=AssignmentStatus.CANCELLED, cancel_time=ctx.now, cancel_reason=reason)
    unit.assignments.cancel(cancelled)
    unit.events.record(EventType.ASSIGNMENT_CANCELLED, cancelled, ctx.now)
    return cancelled


def list_page(
    unit: Unit, ctx: Context, *, contractor: str, job: str, outcome: BindingOutcome | None, size: int, token: Place
) -> tuple[list[Assignment], str]:
    return paged(
        lambda page: unit.assignments.page(ctx.platform, page, contractor=contractor, job=job, outcome=outcome),
        lambda assignment: assignment.id,
        size=size,
        token=token,
        bound_to=("assignments", ctx.platform, contractor, job, outcome),
    )


def list_decisions(
    unit: Unit, ctx: Context, assignment_id: str, size: int, token: str
) -> tuple[list[DecisionRecord], str]:
    """Every decision about an assignment, the last one first. Raises NotFound."""
    assignment = get(unit, ctx, assignment_id)
    return paged(
        lambda page: unit.assignments.decisions(assignment, page),
        lambda decision: str(decision.number),
        size=size,
        token=token,
        bound_to=("binding_decisions", ctx.platform, assignment_id),
        key_form=NUMBER,
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
