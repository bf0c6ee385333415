"""Events: recorded with their change, given a position once they are committed, read in that order.

On SQLite one writer commits unit after unit, so a unit's own transaction gives the positions. On PostgreSQL
transactions commit in another order than they take numbers: there `sequence` gives them, after the commit.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from server.domain.events import Event, EventType, Subject
from server.domain.outbox import EventFilter
from server.storage import ready, rows
from server.storage.alone import alone
from server.storage.ready import Row
from server.storage.rows import IDS
from server.storage.tables import event_sequence, events, trail
from server.storage.upserts import is_postgresql

EventOf = Callable[[EventType, Subject, datetime], Event]
"""Makes an event, with its id and what it is about as the wire has it."""

HELD = select(event_sequence.c.last).with_for_update()
TAKE = update(event_sequence).values(last=event_sequence.c.last + bindparam("count"))
TAKEN = TAKE.returning(event_sequence.c.last)
NTH = func.row_number().over(order_by=events.c.id).label("nth")
FIRST = select(events.c.id, NTH).where(events.c.position.is_(None)).order_by(events.c.id).limit(bindparam("most"))
WAITING = FIRST.subquery()
LAST: BindParameter[int] = bindparam("last", type_=BigInteger)
PLACE = (
    update(events).where(events.c.id == WAITING.c.id).values(position=LAST + WAITING.c.nth).returning(events.c.position)
)
ANY_WAITS = select(
    or_(exists().where(events.c.position.is_(None)), exists().where(trail.c.number.is_(None))),
)
NEXT = (
    select(events).where(events.c.position > bindparam("position")).order_by(events.c.position).limit(bindparam("most"))
)
ABOUT = select(events).where(events.c.platform == bindparam("platform"), events.c.resource.in_(IDS))
UPDATE = update(events).where(events.c.id == bindparam("event")).values(data=bindparam("told"))
ALL = EventFilter()


class _Placed(NamedTuple):
    event: Event
    position: int


PLACED = rows.found_in({column.name: f"event.{column.name}" for column in events.c if column.name != "position"})


class Events:
    """Implements `ports.Events`. What is recorded is written by `flush`, at the end of the unit, all together."""

    def __init__(self, connection: Connection, event_of: EventOf) -> None:
        self._connection = connection
        self._event_of = event_of
        self.recorded: list[Event] = []

    def record(self, type_: EventType, subject: Subject, now: datetime) -> None:
        self.recorded.append(self._event_of(type_, subject, now))

    def add(self, event: Event) -> None:
        self.recorded.append(event)

    def flush(self) -> None:
        if not self.recorded:
            return
        if is_postgresql(self._connection):
            rows.insert(self._connection, events, self.recorded)
        else:
            [(last,)] = ready.values(self._connection, TAKEN, count=len(self.recorded))
            first = last - len(self.recorded) + 1
            placed = [_Placed(event, position) for position, event in enumerate(self.recorded, first)]
            rows.insert(self._connection, events, placed, PLACED)
        self.recorded = []

    def position(self, platform: str, event_id: str) -> int | None:
        if rows.NUL in event_id:
            return None
        wanted = select(events.c.position).where(events.c.id == event_id, events.c.platform == platform)
        return self._connection.scalar(wanted)

    def oldest(self, platform: str) -> str:
        kept = select(events.c.id).where(events.c.platform == platform, events.c.position.is_not(None))
        return self._connection.scalar(kept.order_by(events.c.position).limit(1)) or ""

    def last_position(self) -> int:
        return self._connection.scalar(select(event_sequence.c.last)) or 0

    def next(self, position: int, most: int) -> Sequence[Event]:
        return [_record(row) for row in ready.rows(self._connection, NEXT, (), {"position": position, "most": most})]

    def after(self, platform: str, position: int, most: int, wanted: EventFilter = ALL) -> Sequence[Event]:
        return self._page(events.c.position > position, events.c.position, platform, most, wanted)

    def before(self, platform: str, position: int | None, most: int, wanted: EventFilter = ALL) -> Sequence[Event]:
        those = events.c.position.is_not(None) if position is None else events.c.position < position
        return self._page(those, events.c.position.desc(), platform, most, wanted)

    def _page(
        self, those: ColumnElement[bool], order: ColumnElement[Any], platform: str, most: int, wanted: EventFilter
    ) -> Sequence[Event]:
        statement = select(events).where(those, events.c.platform == platform)
        if wanted.types:
            statement = statement.where(events.c.type.in_(sorted(wanted.types)))
        if wanted.resource:
            if rows.NUL in wanted.resource:
                return ()
            statement = statement.where(events.c.resource == wanted.resource)
        return [_record(row) for row in self._connection.execute(statement.order_by(order).limit(most)).mappings()]

    def about(self, platform: str, resources: Collection[str]) -> Sequence[Event]:
        return [_record(row) for row in rows.fetch(self._connection, ABOUT, resources, platform=platform)]

    def update(self, changed: Sequence[Event]) -> None:
        self._connection.execute(UPDATE, [{"event": event.id, "told": event.data} for event in changed])

    def sweep(self, before: datetime, most: int) -> int:
        if not alone(self._connection, "events"):
            return 0
        first = select(events.c.position, events.c.create_time).where(events.c.position.is_not(None))
        oldest = self._connection.execute(first.order_by(events.c.position).limit(most)).all()
        # The first ones only, so that positions have no gaps, and those that are younger by another clock stay.
        old = [row.position for row in takewhile(lambda row: row.create_time < before, oldest)]
        if old:
            self._connection.execute(delete(events).where(events.c.position <= old[-1]))
        return len(old)


def _record(row: Row) -> Event:
    return Event(**{**row, "type": EventType(row["type"])})


def sequence(connection: Connection, most: int) -> int:
    """Gives the next positions to events that are committed and have none; how many.

    The lock on the one row is the lease: the database takes it back from a holder whose connection ends, and no
    clock plays a part. What is found is looked for after it is held, in a view of its own: nobody else has given
    those events a position, and who comes next sees ours.
    """
    last = connection.scalar(HELD) or 0
    placed = connection.scalars(PLACE, {"last": last, "most": most}).all()
    if placed:
        connection.execute(TAKE, {"count": max(placed) - last})
    return len(placed)


def any_waits(connection: Connection) -> bool:
    """Whether some committed event, or entry of the audit trail, has no place."""
    return bool(connection.scalar(ANY_WAITS))
