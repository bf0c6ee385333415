"""Days, years and terms (spec 7 and 10). All in UTC; the clock's reading is always an argument."""

from datetime import UTC, datetime, timedelta

from server.domain.errors import InvalidFields, Violation
from server.domain.record import record

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_YEARS_AHEAD = 5
RANGE_RULE = f"must be from {EARLIEST:%Y-%m-%d} up to {LATEST_YEARS_AHEAD} years from now"
DEFAULT_LENGTH = timedelta(days=30)


@record(frozen=True, slots=True)
class Period:
    """Half-open: `[start, end)`."""

    start: datetime
    end: datetime

    def contains(self, other: "Period") -> bool:
        return self.start <= other.start and other.end <= self.end


def start_of_day(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def next_midnight(time: datetime) -> datetime:
    return start_of_day(time) + timedelta(days=1)


def years_after(time: datetime, years: int = 1) -> datetime:
    """The same day some calendar years on; from 29 February, 1 March where there is none."""
    try:
        return time.replace(year=time.year + years)
    except ValueError:
        return time.replace(year=time.year + years, month=3, day=1)


def policy_term(assignment: Period) -> Period:
    """A year of whole UTC days from the day on which the assignment starts, or longer where it ends later."""
    start = start_of_day(assignment.start)
    ends_in_day = assignment.end > start_of_day(assignment.end)
    covers_end = next_midnight(assignment.end) if ends_in_day else assignment.end
    return Period(start, max(years_after(start), covers_end))


def require_extension(period: Period, end: datetime, now: datetime) -> None:
    """That an assignment of the period may have another end (issue 4, item 5). Raises InvalidFields for `end_time`."""
    if not EARLIEST <= end <= years_after(now, LATEST_YEARS_AHEAD):
        rule = RANGE_RULE
    elif end < period.end:
        rule = "must not be before the present end_time"
    elif end > years_after(period.start):
        rule = "must be at most one calendar year after effective_time"
    else:
        return
    raise InvalidFields([Violation("end_time", rule)])


def assignment_period(start: datetime | None, end: datetime | None, now: datetime, *, past_allowed: bool) -> Period:
    """An assignment's dates, with what was left out filled in (spec 10).

    Raises InvalidFields for `effective_time`, `end_time` or both.
    """
    start = start or next_midnight(now)
    latest = years_after(now, LATEST_YEARS_AHEAD)
    found = []
    if not EARLIEST <= start <= latest:
        found.append(Violation("effective_time", RANGE_RULE))
    elif not past_allowed and start < start_of_day(now):
        found.append(Violation("effective_time", "must not be before today (UTC) in production"))
    if end is not None and not EARLIEST <= end <= latest:
        found.append(Violation("end_time", RANGE_RULE))
    elif end is not None and end <= start:
        found.append(Violation("end_time", "must be after effective_time"))
    elif end is not None and end > years_after(start):
        found.append(Violation("end_time", "must be at most one calendar year after effective_time"))
    if found:
        raise InvalidFields(found)
    return Period(start, end or start + DEFAULT_LENGTH)
