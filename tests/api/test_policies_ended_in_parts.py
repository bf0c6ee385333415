"""What becomes of assignments of which several policies cover parts, or types, when one ends or is back (issue 4)."""

import asyncio

from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW
from tests.support.client import WORKERS_COMP, Client

BOUND, REUSED = pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED
STANDARD_WORKFLOW = pb.BINDING_OUTCOME_STANDARD_WORKFLOW
NO_OPT_IN = pb.BINDING_REASON_NO_GENERAL_OPT_IN
GENERAL = pb.COVERAGE_TYPE_GENERAL
DAY = 86_400
TODAY = int(NOW.timestamp()) // DAY * DAY
SPRING = TODAY + 300 * DAY


async def job_for_both(client: Client) -> str:
    code = (await client.category()).code
    await client.approve(code, WORKERS_COMP, GENERAL)
    return (await client.job(code)).id


async def in_two_parts(client: Client) -> tuple[pb.Assignment, str, str]:
    """An assignment that is extended beyond its policy's term, with the policies of its two parts."""
    jane, job = await client.opted_in(), await client.job()
    first = (await client.assign(jane.id, job.id, start=TODAY + DAY, end=TODAY + 3 * DAY)).assignment.policy
    made = (await client.assign(jane.id, job.id, start=SPRING, end=SPRING + 30 * DAY)).assignment
    assert made.policy == first
    extended = (await client.extend(made.id, SPRING + 200 * DAY)).assignment
    assert extended.binding.policies[0] == first
    return extended, first, extended.binding.policies[1]


async def test_each_part_gets_its_policy_back(audited: Client) -> None:
    extended, first, second = await in_two_parts(audited)
    for policy, other in ((first, second), (second, first)):
        await audited.cancel_policy(policy)
        binding = (await audited.get_assignment(extended.id)).binding
        assert (binding.outcome, list(binding.policies)) == (STANDARD_WORKFLOW, [other])
        assert binding.standard_workflow_coverage_types == [WORKERS_COMP]
        await audited.reinstate(policy)
        binding = (await audited.get_assignment(extended.id)).binding
        assert (binding.outcome, set(binding.policies)) == (REUSED, {first, second})
        assert binding.net_rate == extended.binding.net_rate
        assert not binding.standard_workflow_coverage_types
    told = ["assignment.created", "assignment.extended", *["assignment.uncovered", "assignment.covered"] * 2]
    async with asyncio.timeout(10):
        while await audited.told(extended.id, "assignment.covered") != told:
            await asyncio.sleep(0.05)


async def test_a_part_that_has_not_begun_loses_its_policy(audited: Client) -> None:
    """Though the policy, which the part reuses, began before the assignment's beginning."""
    client = audited
    jane, job = await client.opted_in(), await client.job()
    early, late = TODAY - 340 * DAY, TODAY - 2 * DAY
    first = (await client.assign(jane.id, job.id, start=early, end=early + DAY)).assignment.policy
    under_way = (await client.assign(jane.id, job.id, start=TODAY - 5 * DAY, end=TODAY + 5 * DAY)).assignment
    second = (await client.assign(jane.id, job.id, start=late, end=TODAY + 200 * DAY)).assignment.policy
    extended = (await client.extend(under_way.id, TODAY + 100 * DAY)).assignment
    assert list(extended.binding.policies) == [first, second]
    await client.cancel_policy(second, time=TODAY + 10 * DAY)  # the first one ends on TODAY + 25
    binding = (await client.get_assignment(under_way.id)).binding
    assert (binding.outcome, list(binding.policies)) == (STANDARD_WORKFLOW, [first])
    assert binding.standard_workflow_coverage_types == [WORKERS_COMP]
    await client.told(under_way.id, "assignment.uncovered")


async def test_types_come_back_one_by_one_and_why_the_opt_in_does_not_apply_is_told_all_along(audited: Client) -> None:
    client = audited
    jane, job = await client.contractor(), await job_for_both(client)
    made = (await client.assign(jane.id, job, WORKERS_COMP, GENERAL, start=SPRING, end=SPRING + DAY)).assignment
    assert list(made.binding.reasons) == [NO_OPT_IN]
    for type_ in (WORKERS_COMP, GENERAL):
        await client.issue((await client.quote(jane.id, job, type_, start=SPRING, end=SPRING + DAY)).id)
    policies = list((await client.get_assignment(made.id)).binding.policies)
    for policy in policies:
        await client.cancel_policy(policy)
    binding = (await client.get_assignment(made.id)).binding
    assert (binding.outcome, list(binding.policies)) == (STANDARD_WORKFLOW, [])
    assert list(binding.reasons) == [NO_OPT_IN]
    for back, policy in enumerate(policies, 1):
        await client.reinstate(policy)
        binding = (await client.get_assignment(made.id)).binding
        assert (binding.outcome, list(binding.policies)) == (REUSED, policies[:back])
        assert list(binding.standard_workflow_coverage_types) == [GENERAL][back - 1 :]


async def extended_without_cover(client: Client) -> tuple[pb.Assignment, str]:
    """An assignment whose first part alone is covered, and that part's policy."""
    jane, job = await client.contractor(), (await client.job()).id
    session = await client.session(jane.id)
    await client.apply(session.id)
    await client.assign(jane.id, job, start=TODAY + DAY, end=TODAY + 3 * DAY)
    made = (await client.assign(jane.id, job, start=SPRING, end=SPRING + 30 * DAY)).assignment
    await client.cancel_session(session.id)
    extended = (await client.extend(made.id, SPRING + 100 * DAY)).assignment
    assert (extended.binding.outcome, list(extended.binding.policies)) == (STANDARD_WORKFLOW, [made.policy])
    return extended, made.policy


async def test_a_first_part_gets_its_policy_back_though_the_rest_has_none(audited: Client) -> None:
    extended, policy = await extended_without_cover(audited)
    await audited.cancel_policy(policy)
    assert not (await audited.get_assignment(extended.id)).binding.policies
    await audited.reinstate(policy)
    binding = (await audited.get_assignment(extended.id)).binding
    assert list(binding.policies) == [policy]
    assert binding.standard_workflow_coverage_types == [WORKERS_COMP], "of the rest"
    told = await audited.told(extended.id, "assignment.covered")
    assert told[2:] == ["assignment.uncovered", "assignment.uncovered", "assignment.covered"]


async def test_who_loses_the_policy_of_a_first_part_may_get_one_for_everything(audited: Client) -> None:
    client = audited
    extended, policy = await extended_without_cover(client)
    await client.apply((await client.session(extended.contractor)).id)
    whole = await client.assign(extended.contractor, extended.job, start=SPRING - 100 * DAY, end=SPRING + 150 * DAY)
    assert whole.outcome == BOUND
    await client.cancel_policy(policy)
    binding = (await client.get_assignment(extended.id)).binding
    assert (binding.outcome, list(binding.policies)) == (REUSED, [whole.assignment.policy])
    assert not binding.standard_workflow_coverage_types
