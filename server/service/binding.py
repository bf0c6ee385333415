"""Policies as they are made: from what a decision wants, through what the carrier answers."""

from dataclasses import replace

from server.domain.carrier import Answer, Bound, Declined
from server.domain.decision import NewPolicy
from server.domain.enums import BindingReason, PolicyOrigin, PolicyStatus
from server.domain.records import Policy
from server.service.context import Context, new_id


def new_policy(ctx: Context, contractor: str, wanted: NewPolicy, number: int, *, remote: bool) -> Policy:
    """The policy to ask the carrier for."""
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
        origin=PolicyOrigin.GENERAL_OPT_IN,
        net_rate=wanted.net_rate,
        create_time=ctx.now,
        application_session=wanted.application_session,
        remote=remote,
    )


def settled(pending: Policy, answer: Answer) -> Policy:
    """The policy after the carrier's answer."""
    if isinstance(answer, Bound):
        return replace(pending, status=PolicyStatus.ACTIVE, carrier_policy_number=answer.carrier_policy_number)
    declined = isinstance(answer, Declined)
    reason = BindingReason.CARRIER_DECLINED if declined else BindingReason.CARRIER_UNAVAILABLE
    return replace(pending, status=PolicyStatus.FAILED, fail_reason=reason)
