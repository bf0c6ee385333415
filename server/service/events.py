"""Events as they are made, and as they are listed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from server.domain.errors import NotFound
from server.domain.events import Event, EventType, Subject, id_of
from server.domain.outbox import EventFilter
from server.domain.ports import Page, Unit
from server.domain.records import Assignment
from server.service.context import Context, new_id
from server.service.paging import paged

Snapshot = Callable[[Subject, datetime], bytes]
"""What an event is about, as the wire has it in an event of that time."""


class Rendered(NamedTuple):
    """An assignment, rendered once for whom it is told to."""

    response: bytes  # to who created it
    data: bytes  # of its event


Responses = Mapping[str, Callable[[Assignment], bytes]]
"""By face, to who created or extended an assignment there; the others get the response that it is rendered with."""


def new_event(type_: EventType, subject: Subject, now: datetime, data: bytes) -> Event:
    return Event(
        id=new_id("ev"),
        platform=subject.platform,
        type=type_,
        resource=id_of(subject),
        create_time=now,
        data=data,
    )


def event_maker(snapshot: Snapshot) -> Callable[[EventType, Subject, datetime], Event]:
    """How units make the events that they record."""
    return lambda type_, subject, now: new_event(type_, subject, now, snapshot(subject, now))


def list_page(
    unit: Unit, ctx: Context, wanted: EventFilter, *, after: str, size: int, token: str
) -> tuple[list[Event], str]:
    """Oldest first. Raises NotFound for `after`, InvalidPageToken."""
    start = position_of(unit, ctx.platform, after)

    def fetch(page: Page) -> list[Event]:
        # A page's key is the last id of the one before: here it comes after, not before.
        position = position_of(unit, ctx.platform, page.before) if page.before else start
        return list(unit.events.after(ctx.platform, position, page.size, wanted))

    return paged(
        fetch,
        lambda event: event.id,
        size=size,
        token=token,
        bound_to=("events", ctx.platform, sorted(wanted.types), wanted.resource, after),
    )


def get(unit: Unit, ctx: Context, event_id: str) -> Event:
    """Raises NotFound."""
    return unit.events.after(ctx.platform, _position(unit, ctx.platform, event_id) - 1, 1)[0]


def newest(unit: Unit, ctx: Context, wanted: EventFilter, page: Page) -> list[Event]:
    """Newest first. Raises NotFound, for an id that the page begins or ends at."""
    if page.after:
        later = unit.events.after(ctx.platform, _position(unit, ctx.platform, page.after), page.size, wanted)
        return list(later)[::-1]
    position = _position(unit, ctx.platform, page.before) if page.before else None
    return list(unit.events.before(ctx.platform, position, page.size, wanted))


def _position(unit: Unit, platform: str, event_id: str) -> int:
    position = unit.events.position(platform, event_id)
    if position is None:
        raise NotFound("event", event_id)
    return position


def position_of(unit: Unit, platform: str, event_id: str) -> int:
    """Where to read on from; 0, the start, for an empty id and for one older than what is kept. Raises NotFound."""
    if not event_id:
        return 0
    position = unit.events.position(platform, event_id)
    if position is not None:
        return position
    oldest = unit.events.oldest(platform)
    if event_id.startswith("ev_") and len(event_id) == len(new_id("ev")) and event_id < (oldest or new_id("ev")):
        return 0
    raise NotFound("event", event_id)
