"""One call, as a servicer method sees it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import structlog
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from server.api import links
from server.api.statuses import status_of
from server.domain.callers import Caller
from server.domain.errors import DomainError, Retryable
from server.domain.events import EventType
from server.domain.ports import Unit
from server.service.binding import Asked, Binder
from server.service.call_log import Line
from server.service.calls import Asking, Calls
from server.service.context import Context
from server.service.feed import Wanted
from server.service.issuing import Attempt
from server.service.once import Awaits, Reply, RequestKey, Result, kept

log = structlog.get_logger("optin.call")

T = TypeVar("T")

Method = Callable[[Any, "Call"], Awaitable[Message | Reply]]
"""Of a servicer: takes a request and its call."""

Stream = Callable[[Any, "Call"], AsyncGenerator[bytes, None]]
"""Of a servicer, where the answer is a stream: gives the messages as bytes."""


class Call:
    """`method` is the full name (`optin.v1.JobService/CreateJob`)."""

    def __init__(
        self,
        calls: Calls,
        method: str,
        line: Line,
        caller: Caller,
        still_known: Callable[[], object] = lambda: None,
    ) -> None:
        """`still_known` raises when the caller is not known any more: for streams, which outlive a key."""
        self._calls = calls
        self._method = method
        self._line = line
        self._caller = caller
        self._still_known = still_known
        self._ctx: Context | None = None

    @property
    def ctx(self) -> Context:
        """Made when it is first asked for: of a call that is done with others, together with theirs."""
        if self._ctx is None:
            self._ctx = self._calls.context(self._caller, self._method)
        return self._ctx

    @property
    def past_starts_allowed(self) -> bool:
        return self._calls.terms.past_starts_allowed

    @property
    def binder(self) -> Binder:
        return self._calls.binder

    async def answer(self, method: Method, request: Message) -> Message | Reply:
        if self._caller.is_underwriter:
            await self._go_where_the_work_is(request)
        try:
            answer = await method(request, self)
        except Retryable:
            raise
        except DomainError:
            # A repeat may be refused where the first was not: days go by, and another server may have done it just now.
            first = await self._kept(request)
            if first is None:
                raise
            answer = first
        return self._linked(answer) if self._method in links.RESPONSES else answer

    async def answer_item(self, method: Method, request: Message) -> Message | Reply | Status:
        """What `method` would have answered to a call of its own; errors as their status."""
        name = f"{self._method.partition('/')[0]}/{method.__name__}"
        try:
            return await _Item(self._calls, name, self._line, self._caller).answer(method, request)
        except Exception as error:
            if not isinstance(error, DomainError):
                log.exception("item", method=name, call_id=self._line.call_id)
            return status_of(error, self._line.call_id)

    def _linked(self, answer: Message | Reply) -> Message | Reply:
        return links.put_into(answer, self._method, partial(self._calls.link, self.ctx))

    async def _go_where_the_work_is(self, request: Message) -> None:
        resource = getattr(request, "id", "") or getattr(request, "category_code", "")
        reads = not hasattr(request, "request_id")
        platform = await self._calls.access.platform_of_work(self._caller, resource, reads=reads)
        self._ctx = self._calls.context(self._caller, self._method, platform)

    async def read(self, work: Callable[[Unit], T]) -> T:
        return await self._calls.read(self.ctx, work)

    async def change(self, request: Message, work: Callable[[Unit], Message]) -> Reply:
        """Once for each request id; `work` gives the response."""

        def result(unit: Unit) -> Reply:
            response = work(unit)
            unit.trail.record(self.ctx.platform, self.ctx.act(changed_by(response)))
            return _reply(response)

        return await self._calls.change(self.ctx, self.key(request), result)

    async def change_or_wait(
        self, request: Message, work: Callable[[Unit, Attempt], T | Awaits | Asked], respond: Callable[[T], Message]
    ) -> Reply:
        """As `change`, where a policy may have to be bound, or waited for, first; `respond` gives the response."""

        def result(unit: Unit, attempt: Attempt) -> Result:
            made = work(unit, attempt)
            if isinstance(made, Awaits):
                return made
            answer = made if isinstance(made, Asked) else respond(made)
            changed = answer.pending.settles if isinstance(answer, Asked) else changed_by(answer)
            unit.trail.record(self.ctx.platform, self.ctx.act(changed))
            return answer if isinstance(answer, Asked) else _reply(answer)

        return await self._calls.change_or_wait(self.ctx, self.key(request), result)

    def create_assignment(self, read: Callable[[], Asking]) -> Awaitable[Reply]:
        """`read` is called, and the call's end told, together with those of its batch."""
        return self._calls.create_assignment(read, self._done)

    def _done(self, reply: Reply) -> None:
        self._line.end(reply=reply)

    def watch(self, after: str, types: frozenset[EventType], *, batched: bool) -> AsyncGenerator[bytes, None]:
        wanted = Wanted(platform=self.ctx.platform, types=types, batched=batched)
        return self._calls.feed.watch(wanted, after, self._still_known)

    async def _kept(self, request: Message) -> Reply | None:
        """The first response to this very request, when it was sent before and is kept."""
        key = self.key(request)
        return await self.read(lambda unit: kept(unit, key)) if key else None

    def key(self, request: Message) -> RequestKey | None:
        """Same request id, same method, same contents: the same request (spec 8)."""
        request_id: str = getattr(request, "request_id", "")
        if not request_id:
            return None
        contents = type(request)()
        contents.CopyFrom(request)
        contents.ClearField("request_id")
        said = self._method.encode() + b"\0" + contents.SerializeToString(deterministic=True)
        return RequestKey.sent_by(self._caller, request_id, said, platform=self.ctx.platform)


class _Item(Call):
    """One of a batch, which is no call of its own to the log."""

    def _done(self, reply: Reply) -> None:
        pass


def changed_by(response: Message) -> str:
    """The id of what a response shows, which is what its call changed."""
    resource = getattr(response, response.DESCRIPTOR.fields[0].name)
    return str(getattr(resource, "id", "") or resource.code)


def _reply(response: Message) -> Reply:
    return Reply(response.SerializeToString(deterministic=True))
