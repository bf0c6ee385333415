"""The second unit of a remote binding: settles the policy, and its assignment or quote, with the carrier's answer."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from server.domain.anew import not_bound
from server.domain.carrier import Answer, Bound, CarrierOrder, NotAsked, NotKnown, PendingBinding
from server.domain.enums import BindingOutcome, CarrierOrderKind
from server.domain.events import OF_POLICY, EventType
from server.domain.ports import Unit
from server.domain.records import ApplicationSession, Assignment, Evidence, Policy
from server.domain.trail import SERVER, act
from server.service import issuing
from server.service.binding import settled
from server.service.context import new_id
from server.service.events import Rendered, Responses
from server.service.once import Reply, decided

ANSWERED = "carrier.answered"
MOST_TAKEN_OVER = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Renders:
    """The responses of calls that a remote carrier is asked for, as they are stored and sent."""

    created: Callable[[Assignment], Rendered]  # and extended: both responses have the same fields
    completed: Callable[[ApplicationSession, datetime], bytes]
    responses: Responses = field(default_factory=dict)


def settle(unit: Unit, pending: PendingBinding, answer: Answer, now: datetime, renders: Renders) -> Reply | None:
    """The answer to who created the assignment or completed the application; None when another worker took over."""
    unit.contractors.lock([pending.contractor])
    held = unit.pending.find([pending.policy]).get(pending.policy)
    if held is None or held.token != pending.token:
        return None
    policy = unit.policies.find(pending.platform, [pending.policy])[pending.policy]
    contractor = unit.contractors.find(pending.platform, [pending.contractor])[pending.contractor]
    deleted = contractor.delete_time is not None
    policy = settled(policy, NotAsked() if deleted else answer)
    unit.policies.update([policy])
    unit.events.record(OF_POLICY[policy.status], policy, now)
    if isinstance(answer, NotKnown) or (deleted and isinstance(answer, Bound)):
        # The caller is told that nothing is bound: what may be bound there is voided, so that this stays true.
        unit.orders.insert([order(policy, CarrierOrderKind.VOID, now)])
    if pending.assignment:
        _decide_again(unit, pending, policy, answer, now)
    else:
        quote = unit.quotes.find(pending.platform, [policy.quote])[policy.quote]
        issuing.settle(unit, quote, policy, policy.application_session, now)
    reply = answer_of(unit, pending, now, renders)
    if pending.request_id:
        unit.requests.settle(pending.platform, pending.request_id, reply.body)
    unit.pending.delete(pending)
    unit.trail.record(pending.platform, act(now, SERVER, ANSWERED, pending.settles))
    return reply


def answer_of(unit: Unit, pending: PendingBinding, now: datetime, renders: Renders) -> Reply:
    """What the caller is told once the policy is settled."""
    if pending.assignment:
        assignment = unit.assignments.find(pending.platform, [pending.assignment])[pending.assignment]
        respond = renders.responses.get(pending.face)
        response = respond(assignment) if respond else renders.created(assignment).response
        return decided(response, assignment.binding)
    policy = unit.policies.find(pending.platform, [pending.policy])[pending.policy]
    session = unit.sessions.find(pending.platform, [policy.application_session])[policy.application_session]
    return Reply(renders.completed(session, now))


def take_over(unit: Unit, now: datetime, lease: timedelta) -> list[tuple[Policy, PendingBinding]]:
    """Leases anew what nobody has settled in time. A live worker's lease is not over."""
    expired = unit.pending.expired(now, MOST_TAKEN_OVER)
    locked = unit.contractors.lock(entry.contractor for entry in expired)
    still = unit.pending.find([entry.policy for entry in expired])
    taken = []
    for entry in expired:
        if entry.contractor in locked or still.get(entry.policy) != entry:
            continue
        mine = replace(entry, token=new_id("token"), lease_expire_time=now + lease)
        unit.pending.lease(mine)
        taken.append((unit.policies.find(entry.platform, [entry.policy])[entry.policy], mine))
    return taken


def order(policy: Policy, kind: CarrierOrderKind, now: datetime) -> CarrierOrder:
    return CarrierOrder(
        platform=policy.platform,
        contractor=policy.contractor,
        policy=policy.id,
        kind=kind,
        due_time=now,
        revision=policy.revision,
    )


def _decide_again(unit: Unit, pending: PendingBinding, policy: Policy, answer: Answer, now: datetime) -> None:
    """A new decision, which rests on what the pending one did and on the carrier's answer."""
    last = unit.assignments.last_decision(pending.contractor, pending.assignment)
    assignment = last.assignment
    if policy.fail_reason is None:
        binding = replace(assignment.binding, outcome=BindingOutcome.COVERAGE_BOUND)
    else:
        binding = not_bound(assignment, policy, policy.fail_reason)
    facts: Evidence = {**last.facts, "policy": policy.id, "answer": type(answer).__name__}
    facts.pop("previous_end", None)  # it was extended by the pending decision
    decision = last.followed_by(binding, now, ANSWERED, facts)
    unit.assignments.decide_again(decision)
    covered = policy.fail_reason is None
    told = EventType.ASSIGNMENT_COVERED if covered else EventType.ASSIGNMENT_UNCOVERED
    unit.events.record(told, decision.assignment, now)
    issuing.catch_up(unit, decision, last.facts, now)
