"""Requests, once (spec 8): the first response is kept in the transaction of the change."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from server.domain.errors import RequestIdReused
from server.domain.ports import StoredRequest, Unit


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestKey:
    """A request that the caller may send again."""

    platform: str
    request_id: str
    digest: bytes  # SHA-256 of the method's full name and the request


@dataclass(frozen=True, slots=True)
class Awaits:
    """A call's result when a carrier is being asked: it comes back when the policy is settled."""

    policy: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as it goes over the wire."""

    body: bytes
    replayed: bool = False
    outcome: str = ""  # of a binding, for the log


def once(unit: Unit, key: RequestKey | None, now: datetime, work: Callable[[], bytes]) -> Reply:
    """Does the work and keeps its response, or gives the response that was kept. Raises RequestIdReused."""
    if key is None:
        return Reply(work())
    stored = unit.requests.find(key.platform, [key.request_id]).get(key.request_id)
    if stored is not None:
        result = replay(stored, key)
        assert isinstance(result, Reply), "only assignments await a carrier, and theirs is another digest"  # noqa: S101
        return result
    reply = Reply(work())
    unit.requests.insert([to_store(key, reply, now)])
    return reply


def kept(unit: Unit, key: RequestKey) -> Reply | None:
    """The response that was kept for exactly this request."""
    stored = unit.requests.find(key.platform, [key.request_id]).get(key.request_id)
    return Reply(stored.response, replayed=True) if stored and stored.digest == key.digest and stored.response else None


def replay(stored: StoredRequest, key: RequestKey) -> Reply | Awaits:
    """Raises RequestIdReused."""
    if stored.digest != key.digest:
        raise RequestIdReused(request_id=key.request_id)
    return Awaits(stored.awaits) if stored.awaits else Reply(stored.response, replayed=True)


def to_store(key: RequestKey, result: Reply | Awaits, now: datetime) -> StoredRequest:
    return StoredRequest(
        platform=key.platform,
        request_id=key.request_id,
        digest=key.digest,
        response=b"" if isinstance(result, Awaits) else result.body,
        awaits=result.policy if isinstance(result, Awaits) else "",
        create_time=now,
    )
