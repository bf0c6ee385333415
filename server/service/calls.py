"""How a call reaches its use case: as a read, as a change, or as one of a set."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

from server.domain.callers import Caller, Face
from server.domain.decision import AssignmentRequest
from server.domain.errors import Overloaded
from server.domain.observing import UNOBSERVED, Observer
from server.domain.ports import Clock, Storage, Unit
from server.service.access import Access
from server.service.assignments import CreateAssignments, Creation
from server.service.binding import Asked, Binder
from server.service.context import Context
from server.service.feed import Feed
from server.service.issuing import Attempt
from server.service.links import Links
from server.service.once import Reply, RequestKey, Result, once
from server.service.remote import RemoteBindings
from server.service.waiting import Settlements
from server.service.writer import Writer, each

T = TypeVar("T")

# A change is taken whose deadline is so many times as far as the wait for batches is on average. What is taken and then
# comes too late was work for nothing: under twice the load that can be served, that was most of it.
HEADROOM = 3
FIRST = Attempt()

Asking = tuple[Context, AssignmentRequest, RequestKey | None]
"""Who asks for which assignment, and by which key if it may be sent again."""


def _ignored(_: Reply) -> None:
    pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What the operator has settled for the default platform."""

    withholds_premium: bool
    session_ttl: timedelta
    past_starts_allowed: bool  # assignments may start before today: sandbox only (spec 10)


class Calls:
    def __init__(
        self,
        storage: Storage,
        writer: Writer,
        create_assignments: CreateAssignments,
        settlements: Settlements,
        remote: RemoteBindings | None,
        clock: Clock,
        terms: Terms,
        feed: Feed,
        access: Access,
        observer: Observer = UNOBSERVED,
        links: Links | None = None,
    ) -> None:
        """`links`: to the contractor's page, where there is one."""
        self._storage = storage
        self._writer = writer
        self._create_assignments = create_assignments
        self._settlements = settlements
        self._remote = remote
        self._when_left = remote.go_on if remote else None
        self._clock = clock
        self.terms = terms
        self.feed = feed
        self.access = access
        self._observer = observer
        self.links = links

    @property
    def binder(self) -> Binder:
        return self._create_assignments.binder

    def require_room(self, seconds_left: float | None = None) -> None:
        """For a change that arrives: that it can be written, and by its deadline if it has one. Raises Overloaded."""
        self._writer.require_room()
        if seconds_left is not None and self._writer.wait_seconds() * HEADROOM > seconds_left:
            raise Overloaded(limit="the call would wait past its deadline")

    def context(self, caller: Caller, action: str, platform: str = "", face: Face = Face.GRPC) -> Context:
        """`platform`: whose resources it is about, where they are not the caller's."""
        platform = platform or caller.platform
        withholds = self.access.withholds_premium(platform)
        return Context(
            platform=platform,
            caller=caller,
            action=action,
            face=face,
            now=self._clock(),
            withholds_premium=self.terms.withholds_premium if withholds is None else withholds,
            session_ttl=self.terms.session_ttl,
        )

    def link(self, ctx: Context, contractor: str, session: str) -> str:
        """To the page of an application session, for this caller; empty: there is none."""
        return self.links.url(ctx, contractor, session) if self.links else ""

    async def read(self, ctx: Context, work: Callable[[Unit], T]) -> T:
        return await self._storage.read(work, ctx.platform)

    async def change(self, ctx: Context, key: RequestKey | None, work: Callable[[Unit], Reply]) -> Reply:
        def run(unit: Unit) -> Result:
            with unit.within(ctx.platform):
                return once(unit, key, ctx.now, lambda: work(unit))

        result = await self._writer.run(run)
        assert isinstance(result, Reply), "what may await a carrier has another digest"  # noqa: S101
        return result

    async def change_or_wait(
        self, ctx: Context, key: RequestKey | None, work: Callable[[Unit, Attempt], Result]
    ) -> Reply:
        """A change that may have to wait for a policy that is being bound, or to ask a remote carrier for one."""

        def run(unit: Unit, attempt: Attempt) -> Result:
            with unit.within(ctx.platform):
                return once(unit, key, ctx.now, lambda: work(unit, attempt), gave_up=attempt.gave_up)

        def write(attempt: Attempt) -> Awaitable[Result]:
            change = partial(run, attempt=attempt)
            return self._writer.run_in_set(each, lambda: change, when_left=self._when_left)

        attempt = Attempt(request_id=key.request_id if key else "")
        return await self._settled(await write(attempt), ctx, write, attempt)

    async def create_assignment(
        self,
        read: Callable[[], Asking],
        done: Callable[[Reply], object] = _ignored,
    ) -> Reply:
        """`read` may raise DomainErrors; `done` is told of the reply once there is one. Both
        are called together with those of the other calls of a batch."""

        def creation(attempt: Attempt) -> Creation:
            ctx, request, key = read()
            return Creation(ctx=ctx, request=request, key=key, awaited=attempt.awaited, gave_up=attempt.gave_up)

        def told(result: Result) -> None:
            if isinstance(result, Reply):
                if result.outcome:  # else it is the repeat of one that was seen
                    self._observer.decided(result.outcome, result.reasons)
                done(result)

        def run(attempt: Attempt) -> Awaitable[Result]:
            make = partial(creation, attempt)
            return self._writer.run_in_set(self._create_assignments, make, when_done=told, when_left=self._when_left)

        result = await run(FIRST)
        # Where a carrier is asked or waited for, it is read once more for the platform alone.
        return result if isinstance(result, Reply) else await self._settled(result, read()[0], run, FIRST, told)

    async def _settled(
        self,
        result: Result,
        ctx: Context,
        run: Callable[[Attempt], Awaitable[Result]],
        attempt: Attempt,
        told: Callable[[Reply], object] = _ignored,
    ) -> Reply:
        """Runs the call again after each policy that it had to wait for. `told` is what no unit tells of."""
        until = self._settlements.until()
        while not isinstance(result, Reply):
            if isinstance(result, Asked):
                assert self._remote is not None, "only a remote carrier is asked outside the unit"  # noqa: S101
                reply = await self._remote.carry_out(result)
                told(reply)
                return reply
            settled = await self._settlements.wait(ctx.platform, result.policy, until)
            result = await run(replace(attempt, awaited=result.policy, gave_up=not settled))
        return result
