"""One call, as a servicer method sees it."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message

from server.domain.decision import AssignmentRequest
from server.domain.ports import Unit
from server.service.calls import Calls
from server.service.once import Reply, RequestKey, kept

T = TypeVar("T")


class Call:
    def __init__(self, calls: Calls, method: str) -> None:
        self._calls = calls
        self._method = method  # full name: `optin.v1.JobService/CreateJob`
        self.ctx = calls.context()
        self.past_starts_allowed = calls.terms.past_starts_allowed

    async def read(self, work: Callable[[Unit], T]) -> T:
        return await self._calls.read(work)

    async def change(self, request: Message, work: Callable[[Unit], Message]) -> Reply:
        """Once for each request id; `work` gives the response."""
        return await self._calls.change(
            self.ctx, self.key(request), lambda unit: work(unit).SerializeToString(deterministic=True)
        )

    async def create_assignment(self, request: Message, wanted: AssignmentRequest) -> Reply:
        return await self._calls.create_assignment(self.ctx, self.key(request), wanted)

    async def kept(self, request: Message) -> Reply | None:
        """The first response to this very request, when it was sent before and is kept."""
        key = self.key(request)
        return await self._calls.read(lambda unit: kept(unit, key)) if key else None

    def key(self, request: Message) -> RequestKey | None:
        """Same request id, same method, same contents: the same request (spec 8)."""
        request_id: str = getattr(request, "request_id", "")
        if not request_id:
            return None
        contents = type(request)()
        contents.CopyFrom(request)
        contents.ClearField("request_id")
        digest = hashlib.sha256(self._method.encode() + b"\0" + contents.SerializeToString(deterministic=True))
        return RequestKey(platform=self.ctx.platform, request_id=request_id, digest=digest.digest())
