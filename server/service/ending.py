"""Policies as they end or come back: told, owed to a remote carrier, and their assignments decided anew."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from server.domain import anew
from server.domain.enums import BindingOutcome, CarrierOrderKind, PolicyStatus
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.records import DecisionRecord, Policy
from server.service import redeciding
from server.service.context import Context
from server.service.redeciding import Loss
from server.service.settling import order

CAN_END = (PolicyStatus.ACTIVE, PolicyStatus.EXPIRED)
"""How a policy reads that may be cancelled."""


def resting_on(unit: Unit, ctx: Context, policies: Sequence[Policy]) -> Sequence[DecisionRecord]:
    """The last decision about each assignment that names some of the policies, which are of one contractor."""
    return unit.assignments.naming(ctx.platform, policies[0].contractor, [policy.id for policy in policies])


def being_bound(last: Sequence[DecisionRecord]) -> str:
    """The policy that one of the assignments waits for: when that is settled it is decided anew, and not in between.
    Empty: none waits."""
    bindings = [entry.assignment.binding for entry in last]
    pending = (binding for binding in bindings if binding.outcome is BindingOutcome.BINDING_PENDING)
    return next((binding.policies[-1] for binding in pending), "")


def end(
    unit: Unit,
    ctx: Context,
    policies: Sequence[Policy],
    reason: str,
    time: datetime,
    last: Sequence[DecisionRecord],
) -> list[Policy]:
    """Cancels policies of one contractor, now or later. `last`: about the assignments that rest on them."""
    status = PolicyStatus.ACTIVE if time > ctx.now else PolicyStatus.CANCELLED
    ended = [
        replace(p, status=status, cancel_time=time, cancel_reason=reason, revision=p.revision + 1) for p in policies
    ]
    _keep(unit, ctx, ended, EventType.POLICY_CANCELLED, CarrierOrderKind.CANCEL)
    redeciding.after_loss(unit, ctx, ended[0].contractor, _losses(unit, ctx, last))
    return ended


def take_back(unit: Unit, ctx: Context, policy: Policy) -> Policy:
    """The policy in force again, as if it had not been cancelled."""
    policy = replace(
        policy, status=PolicyStatus.ACTIVE, cancel_time=None, cancel_reason="", revision=policy.revision + 1
    )
    _keep(unit, ctx, [policy], EventType.POLICY_REINSTATED, CarrierOrderKind.REINSTATE)
    redeciding.after_reinstatement(unit, ctx, policy)
    # Where it covers a part again that a later one had taken over, that one may have ended before its own part.
    redeciding.after_loss(unit, ctx, policy.contractor, _losses(unit, ctx, resting_on(unit, ctx, [policy])))
    return policy


def _keep(unit: Unit, ctx: Context, changed: Sequence[Policy], told: EventType, kind: CarrierOrderKind) -> None:
    unit.policies.update(changed)
    for policy in changed:
        unit.events.record(told, policy, ctx.now)
    owed = [order(policy, kind, ctx.now) for policy in changed if policy.remote]
    if owed:
        unit.orders.insert(owed)


def _losses(unit: Unit, ctx: Context, last: Sequence[DecisionRecord]) -> list[Loss]:
    """Of the assignments, those that have policies which do not cover any part of them any more."""
    named = unit.policies.find(ctx.platform, {id_ for entry in last for id_ in entry.assignment.binding.policies})
    losses = []
    for entry in last:
        assignment, binding = entry.assignment, entry.assignment.binding
        if binding.outcome is not BindingOutcome.BINDING_PENDING:  # one that is being bound is settled first
            its = [named[id_] for id_ in binding.policies]
            gone = anew.lost(assignment.coverage_types, assignment.effective_time, its)
            losses += [Loss(entry, gone)] if gone else []
    return losses
