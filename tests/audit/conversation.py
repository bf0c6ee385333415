"""A database with something of everything in it, as servers made it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import resources_pb2 as pb

from server.app import running
from server.config import Settings
from server.domain.carrier import Answer, Bound, CarrierUnavailable, Declined, NotKnown
from server.domain.decision import AssignmentRequest
from server.domain.enums import CoverageType
from server.domain.records import Policy
from server.domain.terms import Period
from server.service.access import ANYBODY
from server.service.assignments import CreateAssignments, Creation
from server.service.binding import Asked, Binder
from server.service.context import Context
from server.service.events import Rendered
from server.service.once import RequestKey
from tests.conftest import NOW
from tests.storage.opened import opened
from tests.support.client import Client, questions, signatures

DAY = 86_400
LEASE = timedelta(seconds=30)
WORKERS_COMP, GENERAL = pb.COVERAGE_TYPE_WORKERS_COMP, pb.COVERAGE_TYPE_GENERAL
LOSSES = {"losses_last_3_years": True}

MOST_EVENTS = 500

Names = dict[str, str]  # ids, by what tests call them


class Carrier:
    """Answers what it is told to, and takes no order."""

    def __init__(self) -> None:
        self.answer: Answer = Bound("C-1")

    async def bind(self, policy: Policy) -> Answer:
        return self.answer

    async def void(self, policy: Policy) -> None:
        raise CarrierUnavailable

    async def cancel(self, policy: Policy) -> None:
        raise CarrierUnavailable

    async def reinstate(self, policy: Policy) -> None:
        raise CarrierUnavailable


class Clock:
    """A minute passes between two calls, and more."""

    def __init__(self) -> None:
        self.now = NOW
        self.step = timedelta(minutes=2)

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now


async def hold_conversation(url: str) -> Names:
    """Two servers, one after the other; the second asks a remote carrier, and leaves a policy that is being bound."""
    names: Names = {}
    clock = Clock()
    async with client_of(url, clock) as client:
        await with_the_carrier_in_house(client, names)
    carrier = Carrier()
    async with client_of(url, clock, carrier) as client:
        await with_a_remote_carrier(client, carrier, names)
        dot = await client.opted_in()
        names |= {"dot": dot.id}
    await leave_one_pending(url, names, clock())
    return names


@asynccontextmanager
async def client_of(url: str, clock: Clock, carrier: Carrier | None = None) -> AsyncIterator[Client]:
    async with (
        running(Settings(port=0, database_url=url), carrier=carrier, clock=clock) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield Client(channel)


async def with_the_carrier_in_house(client: Client, names: Names) -> None:
    job, elsewhere = await client.job(), await client.job(region="NY")
    names |= {"job": job.id}
    jane = await client.opted_in()
    bound = await client.assign(jane.id, job.id, WORKERS_COMP, GENERAL, request_id="jane-1")
    assert bound == await client.assign(jane.id, job.id, WORKERS_COMP, GENERAL, request_id="jane-1")
    reused = await client.assign(jane.id, job.id)
    uncovered = await client.assign(jane.id, elsewhere.id)
    await client.assign(jane.id, job.id, GENERAL)
    another = await client.assign(jane.id, job.id, start=None, end=None)
    dropped = await client.assign(jane.id, job.id, start=None, end=None)
    await client.cancel_assignment(dropped.assignment.id)
    session = bound.assignment.binding.application_session
    await client.cancel_session(session)
    withdrawn = await client.assign(jane.id, job.id)
    assert withdrawn.assignment.binding.workflow == pb.BINDING_WORKFLOW_STANDARD
    names |= {
        "jane": jane.id,
        "session": session,
        "bound": bound.assignment.id,
        "policy": bound.assignment.policy,
        "reused": reused.assignment.id,
        "uncovered": uncovered.assignment.id,
        "another": another.assignment.id,
        "dropped": dropped.assignment.id,
        "second": another.assignment.policy,
        "withdrawn": withdrawn.assignment.id,
    }
    joe = await client.opted_in()
    names |= {"joe": joe.id, "cancelled": (await client.assign(joe.id, job.id)).assignment.policy}
    await client.cancel_policy(names["cancelled"])
    again = (await client.assign(joe.id, job.id)).assignment
    names |= {"rebound": again.policy, "rebound-assignment": again.id}
    sue = await client.opted_in()
    await client.assign(sue.id, job.id)
    names |= {"sue": sue.id, "open": (await client.session(sue.id, "NY")).id}
    await client.delete(sue.id)
    ann = await client.contractor()
    in_review = await client.session(ann.id)
    await client.submit(in_review.id, verify_info={})
    await client.submit(in_review.id, application_questions=questions(**LOSSES))
    await client.submit(in_review.id, esignature_document=signatures())
    await client.submit(in_review.id, final_review={})
    changed = pb.Contractor(id=ann.id, email=f"Ann.{ann.email}")
    await client.contractors.UpdateContractor(contractors_pb.UpdateContractorRequest(contractor=changed))
    names |= {"ann": ann.id}
    await with_quotes(client, names)
    await with_an_extension(client, names)


async def with_an_extension(client: Client, names: Names) -> None:
    """Beyond the term of the policy that it reused; and a policy that is to end later, and one that is back."""
    max_ = await client.opted_in()
    start = int(datetime(2027, 11, 1, tzinfo=UTC).timestamp())
    policy = (await client.assign(max_.id, names["job"], start=None, end=None)).assignment.policy
    reusing = (await client.assign(max_.id, names["job"], start=start, end=start + DAY)).assignment
    extended = (await client.extend(reusing.id, start + 60 * DAY)).assignment
    await client.cancel_policy(policy)
    await client.reinstate(policy)
    await client.cancel_policy(extended.binding.policies[1], time=start + 50 * DAY)
    names |= {"extended": extended.id, "extended-policy": policy, "rest": extended.binding.policies[1]}


async def with_quotes(client: Client, names: Names) -> None:
    """One that is issued and covers what waited, one that another policy serves, one that is applied for."""
    category = await client.category()
    await client.approve(category.code, GENERAL)
    job = await client.job(category.code)
    other = await client.job(category.code, "NY")
    kim = await client.opted_in()
    partly = (await client.assign(kim.id, job.id, WORKERS_COMP, GENERAL, start=None, end=None)).assignment
    issued = await client.quote(kim.id, job.id, GENERAL)
    applied = await client.issue(issued.id)
    served = await client.quote(kim.id, other.id)
    await client.apply((await client.session(kim.id, "NY")).id)
    serving = (await client.assign(kim.id, other.id, start=None, end=None)).assignment
    await client.issue(served.id)
    tried = await client.quote(kim.id, other.id, GENERAL, WORKERS_COMP)
    await client.fill_in((await client.quote_session(tried.id)).id)
    policies = [policy.id for policy in await client.policies_of(kim.id)]
    names |= {"kim": kim.id, "partly": partly.id, "partly-policy": partly.policy, "quote": issued.id}
    names |= {"quote-policy": policies[1], "application": applied.id, "served": served.id, "tried": tried.id}
    names |= {"serving": serving.policy}


async def with_a_remote_carrier(client: Client, carrier: Carrier, names: Names) -> None:
    ben = await client.opted_in()
    for name, answer in {"declined": Declined(), "unknown": NotKnown(), "remote": Bound("C-2")}.items():
        carrier.answer = answer
        made = await client.assign(ben.id, names["job"], request_id=f"ben-{name}")
        names |= {f"{name}-assignment": made.assignment.id}
    policies = await client.policies_of(ben.id)
    names |= {"ben": ben.id, "declined": policies[0].id, "unknown": policies[1].id, "remote": policies[2].id}
    carrier.answer = Declined()
    await client.issue(names["tried"])
    names |= {"tried-policy": (await client.policies_of(names["kim"]))[-1].id}
    cal = await client.opted_in()
    carrier.answer = Bound("C-3")
    ended = (await client.assign(cal.id, names["job"])).assignment.policy
    await client.cancel_policy(ended)
    names |= {"ended": ended}


async def leave_one_pending(url: str, names: Names, now: datetime) -> None:
    """As a server that dies while it asks leaves it."""
    ctx = Context(
        platform="pf_default",
        caller=ANYBODY,
        action="optin.v1.AssignmentService/CreateAssignment",
        now=now,
        withholds_premium=True,
        session_ttl=timedelta(days=30),
    )
    request = AssignmentRequest(
        contractor=names["dot"],
        job=names["job"],
        coverage_types=(CoverageType.WORKERS_COMP,),
        period=Period(datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)),
    )
    key = RequestKey(platform="pf_default", request_id="dot-1", digest=b"dot")
    binder = Binder(carrier=None, lease=LEASE)
    create = CreateAssignments(binder=binder, render=lambda _: Rendered(b"a response", b""))
    async with opened(url) as storage:
        (asked,) = await storage.write(lambda unit: create(unit, [Creation(ctx=ctx, request=request, key=key)]))
        await storage.sequence(MOST_EVENTS)
        told = await storage.read(lambda unit: unit.events.next(0, MOST_EVENTS))
    assert isinstance(asked, Asked)
    names |= {"pending": asked.policy.id, "pending-assignment": asked.pending.assignment}
    names |= {"first-event": told[0].id, "third-event": told[2].id, "last-event": told[-1].id}


def converse(url: str) -> Names:
    return asyncio.run(hold_conversation(url))
