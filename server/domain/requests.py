"""Requests that were answered, kept so that a repeat gets the same answer (spec 8). Storage implements the port."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRequest:
    platform: str
    request_id: str
    digest: bytes  # SHA-256 of the method's full name and the request
    response: bytes  # empty while `awaits` is set
    create_time: datetime
    awaits: str = ""  # the policy that a carrier is being asked for


class Requests(Protocol):
    def find(self, platform: str, request_ids: Collection[str]) -> Mapping[str, StoredRequest]: ...

    def insert(self, requests: Sequence[StoredRequest]) -> None: ...

    def settle(self, platform: str, request_id: str, response: bytes) -> None:
        """The response of a request that awaited a carrier, or another one in place of the first."""

    def after(self, platform: str, request_id: str, most: int) -> Sequence[StoredRequest]:
        """Those that have a response and whose ids come after, in their order; after an empty id, the first."""

    def sweep(self, before: datetime, most: int) -> int:
        """Deletes the oldest that were stored before; returns how many."""
