"""The invariants of events: their positions, how long one may wait for its own, and that each change has its event
(issue 4, item 6)."""

from datetime import datetime, timedelta

from server.domain.invariants.books import Books, Entry, EventRow, Ids, NewestRow, Terms

MOST_WAITED = timedelta(minutes=1)  # a sequencer gives positions many times a second; others take over within seconds
FIRST_POSITION = 1


def told_since(oldest: EventRow, terms: Terms) -> datetime:
    """From when on each change still has its event. The first positions are swept, and changes overtake one another."""
    return oldest.create_time if oldest.position == FIRST_POSITION else oldest.create_time + terms.span


def event_follows_the_one_before(event: EventRow, _: Terms) -> Ids:
    """Of two kept neighbours the later one has the next position. Sweeping takes the oldest only."""
    if event.position is not None and event.before is not None and event.position != event.before + 1:
        yield (event.id,)


def event_has_its_position_in_time(event: EventRow, terms: Terms) -> Ids:
    """An event waits for its position only as long as a sequencer may take; a live one has just been recorded."""
    if event.position is None and terms.now - event.create_time > MOST_WAITED:
        yield (event.id,)


def event_has_its_resource(event: EventRow, _: Terms) -> Ids:
    """What an event is about is there, and of its platform."""
    if not event.has_resource:
        yield (event.id,)


def newest_event_is_the_last_of_the_sequence(newest: NewestRow) -> Ids:
    """The newest positioned event has the position that the sequence gave last."""
    if newest.position != newest.last:
        yield (newest.id,)


def assignment_is_told_as_created_once(_: Books, entry: Entry, terms: Terms) -> Ids:
    """An assignment has one `assignment.created`, unless that was swept."""
    made = entry.assignment
    if not _is_told_once(made.told_created, made.create_time, terms):
        yield (entry.id,)


def assignment_is_told_as_cancelled_once(_: Books, entry: Entry, terms: Terms) -> Ids:
    """A cancelled assignment has one `assignment.cancelled`, unless that was swept, and no other has any."""
    made = entry.assignment
    if not _is_told_once(made.told_cancelled, made.cancel_time, terms):
        yield (entry.id,)


def _is_told_once(told: int, time: datetime | None, terms: Terms) -> bool:
    """`time`: of the change; None: there was none."""
    if time is None:
        return told == 0
    return told == 1 or (told == 0 and not terms.tell_of(time))


OF_EVENTS = (event_follows_the_one_before, event_has_its_position_in_time, event_has_its_resource)
OF_NEWEST = (newest_event_is_the_last_of_the_sequence,)
OF_ENTRIES = (assignment_is_told_as_created_once, assignment_is_told_as_cancelled_once)
