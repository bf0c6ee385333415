"""One call, as an operation sees it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson

from server.domain.callers import Caller, Face
from server.domain.decision import AssignmentRequest
from server.domain.ports import Unit
from server.service.binding import Asked
from server.service.calls import Calls
from server.service.issuing import Attempt
from server.service.once import Awaits, Reply, RequestKey, Result, kept
from server.web import stored
from server.web.shown import Shown

T = TypeVar("T")


class Call:
    """`method` is the gRPC method that does the same, by its full name."""

    def __init__(
        self, calls: Calls, caller: Caller, method: str, *, verb: str, path: str, id_: str, body: Mapping[str, Any]
    ) -> None:
        self._calls = calls
        self._caller = caller
        self._method = method
        self._digested = (verb, path)
        self.id = id_
        self.body = body
        self.request_id = ""
        self.binder = calls.binder
        self.past_starts_allowed = calls.terms.past_starts_allowed
        self.ctx = calls.context(caller, method, face=Face.WEB)

    async def go_where_the_work_is(self) -> None:
        """An underwriter's is with the platform that has what the call names."""
        if self._caller.is_underwriter:
            reads = self._digested[0] == "GET"
            platform = await self._calls.access.platform_of_work(self._caller, self.id, reads=reads)
            self.ctx = self._calls.context(self._caller, self._method, platform, Face.WEB)

    def link(self, contractor: str, session: str) -> str:
        """To the contractor's page; empty: there is none for this caller."""
        return self._calls.link(self.ctx, contractor, session)

    async def read(self, work: Callable[[Unit], T]) -> T:
        return await self._calls.read(self.ctx, work)

    async def change(self, work: Callable[[Unit], Shown]) -> Reply:
        """Once for each request id; `work` gives what is answered."""

        def result(unit: Unit) -> Reply:
            return self._recorded(unit, work(unit))

        return await self._calls.change(self.ctx, self.key, result)

    async def change_or_wait(
        self, work: Callable[[Unit, Attempt], T | Awaits | Asked], show: Callable[[T], Shown]
    ) -> Reply:
        """As `change`, where a policy may have to be bound, or waited for, first."""

        def result(unit: Unit, attempt: Attempt) -> Result:
            made = work(unit, attempt)
            if isinstance(made, Awaits):
                return made
            if isinstance(made, Asked):
                unit.trail.record(self.ctx.platform, self.ctx.act(made.pending.settles))
                return made
            return self._recorded(unit, show(made))

        return await self._calls.change_or_wait(self.ctx, self.key, result)

    async def create_assignment(self, wanted: AssignmentRequest) -> Reply:
        return await self._calls.create_assignment(lambda: (self.ctx, wanted, self.key))

    async def kept(self) -> Reply | None:
        """The first response to this very request, when it was sent before and is kept."""
        key = self.key
        return await self.read(lambda unit: kept(unit, key)) if key else None

    @property
    def key(self) -> RequestKey | None:
        """Same request id, same method and path, same body: the same request."""
        if not self.request_id:
            return None
        said = orjson.dumps((Face.WEB, *self._digested, self.body), option=orjson.OPT_SORT_KEYS)
        return RequestKey.sent_by(self._caller, self.request_id, said, platform=self.ctx.platform)

    def _recorded(self, unit: Unit, answer: Shown) -> Reply:
        unit.trail.record(self.ctx.platform, self.ctx.act(str(answer.id)))  # type: ignore[attr-defined]
        return Reply(stored.packed(answer.body()))
