"""Quotes with a remote carrier: completing an application asks it between two units, as an assignment does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import grpc
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import quote_service_pb2 as quotes_pb
from optin.v1 import resources_pb2 as pb

from server.app import running
from server.config import Settings
from server.domain.carrier import Declined, NotAsked, NotKnown
from tests.conftest import NOW, Clock, Serving
from tests.support.client import WORKERS_COMP, Client, refused
from tests.support.postgres import PostgresCluster
from tests.test_remote import Carrier

DAY = 86_400
TOMORROW = int(NOW.timestamp()) // DAY * DAY + DAY
DATES = {"start": TOMORROW, "end": TOMORROW + 5 * DAY}
GENERAL = pb.COVERAGE_TYPE_GENERAL
OPEN, ISSUED = pb.QUOTE_STATUS_OPEN, pb.QUOTE_STATUS_ISSUED
COMPLETE = pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE
BOUND, PENDING = pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_BINDING_PENDING
FAILED = pb.BINDING_OUTCOME_BINDING_FAILED


async def filled_in(client: Client, quote: str) -> str:
    session = (await client.quote_session(quote)).id
    await client.fill_in(session)
    return session


def finish(client: Client, session: str, request_id: str = "") -> "asyncio.Future[pb.ApplicationSession]":
    async def submit() -> pb.ApplicationSession:
        request = sessions_pb.SubmitApplicationStepRequest(id=session, final_review={}, request_id=request_id)
        return (await client.sessions.SubmitApplicationStep(request)).application_session

    return asyncio.ensure_future(submit())


async def until(condition: Callable[[], Awaitable[object] | object]) -> None:
    async with asyncio.timeout(10):
        while True:
            held: Any = condition()
            if await held if isinstance(held, Awaitable) else held:
                return
            await asyncio.sleep(0.01)


async def test_completion_asks_the_carrier_between_two_units(serve: Serving, database_url: str) -> None:
    carrier = Carrier()
    carrier.go.clear()
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.contractor(), await client.job()
        waiting = (await client.assign(jane.id, job.id, **DATES)).assignment
        quote = await client.quote(jane.id, job.id)
        first, second = await filled_in(client, quote.id), await filled_in(client, quote.id)
        done = finish(client, first, "a")
        await until(lambda: carrier.asked)
        repeat, late = finish(client, first, "a"), finish(client, second)
        assigning = asyncio.ensure_future(client.assign(jane.id, job.id, **DATES))  # it would match, so it waits too
        (policy,) = await client.policies_of(jane.id)
        assert (policy.status, policy.quote) == (pb.POLICY_STATUS_PENDING, quote.id)
        assert (await client.get_session(first)).status == COMPLETE
        assert (await client.get_quote(quote.id)).status == OPEN
        assert (await client.get_assignment(waiting.id)) == waiting
        change = quotes_pb.UpdateQuoteRequest(quote=pb.Quote(id=quote.id, job=job.id))
        assert (await refused(client.quotes.UpdateQuote(change))).reason == "CONCURRENT_UPDATE"
        assert not done.done()
        carrier.go.set()

        assert (await done) == (await repeat) == await client.get_session(first)
        assert (await refused(late)).reason == "QUOTE_ALREADY_ISSUED"
        reused = await assigning
        assert (reused.outcome, reused.assignment.policy) == (pb.BINDING_OUTCOME_COVERAGE_REUSED, policy.id)
        issued = await client.get_quote(quote.id)
        assert (issued.status, issued.policy) == (ISSUED, policy.id)
        assert (await client.policy(policy.id)).status == pb.POLICY_STATUS_ACTIVE
        covered = await client.get_assignment(waiting.id)
        assert (covered.policy, covered.binding.outcome) == (policy.id, BOUND)
        assert carrier.asked == [policy.id]
        assert await finish(client, first, "a") == await done


async def test_a_quote_that_the_carrier_does_not_bind_stays_open(serve: Serving, database_url: str) -> None:
    """Declined, not asked, not known: the session is complete, and a new one may try again."""
    carrier = Carrier()
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.contractor(), await client.job()
        waiting = (await client.assign(jane.id, job.id, **DATES)).assignment
        quote = await client.quote(jane.id, job.id)
        for answer in (Declined(), NotAsked(), NotKnown()):
            carrier.answer = answer
            assert (await client.issue(quote.id)).status == COMPLETE
            assert (await client.policies_of(jane.id))[-1].status == pb.POLICY_STATUS_FAILED
            assert await client.get_quote(quote.id) == quote
        assert await client.get_assignment(waiting.id) == waiting
        await until(lambda: carrier.voided)
        assert carrier.voided == carrier.asked[2:]
        carrier.answer = None
        await client.issue(quote.id)
        policy = (await client.policies_of(jane.id))[-1]
        assert (policy.number, (await client.get_quote(quote.id)).policy) == (4, policy.id)


async def test_a_policy_that_is_being_bound_for_an_assignment_is_waited_for(serve: Serving, database_url: str) -> None:
    carrier = Carrier()
    carrier.go.clear()
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, job = await client.opted_in(), await client.job()
        quote = await client.quote(jane.id, job.id, **DATES)
        session = await filled_in(client, quote.id)
        assigning = asyncio.ensure_future(client.assign(jane.id, job.id, **DATES))
        await until(lambda: carrier.asked)
        done = finish(client, session)
        await asyncio.sleep(0.1)
        assert (await client.get_session(session)).status == pb.APPLICATION_SESSION_STATUS_STARTED
        carrier.go.set()
        policy = (await assigning).assignment.policy
        assert (await done).status == COMPLETE
        assert ((await client.get_quote(quote.id)).policy, len(carrier.asked)) == (policy, 1)


async def test_one_that_waits_too_long_changes_nothing(serve: Serving) -> None:
    carrier = Carrier()
    carrier.go.clear()
    async with serve(carrier=carrier, carrier_timeout=timedelta(seconds=0.2)) as client:
        jane, job = await client.opted_in(), await client.job()
        quote = await client.quote(jane.id, job.id, **DATES)
        session = await filled_in(client, quote.id)
        assigning = asyncio.ensure_future(client.assign(jane.id, job.id, **DATES))
        await until(lambda: carrier.asked)
        assert (await refused(finish(client, session, "a"))).reason == "CONCURRENT_UPDATE"
        assert (await client.get_session(session)).step == pb.APPLICATION_STEP_FINAL_REVIEW
        carrier.go.set()
        await assigning
        assert (await finish(client, session, "a")).status == COMPLETE


async def test_an_assignment_that_is_being_bound_gets_the_rest_when_it_is_settled(
    serve: Serving, database_url: str
) -> None:
    """Of two policies under way for one assignment, whichever comes first."""
    slow, carrier = asyncio.Event(), Carrier()
    bind = carrier.bind

    async def bind_opt_ins_late(policy: Any) -> Any:
        if not policy.quote:
            await slow.wait()
        return await bind(policy)

    carrier.bind = bind_opt_ins_late  # type: ignore[method-assign]
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, category = await client.opted_in(), await client.category()
        await client.approve(category.code, GENERAL)
        job = await client.job(category.code)
        quote = await client.quote(jane.id, job.id, GENERAL)
        assigning = asyncio.ensure_future(client.assign(jane.id, job.id, WORKERS_COMP, GENERAL, **DATES))
        await until(lambda: client.policies_of(jane.id))
        await client.issue(quote.id)
        (pending,) = await client.assignments_of(jane.id)
        assert pending.binding.outcome == PENDING
        slow.set()
        made = await assigning
        by_opt_in, by_quote = await client.policies_of(jane.id)
        assert made.assignment.binding.policies == [by_opt_in.id, by_quote.id]
        assert (made.outcome, list(made.assignment.binding.standard_workflow_coverage_types)) == (BOUND, [])
        decisions = await client.decisions(pending.id)
        assert [d.trigger for d in decisions] == ["assignment.created", "carrier.answered", "quote.issued"]
        session = decisions[0].application_session
        assert (decisions[1].application_session, decisions[1].policy) == (session, by_opt_in.id)
        assert decisions[1].approval == decisions[0].approval


async def test_a_policy_that_was_there_before_an_assignment_is_bound_is_none_that_was_issued_meanwhile(
    serve: Serving, database_url: str
) -> None:
    """The carrier's answer decides, and an earlier quote's policy stands in for nothing, as with our own."""
    carrier = Carrier()
    async with serve(database_url=database_url, carrier=carrier) as client:
        jane, category = await client.opted_in(), await client.category()
        await client.approve(category.code, GENERAL)
        job = await client.job(category.code)
        await client.issue((await client.quote(jane.id, job.id, GENERAL)).id)
        carrier.answer = Declined()
        failed = await client.assign(jane.id, job.id, WORKERS_COMP, GENERAL, **DATES)
        assert (failed.outcome, list(failed.assignment.binding.policies)) == (FAILED, [])
        assert list(failed.assignment.binding.reasons) == [pb.BINDING_REASON_CARRIER_DECLINED]
        carrier.answer = None
        bound = await client.assign(jane.id, job.id, WORKERS_COMP, GENERAL, **DATES)
        assert (bound.outcome, len(bound.assignment.binding.policies)) == (BOUND, 1)
        assert bound.assignment.binding.standard_workflow_coverage_types == [GENERAL]


async def test_a_contractor_deleted_meanwhile(serve: Serving) -> None:
    carrier = Carrier()
    carrier.go.clear()
    async with serve(carrier=carrier) as client:
        jane, job = await client.contractor(), await client.job()
        quote = await client.quote(jane.id, job.id)
        done = finish(client, await filled_in(client, quote.id))
        await until(lambda: carrier.asked)
        await client.delete(jane.id)
        carrier.go.set()
        assert (await done).status == COMPLETE
        await until(lambda: carrier.voided)
        (policy,) = await client.policies_of(jane.id)
        assert (policy.status, (await client.get_quote(quote.id)).status) == (pb.POLICY_STATUS_FAILED, OPEN)


async def test_an_issue_whose_worker_died_is_taken_over(
    serve: Serving, postgres: PostgresCluster, postgres_template: str, clock: Clock
) -> None:
    url = postgres.create_database(template=postgres_template)
    dead, carrier = Carrier(), Carrier()
    dead.go.clear()
    async with serve(database_url=url, carrier=dead) as client:
        jane, job = await client.contractor(), await client.job()
        quote = await client.quote(jane.id, job.id)
        session = await filled_in(client, quote.id)
        done = finish(client, session, "a")
        await until(lambda: dead.asked)
        later = Clock()  # of a server for which the lease is over
        later.now = clock.now + timedelta(minutes=1)
        async with (
            running(Settings(port=0, database_url=url), carrier=carrier, clock=later) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            repeat = await finish(Client(channel), session, "a")
        assert (await client.get_quote(quote.id)).status == ISSUED
        dead.answer = NotKnown()  # too late: only who holds the token settles
        dead.go.set()
        assert await done == repeat
        assert (carrier.asked, dead.voided) == (dead.asked, [])


async def test_a_caller_that_left_stops_nothing(serve: Serving) -> None:
    carrier = Carrier()
    carrier.go.clear()
    async with serve(carrier=carrier) as client:
        jane, job = await client.contractor(), await client.job()
        quote = await client.quote(jane.id, job.id)
        done = finish(client, await filled_in(client, quote.id))
        await until(lambda: carrier.asked)
        done.cancel()
        carrier.go.set()

        async def issued() -> bool:
            return (await client.get_quote(quote.id)).status == ISSUED

        await until(issued)
