"""Policies, and how they end."""

from dataclasses import replace
from datetime import datetime

from server.domain import matching
from server.domain.enums import PolicyStatus
from server.domain.errors import (
    InvalidFields,
    MatchingPolicyExists,
    NotFound,
    PolicyNotActive,
    PolicyNotCancelled,
    PolicyTermEnded,
    Violation,
)
from server.domain.ports import Unit
from server.domain.records import Policy
from server.service import contractors, ending
from server.service.context import Context
from server.service.issuing import Attempt
from server.service.once import Awaits
from server.service.paging import Place, paged


def get(unit: Unit, ctx: Context, policy_id: str) -> Policy:
    """Raises NotFound."""
    policy = unit.policies.find(ctx.platform, [policy_id]).get(policy_id)
    if policy is None:
        raise NotFound("policy", policy_id)
    return policy


def list_page(
    unit: Unit, ctx: Context, *, contractor: str, status: PolicyStatus | None, size: int, token: Place
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
    Raises NotFound, PolicyNotActive, InvalidFields, MatchingPolicyExists for a later end than was set before where
    another policy is in its place by now, and ConcurrentUpdate when it gave up.
    """
    unit.contractors.lock([get(unit, ctx, policy_id).contractor])
    policy = get(unit, ctx, policy_id)  # again: what was read before the lock may have changed
    status = matching.status_at(policy, ctx.now)
    if status not in ending.CAN_END:
        raise PolicyNotActive(policy=policy.id, status=status.name)
    time = _cancel_time(policy, effective_time, ctx.now)
    if policy.cancel_time is not None and time > policy.cancel_time:  # this part of its term is in force again
        again = max(policy.effective_time, policy.cancel_time)
        _require_its_place(unit, ctx, replace(policy, effective_time=again, expire_time=time))
    last = ending.resting_on(unit, ctx, [policy])
    if pending := ending.being_bound(last):
        return attempt.wait_for(pending)
    return ending.end(unit, ctx, [policy], reason, time, last)[0]


def reinstate(unit: Unit, ctx: Context, policy_id: str) -> Policy:
    """In force again, for those that it left uncovered too (issue 4, item 5).

    Raises NotFound, also for the contractor; PolicyNotCancelled, PolicyTermEnded, MatchingPolicyExists.
    """
    contractors.lock(unit, ctx, get(unit, ctx, policy_id).contractor)
    policy = get(unit, ctx, policy_id)  # again: what was read before the lock may have changed
    if policy.cancel_time is None:
        raise PolicyNotCancelled(policy=policy.id, status=matching.status_at(policy, ctx.now).name)
    if policy.expire_time <= ctx.now:
        raise PolicyTermEnded(policy=policy.id, expire_time=policy.expire_time.isoformat())
    _require_its_place(unit, ctx, policy)
    return ending.take_back(unit, ctx, policy)


def _require_its_place(unit: Unit, ctx: Context, policy: Policy) -> None:
    """Raises MatchingPolicyExists: another one would do."""
    live = unit.policies.live(ctx.platform, [policy.contractor]).get(policy.contractor, ())
    other = matching.in_its_place(policy, live, ctx.now)
    if other is not None:
        raise MatchingPolicyExists(policy=other.id)


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
