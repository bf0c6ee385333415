"""What holds of events, each rule kept and broken."""

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.enums import AssignmentStatus, BindingOutcome
from server.domain.invariants.books import AssignmentRow, Books, Entry, EventRow, NewestRow, Terms
from server.domain.invariants.events import (
    MOST_WAITED,
    assignment_is_told_as_cancelled_once,
    assignment_is_told_as_created_once,
    event_follows_the_one_before,
    event_has_its_position_in_time,
    event_has_its_resource,
    newest_event_is_the_last_of_the_sequence,
    told_since,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
TERMS = Terms(NOW, timedelta(seconds=10))


def event(
    position: int | None = None, waited: timedelta = timedelta(0), before: int | None = None, has_resource: bool = True
) -> EventRow:
    return EventRow("ev_a", NOW - waited, position, before, has_resource)


def entry(told_created: int, told_cancelled: int, cancelled: datetime | None = None) -> Entry:
    assignment = AssignmentRow(
        contractor="cn_a",
        id="an_a",
        platform="pf_a",
        job="jb_a",
        coverage_types=(),
        effective_time=NOW,
        end_time=NOW,
        work_state="CA",
        category_code="jc_a",
        decision=1,
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        status=AssignmentStatus.ACTIVE,
        create_time=NOW,
        cancel_time=cancelled,
        told_created=told_created,
        told_cancelled=told_cancelled,
    )
    return Entry("cn_a", "an_a", assignment, ())


@pytest.mark.parametrize(
    ("before", "position", "holds"),
    [(1, 2, True), (41, 42, True), (None, 7, True), (7, None, True), (1, 3, False), (2, 2, False)],
)
def test_positions_are_consecutive(before: int | None, position: int | None, holds: bool) -> None:
    found = list(event_follows_the_one_before(event(position, before=before), TERMS))
    assert found == ([] if holds else [("ev_a",)])


@pytest.mark.parametrize(("last", "holds"), [(7, True), (8, False), (6, False), (None, False)])
def test_the_newest_is_the_last_of_the_sequence(last: int | None, holds: bool) -> None:
    found = list(newest_event_is_the_last_of_the_sequence(NewestRow("ev_a", 7, last)))
    assert found == ([] if holds else [("ev_a",)])


@pytest.mark.parametrize(
    ("position", "waited", "holds"),
    [
        (None, timedelta(seconds=3), True),
        (None, MOST_WAITED, True),
        (None, MOST_WAITED + MOMENT, False),
        (1, timedelta(days=30), True),
    ],
)
def test_an_event_has_its_position_in_time(position: int | None, waited: timedelta, holds: bool) -> None:
    found = list(event_has_its_position_in_time(event(position, waited), TERMS))
    assert found == ([] if holds else [("ev_a",)])


def test_an_event_has_its_resource() -> None:
    assert not list(event_has_its_resource(event(1), TERMS))
    assert list(event_has_its_resource(event(1, has_resource=False), TERMS)) == [("ev_a",)]


def test_after_a_sweep_changes_may_be_missing_that_overtook_the_oldest_event() -> None:
    assert told_since(event(1), TERMS) == NOW, "nothing was swept"
    assert told_since(event(2), TERMS) == NOW + TERMS.span


SWEPT = NOW + MOMENT  # events are kept from after the change


@pytest.mark.parametrize(
    ("told", "since", "holds"),
    [
        (1, NOW, True),
        (1, SWEPT, True),
        (1, None, True),
        (0, SWEPT, True),
        (0, None, True),
        (0, NOW, False),
        (2, NOW, False),
        (2, None, False),
    ],
)
def test_a_change_is_told_once(told: int, since: datetime | None, holds: bool) -> None:
    terms = Terms(NOW, TERMS.limit, since)
    books = Books("cn_a")
    found = [] if holds else [("an_a",)]
    assert list(assignment_is_told_as_created_once(books, entry(told, 0), terms)) == found
    assert list(assignment_is_told_as_cancelled_once(books, entry(1, told, NOW), terms)) == found


def test_what_was_not_cancelled_is_not_told_as_cancelled() -> None:
    books = Books("cn_a")
    assert not list(assignment_is_told_as_cancelled_once(books, entry(1, 0), TERMS))
    assert list(assignment_is_told_as_cancelled_once(books, entry(1, 1), TERMS)) == [("an_a",)]
