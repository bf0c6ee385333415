"""Policies."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from server.domain import matching
from server.domain.enums import CarrierOrderKind, PolicyStatus
from server.domain.errors import NotFound, PolicyNotActive
from server.domain.events import EventType
from server.domain.ports import Unit
from server.domain.records import Policy
from server.service.context import Context
from server.service.paging import paged
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


def cancel(unit: Unit, ctx: Context, policy_id: str, reason: str) -> Policy:
    """Ends matching at once; takes an expired policy too (spec 7). Raises NotFound, PolicyNotActive."""
    unit.contractors.lock([get(unit, ctx, policy_id).contractor])
    policy = get(unit, ctx, policy_id)
    if policy.status is not PolicyStatus.ACTIVE:
        raise PolicyNotActive(policy=policy.id, status=matching.status_at(policy, ctx.now).name)
    return end(unit, [policy], reason, ctx.now)[0]


def end(unit: Unit, policies: Sequence[Policy], reason: str, now: datetime) -> list[Policy]:
    """Cancels the policies, and owes it to a remote carrier to tell it."""
    ended = [replace(p, status=PolicyStatus.CANCELLED, cancel_time=now, cancel_reason=reason) for p in policies]
    unit.policies.update(ended)
    for policy in ended:
        unit.events.record(EventType.POLICY_CANCELLED, policy, now)
    owed = [order(policy, CarrierOrderKind.CANCEL, now) for policy in ended if policy.remote]
    if owed:
        unit.orders.insert(owed)
    return ended
