"""Requests, once (spec 8): the first response is kept in the transaction of the change."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from server.domain.callers import Caller
from server.domain.errors import ConcurrentUpdate, RequestIdReused
from server.domain.ports import Unit
from server.domain.records import Binding
from server.domain.requests import StoredRequest
from server.service.binding import Asked

APART = "\x1f"  # between an underwriter's platform and its request id, where they are kept at another platform


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestKey:
    """A request that the caller may send again."""

    platform: str
    request_id: str
    digest: bytes  # SHA-256 of the method and the request

    @classmethod
    def sent_by(cls, caller: Caller, request_id: str, said: bytes, *, platform: str) -> Self:
        """`said`: what has to be the same for it to be the same request; `platform`: where it is to act."""
        if caller.platform != platform:
            # An underwriter's, at another platform: its ids are not that one's. No id that is sent has a control.
            request_id = f"{caller.platform}{APART}{request_id}"
        return cls(platform=platform, request_id=request_id, digest=hashlib.sha256(said).digest())


@dataclass(frozen=True, slots=True)
class Awaits:
    """A call's result when a carrier is being asked: it comes back when the policy is settled."""

    policy: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as it goes over the wire."""

    body: bytes
    replayed: bool = False
    outcome: str = ""  # of a binding, for those who operate the server
    reasons: tuple[str, ...] = ()  # given with it


def decided(response: bytes, binding: Binding) -> Reply:
    """A response that tells of a decision."""
    return Reply(response, outcome=binding.outcome.name, reasons=tuple(reason.name for reason in binding.reasons))


Result = Reply | Awaits | Asked


def once(
    unit: Unit, key: RequestKey | None, now: datetime, work: Callable[[], Result], *, gave_up: bool = False
) -> Result:
    """Does the work and keeps its response, or gives the response that was kept.

    Work that awaits a policy has done nothing: it is called again. Raises RequestIdReused, and as `replay`.
    """
    if key is None:
        return work()
    stored = unit.requests.find(key.platform, [key.request_id]).get(key.request_id)
    if stored is not None:
        return replay(stored, key, gave_up=gave_up)
    result = work()
    if not isinstance(result, Awaits):
        unit.requests.insert([to_store(key, result, now)])
    return result


def kept(unit: Unit, key: RequestKey) -> Reply | None:
    """The response that was kept for exactly this request."""
    stored = unit.requests.find(key.platform, [key.request_id]).get(key.request_id)
    return Reply(stored.response, replayed=True) if stored and stored.digest == key.digest and stored.response else None


def replay(stored: StoredRequest, key: RequestKey, *, gave_up: bool = False) -> Reply | Awaits:
    """A repeat waits for the first one; `gave_up`: it has waited long enough.

    Raises RequestIdReused, and ConcurrentUpdate to tell one that gave up to come again.
    """
    if stored.digest != key.digest:
        raise RequestIdReused(request_id=key.request_id.rpartition(APART)[2])
    if stored.awaits and gave_up:
        raise ConcurrentUpdate
    return Awaits(stored.awaits) if stored.awaits else Reply(stored.response, replayed=True)


def to_store(key: RequestKey, result: Reply | Asked, now: datetime) -> StoredRequest:
    """One whose carrier is being asked awaits the policy."""
    return StoredRequest(
        platform=key.platform,
        request_id=key.request_id,
        digest=key.digest,
        response=result.body if isinstance(result, Reply) else b"",
        awaits=result.policy.id if isinstance(result, Asked) else "",
        create_time=now,
    )
