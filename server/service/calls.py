"""How a call reaches its use case: as a read, as a change, or as one of a set."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from server.domain.decision import AssignmentRequest
from server.domain.ports import Clock, Storage, Unit
from server.service.assignments import Asked, CreateAssignments, Creation
from server.service.context import Context
from server.service.feed import Feed
from server.service.once import Awaits, Reply, RequestKey, once
from server.service.remote import RemoteBindings
from server.service.waiting import Settlements
from server.service.writer import Writer

T = TypeVar("T")

DEFAULT_PLATFORM = "pf_default"


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
    ) -> None:
        self._storage = storage
        self._writer = writer
        self._create_assignments = create_assignments
        self._settlements = settlements
        self._remote = remote
        self._clock = clock
        self.terms = terms
        self.feed = feed

    def context(self, deadline: float | None) -> Context:
        return Context(
            deadline=deadline,
            platform=DEFAULT_PLATFORM,
            now=self._clock(),
            withholds_premium=self.terms.withholds_premium,
            session_ttl=self.terms.session_ttl,
        )

    async def read(self, work: Callable[[Unit], T]) -> T:
        return await self._storage.read(work)

    async def change(self, ctx: Context, key: RequestKey | None, work: Callable[[Unit], bytes]) -> Reply:
        return await self._writer.run(lambda unit: once(unit, key, ctx.now, lambda: work(unit)), deadline=ctx.deadline)

    async def create_assignment(self, ctx: Context, key: RequestKey | None, request: AssignmentRequest) -> Reply:
        creation = Creation(ctx=ctx, request=request, key=key)
        when_left = self._remote.go_on if self._remote else None
        while True:
            result: Reply | Awaits | Asked = await self._writer.run_in_set(
                self._create_assignments, creation, deadline=ctx.deadline, when_left=when_left
            )
            if isinstance(result, Reply):
                return result
            if isinstance(result, Asked):
                assert self._remote is not None, "only a remote carrier is asked outside the unit"  # noqa: S101
                return await self._remote.carry_out(result)
            settled = await self._settlements.wait(ctx.platform, result.policy)
            creation = replace(creation, awaited=result.policy, gave_up=not settled)
