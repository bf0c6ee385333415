"""AssignmentService.CancelAssignment (issue 4, item 5), seen from outside."""

import asyncio
from datetime import timedelta

from grpc import StatusCode
from optin.v1 import event_service_pb2 as events_pb
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW, Clock
from tests.support.client import Client, refused

CANCELLED = pb.ASSIGNMENT_STATUS_CANCELLED
START = int(NOW.timestamp()) + 86_400
END = START + 86_400


async def test_before_it_starts_and_all_else_stays_as_it_was(any_client: Client, clock: Clock) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    made = (await client.assign(jane.id, job.id, start=START, end=END)).assignment
    policy = await client.policy(made.policy)
    clock.now += timedelta(hours=1)
    cancelled = await client.cancel_assignment(made.id, "the job fell through")
    assert (cancelled.status, cancelled.cancel_reason) == (CANCELLED, "the job fell through")
    assert cancelled.cancel_time.ToDatetime() == clock.now.replace(tzinfo=None)
    assert await client.get_assignment(made.id) == cancelled
    assert await client.assignments_of(jane.id) == [cancelled]
    assert (cancelled.binding, cancelled.policy) == (made.binding, made.policy)
    assert await client.policy(policy.id) == policy, "it may serve others"
    again = await client.assign(jane.id, job.id, start=START, end=END)
    assert (again.outcome, again.assignment.policy) == (pb.BINDING_OUTCOME_COVERAGE_REUSED, policy.id)


async def test_one_that_is_not_cancelled_says_nothing_of_it(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    made = (await client.assign(jane.id, job.id)).assignment
    assert not made.HasField("cancel_time")
    assert made.cancel_reason == ""


async def test_from_its_start_on_it_is_refused(any_client: Client, clock: Clock) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    made = (await client.assign(jane.id, job.id, start=START, end=END)).assignment
    start = NOW.fromtimestamp(START, NOW.tzinfo)
    clock.now = start
    refusal = await refused(client.cancel_assignment(made.id))
    assert (refusal.code, refusal.reason) == (StatusCode.FAILED_PRECONDITION, "ASSIGNMENT_STARTED")
    assert refusal.told == {"assignment": made.id, "effective_time": start.isoformat()}
    assert await client.get_assignment(made.id) == made
    clock.now = start - timedelta(microseconds=1)
    assert (await client.cancel_assignment(made.id)).status == CANCELLED


async def test_a_second_time_is_refused_and_changes_nothing(any_client: Client, clock: Clock) -> None:
    client = any_client
    made = (await client.assign((await client.opted_in()).id, (await client.job()).id, start=START, end=END)).assignment
    first = await client.cancel_assignment(made.id, "first", request_id="cancel-1")
    refusal = await refused(client.cancel_assignment(made.id, "second"))
    assert (refusal.code, refusal.reason) == (StatusCode.FAILED_PRECONDITION, "ASSIGNMENT_CANCELLED")
    assert refusal.told == {"assignment": made.id}
    clock.now += timedelta(days=30)
    assert await client.cancel_assignment(made.id, "first", request_id="cancel-1") == first, (
        "a repeat gets the first answer"
    )
    assert (await refused(client.cancel_assignment(made.id))).reason == "ASSIGNMENT_CANCELLED", (
        "though it would have started"
    )
    assert await client.get_assignment(made.id) == first


async def test_of_many_at_once_one_succeeds_and_its_event_is_told_once(any_client: Client) -> None:
    client = any_client
    made = (await client.assign((await client.opted_in()).id, (await client.job()).id, start=START, end=END)).assignment
    calls = [client.cancel_assignment(made.id, f"caller {number}") for number in range(6)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    [cancelled] = [end for end in ended if isinstance(end, pb.Assignment)]
    watched = client.events.WatchEvents(
        events_pb.WatchEventsRequest(types=["assignment.cancelled", "job_category.approved"])
    )
    await client.category()  # what is told twice would be before it
    async with asyncio.timeout(10):
        told = [(await anext(aiter(watched))).event for _ in range(3)]
    assert [event.type for event in told] == [
        "job_category.approved",
        "assignment.cancelled",
        "job_category.approved",
    ]
    assert (told[1].resource, told[1].assignment) == (made.id, cancelled)


async def test_a_quote_does_not_cover_what_was_cancelled(any_client: Client) -> None:
    client = any_client
    jane, job = await client.contractor(), await client.job()
    kept, dropped = [(await client.assign(jane.id, job.id, start=START, end=END)).assignment for _ in range(2)]
    dropped = await client.cancel_assignment(dropped.id)
    quote = await client.quote(jane.id, job.id)
    await client.issue(quote.id)
    assert (await client.get_assignment(kept.id)).binding.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
    assert await client.get_assignment(dropped.id) == dropped


async def test_bad_fields(client: Client) -> None:
    assert (await refused(client.cancel_assignment("", "x" * 501, "é"))).fields == {"id", "reason", "request_id"}
    missing = await refused(client.cancel_assignment("an_none"))
    assert (missing.code, missing.told["resource_type"]) == (StatusCode.NOT_FOUND, "assignment")
