"""The second unit of a remote binding: settles the policy and its assignment with what the carrier answered."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from server.domain.carrier import Answer, Bound, NotAsked, NotKnown
from server.domain.decision import failed
from server.domain.enums import BindingOutcome, CarrierOrderKind
from server.domain.events import OF_POLICY, EventType
from server.domain.ports import CarrierOrder, DecisionRecord, PendingBinding, Unit
from server.domain.records import Assignment, Policy
from server.service.binding import settled
from server.service.context import new_id
from server.service.events import Rendered, new_event
from server.service.once import Reply

ANSWERED = "carrier.answered"
MOST_TAKEN_OVER = 20


def settle(
    unit: Unit, pending: PendingBinding, answer: Answer, now: datetime, render: Callable[[Assignment], Rendered]
) -> Reply | None:
    """The answer to who created the assignment; None when another worker has taken over."""
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
        # The caller is told BINDING_FAILED: what may be bound there is voided, so that this stays true.
        unit.orders.insert([order(policy, CarrierOrderKind.VOID, now)])
    reply = _decide_again(unit, pending, policy, answer, now, render)
    unit.pending.delete(pending)
    return reply


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
        platform=policy.platform, contractor=policy.contractor, policy=policy.id, kind=kind, due_time=now
    )


def _decide_again(
    unit: Unit,
    pending: PendingBinding,
    policy: Policy,
    answer: Answer,
    now: datetime,
    render: Callable[[Assignment], Rendered],
) -> Reply:
    assignment = unit.assignments.find(pending.platform, [pending.assignment])[pending.assignment]
    if policy.fail_reason is None:
        binding = replace(assignment.binding, outcome=BindingOutcome.COVERAGE_BOUND)
    else:
        binding = failed(assignment.binding, assignment.coverage_types, policy.fail_reason)
    decision = DecisionRecord(
        assignment=replace(assignment, binding=binding),
        number=unit.assignments.last_decision(assignment) + 1,
        decide_time=now,
        trigger=ANSWERED,
        facts={"policy": policy.id, "answer": type(answer).__name__},
    )
    unit.assignments.decide_again(decision)
    rendered = render(decision.assignment)
    covered = policy.fail_reason is None
    told = EventType.ASSIGNMENT_COVERED if covered else EventType.ASSIGNMENT_UNCOVERED
    unit.events.add(new_event(told, decision.assignment, now, rendered.data))
    reply = Reply(rendered.response, outcome=binding.outcome.name)
    if pending.request_id:
        unit.requests.settle(pending.platform, pending.request_id, reply.body)
    return reply
