"""The invariants of events: their positions, and how long one may wait for its own (issue 4, item 6)."""

from datetime import datetime, timedelta
from typing import NamedTuple

from server.domain.invariants.books import Ids

MOST_WAITED = timedelta(minutes=1)  # a sequencer gives positions many times a second; others take over within seconds


class EventRow(NamedTuple):
    id: str
    create_time: datetime
    position: int | None  # None: waits for the sequencer


def event_positions_are_consecutive(before: EventRow, event: EventRow) -> Ids:
    """Of two positioned neighbours the later one has the next position. Sweeping takes the oldest only."""
    if before.position is not None and event.position != before.position + 1:
        yield before.id, event.id


def newest_event_is_the_last_of_the_sequence(newest: EventRow, last: int) -> Ids:
    """The newest positioned event has the position that the sequence gave last."""
    if newest.position != last:
        yield (newest.id,)


def event_has_its_position_in_time(event: EventRow, now: datetime) -> Ids:
    """An event waits for its position only as long as a sequencer may take; a live one has just been recorded."""
    if event.position is None and now - event.create_time > MOST_WAITED:
        yield (event.id,)
