"""What holds of events, each rule kept and broken."""

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.invariants.events import (
    MOST_WAITED,
    EventRow,
    event_has_its_position_in_time,
    event_positions_are_consecutive,
    newest_event_is_the_last_of_the_sequence,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def event(name: str, position: int | None = None, waited: timedelta = timedelta(0)) -> EventRow:
    return EventRow(name, NOW - waited, position)


@pytest.mark.parametrize(
    ("before", "after", "holds"), [(1, 2, True), (41, 42, True), (1, 3, False), (2, 2, False), (2, None, False)]
)
def test_positions_are_consecutive(before: int, after: int | None, holds: bool) -> None:
    found = list(event_positions_are_consecutive(event("ev_a", before), event("ev_b", after)))
    assert found == ([] if holds else [("ev_a", "ev_b")])


def test_what_waits_has_no_next_position() -> None:
    assert not list(event_positions_are_consecutive(event("ev_a"), event("ev_b", 7)))


@pytest.mark.parametrize(("newest", "last", "holds"), [(7, 7, True), (7, 8, False), (8, 7, False)])
def test_the_newest_is_the_last_of_the_sequence(newest: int, last: int, holds: bool) -> None:
    found = list(newest_event_is_the_last_of_the_sequence(event("ev_a", newest), last))
    assert found == ([] if holds else [("ev_a",)])


@pytest.mark.parametrize(
    ("position", "waited", "holds"),
    [
        (None, timedelta(seconds=3), True),
        (None, MOST_WAITED, True),
        (None, MOST_WAITED + timedelta(microseconds=1), False),
        (1, timedelta(days=30), True),
    ],
)
def test_an_event_has_its_position_in_time(position: int | None, waited: timedelta, holds: bool) -> None:
    found = list(event_has_its_position_in_time(event("ev_a", position, waited), NOW))
    assert found == ([] if holds else [("ev_a",)])
