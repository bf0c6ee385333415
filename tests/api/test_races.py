"""Races as facts: one server on each kind of database, and two servers on one PostgreSQL."""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any
from uuid import uuid4

import grpc
import pytest
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import resources_pb2 as pb

from tests.support.client import Client, Refusal, refused

BOUND, REUSED = pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED
CALLERS = 50


def turns(servers: list[Client], count: int = CALLERS) -> list[Client]:
    return [servers[number % len(servers)] for number in range(count)]


async def outcomes(calls: list[Coroutine[Any, Any, Any]]) -> tuple[list[Any], list[str]]:
    """What was answered, and the reasons of what was refused."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    answers = [result for result in results if not isinstance(result, BaseException)]
    errors = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert len(answers) + len(errors) == len(results)
    return answers, [Refusal(error).reason for error in errors]


async def test_one_contractor_job_and_state_bind_one_policy(servers: list[Client]) -> None:
    jane, job = await servers[0].opted_in(), await servers[0].job()
    calls = [client.assign(jane.id, job.id, request_id=str(uuid4())) for client in turns(servers)]
    answers, refusals = await outcomes(calls)
    assert refusals == []
    assert Counter(answer.outcome for answer in answers) == {BOUND: 1, REUSED: CALLERS - 1}
    (policy,) = await servers[0].policies_of(jane.id)
    assert {answer.assignment.policy for answer in answers} == {policy.id}
    assert policy.number == 1
    kept = await servers[-1].assignments_of(jane.id)
    assert {a.id for a in kept} == {answer.assignment.id for answer in answers}
    assert len(kept) == CALLERS


async def test_many_contractors_at_once_bind_a_policy_each(servers: list[Client]) -> None:
    people = await asyncio.gather(*(client.opted_in() for client in turns(servers, 6)))
    job = await servers[0].job()
    calls = [client.assign(people[n % 6].id, job.id) for n, client in enumerate(turns(servers, 48))]
    random.Random(6).shuffle(calls)
    answers, refusals = await outcomes(calls)
    assert refusals == []
    assert Counter(answer.outcome for answer in answers) == {BOUND: 6, REUSED: 42}
    for person in people:
        assert len(await servers[0].policies_of(person.id)) == 1


async def test_categories_at_once_are_numbered_without_gaps(servers: list[Client]) -> None:
    jane = await servers[0].opted_in()
    jobs = [(await servers[0].job()).id for _ in range(5)]
    calls = [client.assign(jane.id, jobs[n % 5]) for n, client in enumerate(turns(servers, 30))]
    answers, refusals = await outcomes(calls)
    assert refusals == []
    assert Counter(answer.outcome for answer in answers) == {BOUND: 5, REUSED: 25}
    assert [policy.number for policy in await servers[0].policies_of(jane.id)] == [1, 2, 3, 4, 5]


async def test_one_request_id_creates_one_assignment(servers: list[Client]) -> None:
    jane, job = await servers[0].opted_in(), await servers[0].job()
    request = assignments_pb.CreateAssignmentRequest(
        assignment=pb.Assignment(contractor=jane.id, job=job.id, coverage_types=[pb.COVERAGE_TYPE_WORKERS_COMP]),
        request_id=str(uuid4()),
    )
    calls = [client.raw("optin.v1.AssignmentService/CreateAssignment", request) for client in turns(servers)]
    answers, refusals = await outcomes(calls)
    assert refusals == []
    assert len({answer.body for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    made = assignments_pb.CreateAssignmentResponse.FromString(answers[0].body)
    assert made.outcome == BOUND
    assert await servers[-1].assignments_of(jane.id) == [made.assignment]
    assert len(await servers[-1].policies_of(jane.id)) == 1


async def test_more_calls_at_once_than_a_connection_carries(servers: list[Client]) -> None:
    """They wait at the client, on a new connection too."""
    for count in (250, 450):
        calls = [client.category(approved=False) for client in turns(servers, count)]
        answers, refusals = await outcomes(calls)
        assert (len({answer.code for answer in answers}), refusals) == (count, [])


async def test_one_email_creates_one_contractor(servers: list[Client]) -> None:
    emails = ("jane@example.com", "JANE@example.com")
    calls = [client.contractor(email=emails[n % 3 == 0]) for n, client in enumerate(turns(servers))]
    answers, refusals = await outcomes(calls)
    assert (len(answers), refusals) == (1, ["DUPLICATE_EMAIL"] * (CALLERS - 1))
    listed = await servers[-1].contractors.ListContractors(contractors_pb.ListContractorsRequest())
    assert list(listed.contractors) == answers


async def test_updates_of_one_job_keep_what_others_wrote(servers: list[Client]) -> None:
    job = await servers[0].job()
    for round_number in range(8):
        changes = [
            pb.Job(id=job.id, name=f"name {round_number}"),
            pb.Job(id=job.id, description=f"description {round_number}"),
            pb.Job(id=job.id, withhold_premium=round_number % 2 == 0),
            pb.Job(id=job.id, address=pb.Address(line1=f"{round_number} St", region="CA")),
        ]
        calls = [
            client.jobs.UpdateJob(jobs_pb.UpdateJobRequest(job=change))
            for client, change in zip(turns(servers, 4), changes, strict=True)
        ]
        await asyncio.gather(*calls)
        after = (await servers[0].jobs.GetJob(jobs_pb.GetJobRequest(id=job.id))).job
        assert (after.name, after.description) == (f"name {round_number}", f"description {round_number}")
        assert (after.withhold_premium, after.address.line1) == (round_number % 2 == 0, f"{round_number} St")


async def test_updates_of_one_contractor_keep_what_others_wrote(servers: list[Client]) -> None:
    jane = await servers[0].contractor()
    for round_number in range(8):
        changes = [
            pb.Contractor(id=jane.id, first_name=f"first {round_number}"),
            pb.Contractor(id=jane.id, last_name=f"last {round_number}"),
            pb.Contractor(id=jane.id, email=f"{round_number}@example.com"),
            pb.Contractor(id=jane.id, metadata={"round": str(round_number)}),
        ]
        calls = [
            client.contractors.UpdateContractor(contractors_pb.UpdateContractorRequest(contractor=change))
            for client, change in zip(turns(servers, 4), changes, strict=True)
        ]
        await asyncio.gather(*calls)
        after = (await servers[0].contractors.GetContractor(contractors_pb.GetContractorRequest(id=jane.id))).contractor
        assert (after.first_name, after.last_name) == (f"first {round_number}", f"last {round_number}")
        assert (after.email, dict(after.metadata)) == (f"{round_number}@example.com", {"round": str(round_number)})


async def test_a_deletion_comes_before_or_after_each_assignment(servers: list[Client]) -> None:
    job = await servers[0].job()
    for _ in range(5):
        jane = await servers[0].opted_in()
        calls: list[Coroutine[Any, Any, Any]] = [client.assign(jane.id, job.id) for client in turns(servers, 8)]
        calls.insert(4, servers[-1].delete(jane.id))
        answers, refusals = await outcomes(calls)
        assert set(refusals) <= {"RESOURCE_NOT_FOUND"}
        assert len(answers) + len(refusals) == 9
        policies = await servers[0].policies_of(jane.id)
        assert all(policy.status == pb.POLICY_STATUS_CANCELLED for policy in policies)
        assert len(policies) <= 1
        assert len(await servers[0].assignments_of(jane.id)) == len(answers) - 1


async def test_a_cancelled_policy_is_reused_before_or_not_at_all(servers: list[Client]) -> None:
    job = await servers[0].job()
    for _ in range(5):
        jane = await servers[0].opted_in()
        first = await servers[0].assign(jane.id, job.id)
        calls: list[Coroutine[Any, Any, Any]] = [client.assign(jane.id, job.id) for client in turns(servers, 8)]
        calls.insert(4, servers[-1].cancel_policy(first.assignment.policy))
        answers, refusals = await outcomes(calls)
        assert refusals == []
        assert len(answers) == 9
        assert len(await servers[0].policies_of(jane.id)) <= 2
        last = await servers[-1].assign(jane.id, job.id)
        assert last.assignment.policy != first.assignment.policy


async def test_of_two_reviewers_or_cancellers_one_is_told(servers: list[Client]) -> None:
    jane = await servers[0].opted_in()
    made = await servers[0].assign(jane.id, (await servers[0].job()).id)
    answers, refusals = await outcomes([c.cancel_policy(made.assignment.policy) for c in turns(servers, 6)])
    assert (len(answers), refusals) == (1, ["POLICY_NOT_ACTIVE"] * 5)
    session = made.assignment.binding.application_session
    answers, refusals = await outcomes([c.cancel_session(session) for c in turns(servers, 6)])
    assert (len(answers), refusals) == (1, ["APPLICATION_CLOSED"] * 5)
    answers, refusals = await outcomes([c.delete(jane.id) for c in turns(servers, 6)])
    assert (len(answers), refusals) == (1, ["RESOURCE_NOT_FOUND"] * 5)


@pytest.mark.parametrize("seed", range(2))
async def test_callers_that_go_away(servers: list[Client], seed: int) -> None:
    """100 calls cancelled at random: each ended in a commit or not at all, and its repeat learns which."""
    moments = random.Random(seed)
    jane, job = await servers[0].opted_in(), await servers[0].job()

    async def leaving(client: Client, number: int) -> None:
        calls = [client.assign(jane.id, job.id, request_id=str(number)), client.policies_of(jane.id)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(moments.uniform(0, 0.15))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    await asyncio.gather(*(leaving(client, number) for number, client in enumerate(turns(servers, 100))))
    kept = {assignment.id for assignment in await servers[0].assignments_of(jane.id)}

    calls = [client.assign(jane.id, job.id, request_id=str(n)) for n, client in enumerate(turns(servers, 100))]
    answers, refusals = await outcomes(calls)
    assert refusals == []
    made = {answer.assignment.id for answer in answers}
    assert len(made) == 100
    assert kept <= made, "what was committed is what the repeat gets"
    assert {a.id for a in await servers[-1].assignments_of(jane.id)} == made, "and nothing is doubled"
    assert len(await servers[-1].policies_of(jane.id)) == 1
    assert Counter(answer.outcome for answer in answers) == {BOUND: 1, REUSED: 99}
    assert (await refused(servers[-1].assign(jane.id, "jb_1"))).reason == "RESOURCE_NOT_FOUND"


async def test_applications_and_assignments_at_once_issue_one_policy(servers: list[Client]) -> None:
    """Sessions of two quotes, completed beside an opt-in's assignments: one policy would do, and one there is."""
    client = servers[0]
    jane, job = await client.opted_in(), await client.job()
    quotes = [(await client.quote(jane.id, job.id)).id for _ in range(2)]
    sessions = [(await client.quote_session(quotes[number % 2])).id for number in range(6)]
    for session in sessions:
        await client.fill_in(session)
    calls: list[Coroutine[Any, Any, Any]] = [
        caller.submit(session, final_review={}) for caller, session in zip(turns(servers, 6), sessions, strict=True)
    ]
    calls += [caller.assign(jane.id, job.id, start=None, end=None) for caller in turns(servers, 6)]
    random.Random(6).shuffle(calls)
    answers, refusals = await outcomes(calls)
    assert (len(answers), refusals) == (8, ["QUOTE_ALREADY_ISSUED"] * 4)
    (policy,) = await client.policies_of(jane.id)
    assert {(await client.get_quote(quote)).policy for quote in quotes} == {policy.id}
    assert {made.policy for made in await client.assignments_of(jane.id)} == {policy.id}
