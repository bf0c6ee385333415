"""Days, years and terms (spec 7 and 10)."""

from datetime import datetime

import pytest

from server.domain.errors import InvalidFields, Violation
from server.domain.terms import (
    Period,
    assignment_period,
    next_midnight,
    policy_term,
    require_extension,
    start_of_day,
    years_after,
)
from tests.domain.given import NOW, utc

RANGE = "must be from 2000-01-01 up to 5 years from now"
NOT_BEFORE_TODAY = "must not be before today (UTC) in production"
AFTER_START = "must be after effective_time"
ONE_YEAR = "must be at most one calendar year after effective_time"


def given(text: str | None) -> datetime | None:
    return utc(text) if text else None


def period(start: str | None, end: str | None, *, past_allowed: bool = True) -> Period:
    return assignment_period(given(start), given(end), NOW, past_allowed=past_allowed)


def violations(start: str | None, end: str | None, *, past_allowed: bool = True) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        period(start, end, past_allowed=past_allowed)
    found = {violation.field: violation.rule for violation in caught.value.violations}
    assert len(found) == len(caught.value.violations), "one violation for every bad field"
    return found


# Days and years.


def test_a_day_starts_at_its_midnight_and_ends_at_the_next() -> None:
    assert start_of_day(utc("2026-11-22 23:59:59.999999")) == utc("2026-11-22")
    assert start_of_day(utc("2026-11-22")) == utc("2026-11-22")
    assert next_midnight(utc("2026-12-31 23:59:59.999999")) == utc("2027-01-01")
    assert next_midnight(utc("2026-11-22")) == utc("2026-11-23")


@pytest.mark.parametrize(
    ("time", "years", "expected"),
    [
        ("2026-11-22 15:00:01.5", 1, "2027-11-22 15:00:01.5"),
        ("2028-02-28", 1, "2029-02-28"),
        ("2028-02-29 15:00", 1, "2029-03-01 15:00"),
        ("2028-02-29", 4, "2032-02-29"),
        ("2028-02-29", 5, "2033-03-01"),
        ("2027-02-28", 1, "2028-02-28"),
        ("2027-03-01", 1, "2028-03-01"),
    ],
)
def test_a_year_is_a_calendar_year(time: str, years: int, expected: str) -> None:
    assert years_after(utc(time), years) == utc(expected)


# The term of a policy (spec 7).


@pytest.mark.parametrize(
    ("assignment", "term"),
    [
        pytest.param(
            ("2026-12-01", "2026-12-05"),
            ("2026-12-01", "2027-12-01"),
            id="from the start of the assignment's effective UTC day to the same day one calendar year on",
        ),
        pytest.param(
            ("2026-12-01 23:59:59.999999", "2026-12-02"),
            ("2026-12-01", "2027-12-01"),
            id="from the start of the day, however late in it the assignment starts",
        ),
        pytest.param(
            ("2028-02-29 08:00", "2028-03-10"), ("2028-02-29", "2029-03-01"), id="from 29 February: to 1 March"
        ),
        pytest.param(
            ("2026-12-01 15:00", "2027-12-01 15:00"),
            ("2026-12-01", "2027-12-02"),
            id="or to the first UTC midnight after the assignment's end, where that is later",
        ),
        pytest.param(
            ("2026-12-01 15:00", "2027-12-01"),
            ("2026-12-01", "2027-12-01"),
            id="or to the first UTC midnight at the assignment's end",
        ),
        pytest.param(
            ("2028-02-29 15:00", "2029-03-01 15:00"), ("2028-02-29", "2029-03-02"), id="both: a leap year at 15:00"
        ),
        pytest.param(
            ("2027-02-28 15:00", "2028-02-28 15:00"), ("2027-02-28", "2028-02-29"), id="to 29 February, at 15:00"
        ),
    ],
)
def test_the_term_of_a_policy(assignment: tuple[str, str], term: tuple[str, str]) -> None:
    wanted = Period(utc(assignment[0]), utc(assignment[1]))
    bound = policy_term(wanted)
    assert bound == Period(utc(term[0]), utc(term[1]))
    assert bound.contains(wanted)


