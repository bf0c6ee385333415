"""Policies, and how they end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from server.domain import matching
from server.domain.enums import BindingOutcome, CarrierOrderKind, PolicyStatus
from server.domain.errors import (
    ConcurrentUpdate,
    InvalidFields,
    MatchingPolicyExists,
    NotFound,
    PolicyNotActive,
    PolicyNotCancelled,
    PolicyTermEnded,
    Violation,
)
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.records import Assignment, Policy
from server.service import redeciding
from server.service.context import Context
from server.service.issuing import Attempt
from server.service.once import Awaits
from server.service.paging import paged
from server.service.redeciding import Loss
from server.service.settling import order


def get(unit: Unit, ctx: Context, policy_id: str) -> Policy:
    """Raises NotFound."""
    policy = unit.policies.find(ctx.platform, [policy_id]).get(policy_id)
    if policy is None:
        raise NotFound("policy", policy_id)
    return policy


def list_page(
    unit: Unit, ctx: Context, *, contractor: str, status: PolicyStatus | None, size: int, token: str
) -> tuple[list[Policy], str]:
    return paged(
        lambda page: unit.policies.page(ctx.platform, page, now=ctx.now, contractor=contractor, status=status),
        lambda policy: policy.id,
        size=size,
        token=token,
        bound_to=("policies", ctx.platform, contractor, status),
    )


def cancel(
    unit: Unit, ctx: Context, attempt: Attempt, policy_id: str, reason: str, effective_time: datetime | None
) -> Policy | Awaits:
    """Ends its cover, at once unless a time is given; assignments that start later are decided anew (issue 4, item 5).

    Where the answer is Awaits, nothing was written. Takes an expired policy too, at once (spec 7).
    Raises NotFound, PolicyNotActive, InvalidFields, and ConcurrentUpdate when it gave up.
    """
    policy = _locked(unit, ctx, policy_id)
    if policy.status is not PolicyStatus.ACTIVE or matching.status_at(policy, ctx.now) is PolicyStatus.CANCELLED:
        raise PolicyNotActive(policy=policy.id, status=matching.status_at(policy, ctx.now).name)
    time = _cancel_time(policy, effective_time, ctx.now)
    for last in unit.assignments.naming(ctx.platform, policy.contractor, [policy.id]):
        binding = last.assignment.binding
        if binding.outcome is BindingOutcome.BINDING_PENDING:  # decided anew when that is settled, not in between
            if attempt.gave_up:
                raise ConcurrentUpdate
            return Awaits(binding.policies[-1])
    return end(unit, ctx, [policy], reason, time)[0]


def end(unit: Unit, ctx: Context, policies: Sequence[Policy], reason: str, time: datetime) -> list[Policy]:
    """Cancels policies of one contractor, now or later, and owes it to a remote carrier to tell it."""
    status = PolicyStatus.ACTIVE if time > ctx.now else PolicyStatus.CANCELLED
    ended = [
        replace(p, status=status, cancel_time=time, cancel_reason=reason, revision=p.revision + 1) for p in policies
    ]
    _keep(unit, ctx, ended, EventType.POLICY_CANCELLED, CarrierOrderKind.CANCEL)
    contractor = ended[0].contractor
    last = unit.assignments.naming(ctx.platform, contractor, [policy.id for policy in ended])
    losses = [Loss(entry, frozenset(p.id for p in ended if _loses(entry.assignment, p))) for entry in last]
    redeciding.after_loss(unit, ctx, contractor, [loss for loss in losses if loss.policies])
    return ended


def reinstate(unit: Unit, ctx: Context, policy_id: str) -> Policy:
    """In force again, for those that it left uncovered too (issue 4, item 5).

    Raises NotFound, also for the contractor; PolicyNotCancelled, PolicyTermEnded, MatchingPolicyExists.
    """
    policy = _locked(unit, ctx, policy_id)
    contractors = unit.contractors.find(ctx.platform, [policy.contractor])
    if contractors[policy.contractor].delete_time is not None:
        raise NotFound("contractor", policy.contractor)
    if policy.cancel_time is None:
        raise PolicyNotCancelled(policy=policy.id, status=matching.status_at(policy, ctx.now).name)
    if policy.expire_time <= ctx.now:
        raise PolicyTermEnded(policy=policy.id, expire_time=policy.expire_time.isoformat())
    live = unit.policies.live(ctx.platform, [policy.contractor]).get(policy.contractor, ())
    other = matching.in_its_place(policy, live, ctx.now)
    if other is not None:
        raise MatchingPolicyExists(policy=other.id)
    policy = replace(
        policy, status=PolicyStatus.ACTIVE, cancel_time=None, cancel_reason="", revision=policy.revision + 1
    )
    _keep(unit, ctx, [policy], EventType.POLICY_REINSTATED, CarrierOrderKind.REINSTATE)
    redeciding.after_reinstatement(unit, ctx, policy)
    return policy


def _locked(unit: Unit, ctx: Context, policy_id: str) -> Policy:
    unit.contractors.lock([get(unit, ctx, policy_id).contractor])
    return get(unit, ctx, policy_id)  # again: what was read before the lock may have changed


def _cancel_time(policy: Policy, wanted: datetime | None, now: datetime) -> datetime:
    if wanted is None:
        return now
    if policy.expire_time <= now:
        rule = "must be left out: the policy's term has ended"
    elif not now <= wanted <= policy.expire_time:
        rule = "must be from now to the policy's expire_time"
    else:
        return wanted
    raise InvalidFields([Violation("effective_time", rule)])


def _keep(unit: Unit, ctx: Context, changed: Sequence[Policy], told: EventType, kind: CarrierOrderKind) -> None:
    unit.policies.update(changed)
    for policy in changed:
        unit.events.record(told, policy, ctx.now)
    owed = [order(policy, kind, ctx.now) for policy in changed if policy.remote]
    if owed:
        unit.orders.insert(owed)


def _loses(assignment: Assignment, ended: Policy) -> bool:
    """Whether the policy covers it, and only from its own end on; one that is being bound is settled first."""
    binding = assignment.binding
    if ended.id not in binding.policies or binding.outcome is BindingOutcome.BINDING_PENDING:
        return False
    return max(assignment.effective_time, ended.effective_time) >= ended.end
