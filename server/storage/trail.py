"""The audit trail: recorded with the change, chained once it is committed, in the same two ways as events get their
positions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update
from uuid_utils import uuid7

from server.domain.trail import FIRST, Act, Place, TrailEntry, following, written
from server.storage import ready, rows
from server.storage.tables import trail
from server.storage.upserts import is_postgresql

LAST = (
    select(trail.c.number, trail.c.hash)
    .where(trail.c.platform == bindparam("platform"), trail.c.number.is_not(None))
    .order_by(trail.c.number.desc())
    .limit(1)
)
WAITING = select(trail).where(trail.c.number.is_(None)).order_by(trail.c.id).limit(bindparam("most"))
PLACE = update(trail).where(trail.c.id == bindparam("entry")).values(number=bindparam("place"), hash=bindparam("link"))


class Trail:
    """Implements `trail.Trail`. What is recorded is written by `flush`, at the end of the unit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.recorded: list[tuple[str, Act]] = []

    def record(self, platform: str, done: Act) -> None:
        self.recorded.append((platform, done))

    def flush(self) -> None:
        if not self.recorded:
            return
        by_platform = defaultdict(list)
        for platform, done in self.recorded:
            by_platform[platform].append(done)
        added = [_entry(platform, acts) for platform, acts in by_platform.items()]
        if not is_postgresql(self._connection):
            added = list(placed(self._connection, added))
        rows.insert(self._connection, trail, added)
        self.recorded = []


def _entry(platform: str, acts: Sequence[Act]) -> TrailEntry:
    time = datetime.fromisoformat(acts[-1].time)
    return TrailEntry(id=f"tr_{uuid7().hex}", platform=platform, create_time=time, acts=written(acts))


def placed(connection: Connection, entries: Iterable[TrailEntry]) -> Iterable[TrailEntry]:
    """With their places, each behind the last one of its platform. Nobody else may be giving places."""
    last: dict[str, Place] = {}
    for entry in entries:
        if entry.platform not in last:
            found = ready.values(connection, LAST, platform=entry.platform)
            last[entry.platform] = Place(*found[0]) if found else FIRST
        place = last[entry.platform] = following(last[entry.platform], entry)
        yield replace(entry, number=place.number, hash=place.hash)


def sequence(connection: Connection, most: int) -> int:
    """Places entries that are committed and wait; how many. The caller holds the sequencer's lease."""
    waiting = [TrailEntry(**row) for row in connection.execute(WAITING, {"most": most}).mappings()]
    given: list[dict[str, Any]] = [
        {"entry": entry.id, "place": entry.number, "link": entry.hash} for entry in placed(connection, waiting)
    ]
    if given:
        connection.execute(PLACE, given)
    return len(given)
