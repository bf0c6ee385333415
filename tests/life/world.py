"""A server on a database of its own, what a caller knows of it, and whether the two agree."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from datetime import timedelta
from typing import Any, TypeVar

import grpc
from optin.v1 import event_service_pb2 as events_pb
from optin.v1 import resources_pb2 as pb

from server.app import running
from server.commands.audit import audit
from server.config import Settings
from tests.conftest import Clock
from tests.life.model import BOUND, EVERY_STATE, REUSED, Model, Type
from tests.support.client import WORKERS_COMP, Client, refused

Resource = TypeVar("Resource", pb.Assignment, pb.Policy)

Database = Callable[[], AbstractContextManager[str]]
"""Makes an empty database, for as long as the block lasts."""

DAY = 86_400
LONG = timedelta(days=36_500)  # the clock moves on by months, and no event may be swept
PAGE = 200


class World:
    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self.model = Model()
        self._database = ExitStack()
        self._url = self._database.enter_context(database())
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()

    def run(self, work: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await work

        return self._runner.run(awaited())

    def close(self) -> None:
        self.run(self._stack.aclose())
        self._runner.close()
        self._database.close()

    async def start(self) -> None:
        settings = Settings(port=0, database_url=self._url, event_ttl=LONG)
        server = await self._stack.enter_async_context(running(settings, clock=self.clock))
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        self.client = Client(await self._stack.enter_async_context(channel))

    async def restart(self) -> None:
        await self._stack.aclose()
        await self.start()

    def day(self, number: int) -> int:
        """Midnight of a day, counted from today."""
        return int(self.clock.now.timestamp()) // DAY * DAY + number * DAY

    async def answer(self, call: Awaitable[Any], refusal: str = "") -> Any:
        """What is answered; None where it is refused for that reason, as it has to be."""
        if not refusal:
            return await call
        assert (await refused(call)).reason == refusal
        return None

    # What the server has, against what the model has.

    async def check(self, contractor: str, changed: Collection[str] = (), bound: int = 0) -> None:
        """All that is the contractor's is there, once, and as it was but for what was changed.

        `bound`: how many policies are new.
        """
        model = self.model
        policies = await self.client.policies_of(contractor)
        assert [policy.number for policy in policies] == list(range(1, len(policies) + 1))
        known = {policy.id for policy in model.policies.values() if policy.contractor == contractor}
        new = {policy.id for policy in policies} - known
        assert len(new) == bound
        assert len(policies) == len(known) + bound, "a policy is gone"
        for policy in policies:
            _require_same(model.policies.get(policy.id), policy, changed)
            model.see_policy(policy)
        made = await self.client.assignments_of(contractor)
        assert [a.id for a in made] == [a.id for a in model.assignments.values() if a.contractor == contractor]
        for assignment in made:
            _require_same(model.assignments[assignment.id], assignment, changed)
            model.see_assignment(assignment)
            assert assignment.binding.policies or assignment.binding.outcome not in (REUSED, BOUND)
            assert {policy.id for policy in policies}.issuperset(assignment.binding.policies)

    async def refresh(self, contractor: str) -> None:
        """Sees the contractor's sessions and quotes, which may have changed along with something else."""
        for session in [s for s in self.model.sessions.values() if s.contractor == contractor]:
            self.model.see_session(await self.client.get_session(session.id))
        for quote in [q for q in self.model.quotes.values() if q.contractor == contractor]:
            self.model.see_quote(await self.client.get_quote(quote.id))

    async def check_all(self) -> None:
        """At the end: every contractor, every decision, every event, and what the audit says."""
        for contractor in self.model.residences:
            await self.check(contractor)
            await self.refresh(contractor)
        for assignment in self.model.assignments.values():
            decisions = await self.client.decisions(assignment.id)
            assert [decision.number for decision in decisions] == list(range(1, len(decisions) + 1))
            assert decisions[-1].binding == assignment.binding
        await self._check_events()
        await self._check_audit()

    async def _check_events(self) -> None:
        events = await self._events()
        assert len({event.id for event in events}) == len(events)
        told = defaultdict(list)
        for event in events:
            told[event.resource].append(event.type)
        expired = {id_: types.count(type_) for id_, types in told.items() for type_ in types if _is_expiry(type_)}
        assert set(expired.values()) <= {1}, "an expiry is told once"
        changes = {id_: [type_ for type_ in types if not _is_expiry(type_)] for id_, types in told.items()}
        assert {id_: types for id_, types in changes.items() if types} == self.model.told
        created = [event.resource for event in events if event.type == "assignment.created"]
        assert created == list(self.model.assignments), "in the order of the calls"
        shown = {event.resource: event.assignment for event in events if event.type.startswith("assignment.")}
        assert shown == self.model.assignments, "the last event has the assignment as it is"

    async def _events(self) -> list[pb.Event]:
        """All, once those of a last change are out."""
        last = (await self.client.category(approved=False)).code
        await self.approve(last, WORKERS_COMP, EVERY_STATE)
        found: list[pb.Event] = []
        async with asyncio.timeout(10):
            while not found or found[-1].resource != last:
                after = found[-1].id if found else ""
                request = events_pb.ListEventsRequest(after=after, page_size=PAGE)
                found += (await self.client.events.ListEvents(request)).events
        return found

    async def _check_audit(self) -> None:
        for now in (self.clock.now, self.clock.now + timedelta(days=1)):  # long after, nothing waits for anything
            report = await audit(self._url, now=now)
            assert report.findings == []
        assert report.rows["assignments"] == len(self.model.assignments)
        assert report.rows["policies"] == len(self.model.policies)

    async def approve(self, category: str, type_: Type, state: str) -> None:
        await self.client.approve(category, type_, states=[state] if state else [])
        self.model.approvals.setdefault(category, set()).add((type_, state))
        self.model.told[category].append("job_category.approved")


def _is_expiry(type_: str) -> bool:
    """Told when a server comes upon it."""
    return type_.endswith(".expired")


def _require_same(before: Resource | None, after: Resource, changed: Collection[str]) -> None:
    """Unless it is new or was changed; a policy may have come to its end."""
    if before is None or after.id in changed:
        return
    if isinstance(after, pb.Policy) and after.status != pb.POLICY_STATUS_ACTIVE:
        before = pb.Policy.FromString(before.SerializeToString())
        before.status = after.status
    assert after == before
