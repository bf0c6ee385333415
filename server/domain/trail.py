"""The audit trail: who did what, append-only, chained by hash for each platform (issue 5, item 7).

The acts of one transaction on one platform make one entry. It is recorded in that transaction, and takes its number
and hash when it gets its place after the commit.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

OPERATOR = "operator"  # an actor: who has the database, and uses a command
SERVER = "server"  # an actor
NO_HASH = bytes(32)  # before the first entry


class Act(NamedTuple):
    """Ids only: never a personal value."""

    time: str  # ISO 8601, UTC
    actor: str  # a key's id, `sandbox`, `contractor`, `server` or `operator`
    action: str  # a method's full name, or what a command or the server does
    resource: str  # the id of what was changed


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """As its row."""

    id: str
    platform: str
    create_time: datetime
    acts: str  # a JSON array of Acts, as it was hashed
    number: int | None = None  # 1, 2, 3 ... for each platform; None: waits for its place
    hash: bytes | None = None


class Place(NamedTuple):
    number: int
    hash: bytes


FIRST = Place(0, NO_HASH)


def written(acts: Sequence[Act]) -> str:
    return json.dumps(acts, separators=(",", ":"))


def act(now: datetime, actor: str, action: str, resource: str) -> Act:
    return Act(now.isoformat(), actor, action, resource)


def following(last: Place, entry: TrailEntry) -> Place:
    """The entry's place behind the last one: its hash covers all that was before."""
    number = last.number + 1
    told = "\0".join((entry.platform, str(number), entry.id, entry.create_time.isoformat(), entry.acts))
    return Place(number, hashlib.sha256(last.hash + told.encode()).digest())


class Trail(Protocol):
    def record(self, platform: str, done: Act) -> None:
        """Written at the end of the unit."""