# The dates of an assignment (spec 10).


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            (None, None), ("2026-11-23", "2026-12-23"), id="left out: the next UTC midnight, and 30 days after it"
        ),
        pytest.param(("2026-12-01 15:00", None), ("2026-12-01 15:00", "2026-12-31 15:00"), id="end_time left out"),
        pytest.param(
            (None, "2026-11-23 00:00:01"), ("2026-11-23", "2026-11-23 00:00:01"), id="effective_time left out"
        ),
        pytest.param(("2023-12-03", "2023-12-07"), ("2023-12-03", "2023-12-07"), id="the guide's own example"),
        pytest.param(("2000-01-01", "2000-01-02"), ("2000-01-01", "2000-01-02"), id="from 2000-01-01"),
        pytest.param(
            ("2031-01-01", "2031-11-22 12:00"), ("2031-01-01", "2031-11-22 12:00"), id="up to 5 years from now"
        ),
        pytest.param(
            ("2026-12-01 15:00", "2027-12-01 15:00"), ("2026-12-01 15:00", "2027-12-01 15:00"), id="one calendar year"
        ),
        pytest.param(("2028-02-29", "2029-03-01"), ("2028-02-29", "2029-03-01"), id="one year from 29 February"),
    ],
)
def test_the_dates_of_an_assignment(given: tuple[str | None, str | None], expected: tuple[str, str]) -> None:
    assert period(*given) == Period(utc(expected[0]), utc(expected[1]))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("1999-12-31 23:59:59.999999", None, {"effective_time": RANGE}),
        ("1999-12-31 23:59:59.999999", "2000-01-01", {"effective_time": RANGE}),
        ("2031-11-22 12:00:00.000001", None, {"effective_time": RANGE}),
        ("2031-11-22 12:00", "2031-11-22 12:00:00.000001", {"end_time": RANGE}),
        (None, "1999-12-31", {"end_time": RANGE}),
        ("2026-12-01", "2026-12-01", {"end_time": AFTER_START}),
        ("2026-12-02", "2026-12-01", {"end_time": AFTER_START}),
        (None, "2026-11-23", {"end_time": AFTER_START}),
        ("2026-12-01 15:00", "2027-12-01 15:00:00.000001", {"end_time": ONE_YEAR}),
        ("2028-02-29", "2029-03-01 00:00:00.000001", {"end_time": ONE_YEAR}),
    ],
)
def test_a_bad_date_is_a_field_error(start: str | None, end: str | None, expected: dict[str, str]) -> None:
    assert violations(start, end) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("1999-01-01", "2050-01-01", {"effective_time": RANGE, "end_time": RANGE}),
        ("2050-01-01", "2027-01-01", {"effective_time": RANGE, "end_time": AFTER_START}),
        ("1999-12-31", "2001-01-01", {"effective_time": RANGE, "end_time": ONE_YEAR}),
        ("2026-11-21", "2026-11-20", {"effective_time": NOT_BEFORE_TODAY, "end_time": AFTER_START}),
        ("2026-11-21", "2027-11-22", {"effective_time": NOT_BEFORE_TODAY, "end_time": ONE_YEAR}),
        ("2026-11-21", "2032-01-01", {"effective_time": NOT_BEFORE_TODAY, "end_time": RANGE}),
    ],
)
def test_both_dates_may_be_bad_at_once(start: str, end: str, expected: dict[str, str]) -> None:
    assert violations(start, end, past_allowed=False) == expected


def test_production_refuses_a_start_before_today() -> None:
    yesterday, today = "2026-11-21 23:59:59.999999", "2026-11-22"
    assert violations(yesterday, None, past_allowed=False) == {"effective_time": NOT_BEFORE_TODAY}
    assert period(today, None, past_allowed=False).start == utc(today) < NOW
    assert period(None, None, past_allowed=False).start == utc("2026-11-23")


def test_the_sandbox_allows_a_start_before_today() -> None:
    assert period("2026-11-21", None).start == utc("2026-11-21")


@pytest.mark.parametrize(
    ("end", "rule"),
    [
        ("2026-12-04", ""),
        ("2026-12-05", ""),
        ("2027-12-01", ""),
        ("2026-12-03 23:59:59.999999", "must not be before the present end_time"),
        ("2027-12-01 00:00:00.000001", ONE_YEAR),
        ("2031-11-22 12:00:00.000001", RANGE),
        ("1999-12-31", RANGE),
    ],
)
def test_an_extended_assignment_ends_later_and_within_a_year(end: str, rule: str) -> None:
    present = Period(utc("2026-12-01"), utc("2026-12-04"))
    if not rule:
        require_extension(present, utc(end), NOW)
        return
    with pytest.raises(InvalidFields) as refusal:
        require_extension(present, utc(end), NOW)
    assert refusal.value.violations == (Violation("end_time", rule),)


YEAR_1, YEAR_9999 = "0001-01-01", "9999-12-31 23:59:59.999999"


@pytest.mark.parametrize("past_allowed", [True, False])
@pytest.mark.parametrize("end", [None, YEAR_1, YEAR_9999, "2027-01-01"])
@pytest.mark.parametrize("start", [YEAR_1, YEAR_9999])
def test_an_absurd_start_is_a_field_error_like_any_other(start: str, end: str | None, past_allowed: bool) -> None:
    assert violations(start, end, past_allowed=past_allowed)["effective_time"] == RANGE


@pytest.mark.parametrize("end", [YEAR_1, YEAR_9999])
@pytest.mark.parametrize("start", [None, "2026-12-01", "2000-01-01"])
def test_an_absurd_end_is_a_field_error_like_any_other(start: str | None, end: str) -> None:
    assert violations(start, end) == {"end_time": RANGE}
