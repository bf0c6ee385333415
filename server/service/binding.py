"""Policies as they are made: from what a decision wants, through what the carrier answers.

A carrier that issues inside the unit settles the policy there and then. A remote one is asked between two units: the
first one stores the policy as PENDING with a `PendingBinding`, and leaves `Asked`.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from server.domain.carrier import Answer, Bound, Carrier, Declined, PendingBinding
from server.domain.decision import NewPolicy
from server.domain.enums import BindingReason, PolicyStatus
from server.domain.events import OF_POLICY
from server.domain.ports import Unit
from server.domain.records import Policy
from server.service.context import Context, new_id


@dataclass(frozen=True, slots=True)
class Asked:
    """A call's result when a remote carrier is to be asked for the policy, between this unit and the next."""

    policy: Policy
    pending: PendingBinding


@dataclass(frozen=True, kw_only=True, slots=True)
class Binder:
    """How policies are bound."""

    carrier: Carrier | None  # None: a remote one, which is asked between two units
    lease: timedelta  # how long a remote carrier may be asked before another worker takes over

    def bind(self, ctx: Context, contractor: str, wanted: NewPolicy, number: int) -> Policy:
        """The new policy: settled, or PENDING where a remote carrier is to be asked for it."""
        policy = _new_policy(ctx, contractor, wanted, number, remote=self.carrier is None)
        return policy if self.carrier is None else settled(policy, self.carrier.issue(policy))

    def insert(self, unit: Unit, ctx: Context, contractor: str, wanted: NewPolicy) -> Policy:
        """As `bind`, with the contractor's next number, and kept; the contractor is locked."""
        number = unit.policies.last_numbers(ctx.platform, [contractor]).get(contractor, 0) + 1
        policy = self.bind(ctx, contractor, wanted, number)
        unit.policies.insert([policy])
        unit.events.record(OF_POLICY[policy.status], policy, ctx.now)
        return policy

    def ask(self, unit: Unit, ctx: Context, policy: Policy, *, assignment: str = "", request_id: str) -> Asked:
        """Keeps what is settled with a PENDING policy, as `pending` has it."""
        asked = Asked(policy, self.pending(ctx, policy, assignment=assignment, request_id=request_id))
        unit.pending.insert([asked.pending])
        return asked

    def pending(self, ctx: Context, policy: Policy, *, assignment: str = "", request_id: str) -> PendingBinding:
        """What is settled with a PENDING policy: an assignment, or else the policy's quote."""
        return PendingBinding(
            platform=ctx.platform,
            contractor=policy.contractor,
            policy=policy.id,
            assignment=assignment,
            request_id=request_id,
            token=new_id("token"),
            face=ctx.face,
            lease_expire_time=ctx.now + self.lease,
        )


def _new_policy(ctx: Context, contractor: str, wanted: NewPolicy, number: int, *, remote: bool) -> Policy:
    return Policy(
        id=new_id("pl"),
        platform=ctx.platform,
        contractor=contractor,
        number=number,
        coverage_types=wanted.coverage_types,
        work_state=wanted.work_state,
        residence_state=wanted.residence_state,
        category_code=wanted.category_code,
        effective_time=wanted.term.start,
        expire_time=wanted.term.end,
        status=PolicyStatus.PENDING,
        origin=wanted.origin,
        net_rate=wanted.net_rate,
        create_time=ctx.now,
        application_session=wanted.application_session,
        quote=wanted.quote,
        remote=remote,
    )


def settled(pending: Policy, answer: Answer) -> Policy:
    """The policy after the carrier's answer."""
    if isinstance(answer, Bound):
        return replace(pending, status=PolicyStatus.ACTIVE, carrier_policy_number=answer.carrier_policy_number)
    declined = isinstance(answer, Declined)
    reason = BindingReason.CARRIER_DECLINED if declined else BindingReason.CARRIER_UNAVAILABLE
    return replace(pending, status=PolicyStatus.FAILED, fail_reason=reason)
