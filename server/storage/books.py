"""The rows that an audit looks at, as books: in id order, so that no more than a few are in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    select,
    tuple_,
)

from server.domain.carrier import CarrierOrder, PendingBinding
from server.domain.enums import PolicyStatus
from server.domain.events import EventType
from server.domain.invariants.books import (
    AboutRow,
    AssignmentRow,
    Books,
    ContractorRow,
    DecisionRow,
    EmailRow,
    Entry,
    EventRow,
    NewestRow,
    Pending,
    RequestRow,
    SessionRow,
)
from server.domain.records import Policy
from server.domain.trail import TrailEntry
from server.storage.assignments import ABOUT
from server.storage.quotes import quote_of
from server.storage.tables import (
    application_sessions,
    assignments,
    carrier_orders,
    contractors,
    decisions,
    emails,
    event_sequence,
    events,
    job_categories,
    pending_bindings,
    policies,
    quotes,
    requests,
    trail,
)

Key = tuple[str | int, ...]
AssignmentKey = tuple[str, str]

ROWS = 2_000  # at a time


def _columns(table: Table, names: Sequence[str], *more: ColumnElement[Any]) -> Select[Any]:
    """The columns of those names, the last of which have other columns in their place."""
    return select(*(table.c[name] for name in names[: len(names) - len(more)]), *more)


def _names(record: type[Any]) -> list[str]:
    return [field.name for field in fields(record)]


HELD = and_(emails.c.platform == contractors.c.platform, emails.c.email_folded == contractors.c.email_folded)
CONTRACTOR = _columns(contractors, ContractorRow._fields, emails.c.contractor).join_from(
    contractors, emails, HELD, isouter=True
)
SESSION = _columns(application_sessions, SessionRow._fields)
QUOTE = select(quotes)
POLICY = _columns(policies, _names(Policy))
ORDER = _columns(carrier_orders, _names(CarrierOrder))
ITS_REQUEST = and_(
    requests.c.platform == pending_bindings.c.platform, requests.c.request_id == pending_bindings.c.request_id
)
PENDING_FIELDS = _names(PendingBinding)
PENDING = select(*(pending_bindings.c[name] for name in PENDING_FIELDS), requests.c.awaits).join_from(
    pending_bindings, requests, ITS_REQUEST, isouter=True
)


def _told(type_: EventType) -> ColumnElement[int]:
    """How many events of the type an assignment has."""
    its = and_(events.c.platform == assignments.c.platform, events.c.resource == assignments.c.id)
    return select(func.count()).select_from(events).where(its, events.c.type == type_.value).scalar_subquery()


ASSIGNMENT = _columns(
    assignments,
    AssignmentRow._fields,
    _told(EventType.ASSIGNMENT_CREATED),
    _told(EventType.ASSIGNMENT_CANCELLED),
)
DECISION = _columns(decisions, DecisionRow._fields, cast(decisions.c.facts, String)).join_from(
    assignments, decisions, ABOUT
)
ABOUT_WHAT = _columns(decisions, AboutRow._fields, assignments.c.id.is_not(None)).join_from(
    decisions, assignments, ABOUT, isouter=True
)

AWAITED = and_(
    requests.c.awaits != "",
    policies.c.platform == requests.c.platform,
    policies.c.id == requests.c.awaits,
    policies.c.status == PolicyStatus.PENDING,
)
REQUEST = _columns(
    requests, RequestRow._fields, func.length(requests.c.response) > 0, policies.c.id.is_not(None)
).join_from(requests, policies, AWAITED, isouter=True)
HOLDER = and_(
    contractors.c.id == emails.c.contractor,
    contractors.c.platform == emails.c.platform,
    contractors.c.email_folded == emails.c.email_folded,
    contractors.c.delete_time.is_(None),
)
EMAIL = _columns(emails, EmailRow._fields, contractors.c.id.is_not(None)).join_from(
    emails, contractors, HOLDER, isouter=True
)

RESOURCES = {  # by the first word of an event's type
    "application_session": application_sessions.c.id,
    "quote": quotes.c.id,
    "policy": policies.c.id,
    "assignment": assignments.c.id,
    "job_category": job_categories.c.code,
    "contractor": contractors.c.id,
}
HAS_RESOURCE = case(
    *(
        (
            events.c.type.startswith(f"{kind}."),
            exists().where(id_ == events.c.resource, id_.table.c.platform == events.c.platform),
        )
        for kind, id_ in RESOURCES.items()
    ),
    else_=false(),
)
EARLIER = events.alias()
BEFORE = select(func.max(EARLIER.c.position)).where(EARLIER.c.position < events.c.position).scalar_subquery()
EVENT = _columns(events, EventRow._fields, BEFORE, HAS_RESOURCE)
LAST = select(event_sequence.c.last).scalar_subquery()
POSITIONED = events.c.position.is_not(None)
OLDEST = EVENT.where(POSITIONED).order_by(events.c.position).limit(1)
NEWEST = select(events.c.id, events.c.position, LAST).where(POSITIONED).order_by(events.c.position.desc()).limit(1)

ASSIGNMENT_KEY = (assignments.c.contractor, assignments.c.id)
DECISION_KEY = (decisions.c.assignment, decisions.c.number, decisions.c.contractor)
REQUEST_KEY = (requests.c.platform, requests.c.request_id)
EMAIL_KEY = (emails.c.platform, emails.c.email_folded)
EVENT_KEY = (events.c.id,)
TRAIL_KEY = (trail.c.platform, trail.c.number)


@dataclass(frozen=True, slots=True)
class Range:
    """Ids after one, up to another; None: to the end."""

    after: str
    upto: str | None

    def holds(self, column: Column[Any]) -> ColumnElement[bool]:
        return column > self.after if self.upto is None else and_(column > self.after, column <= self.upto)


class Part:
    """The contractors of a range, while one transaction lasts: the books first, then the entries."""

    def __init__(self, connection: Connection, ids: Range) -> None:
        self._connection = connection
        self._ids = ids

    def books(self) -> dict[str, Books]:
        found: dict[str, Books] = {}

        def of(contractor: str) -> Books:
            return found.setdefault(contractor, Books(contractor))

        for row in self._rows(CONTRACTOR, contractors.c.id):
            contractor = ContractorRow(*row)
            of(contractor.id).contractor = contractor
        for row in self._rows(SESSION, application_sessions.c.contractor):
            session = SessionRow(*row)
            of(session.contractor).sessions[session.id] = session
        for values in self._rows(QUOTE, quotes.c.contractor).mappings():
            quote = quote_of(values)
            of(quote.contractor).quotes[quote.id] = quote
        for values in self._rows(POLICY, policies.c.contractor).mappings():
            policy = Policy(**values)
            of(policy.contractor).policies[policy.id] = policy
        for values in self._rows(PENDING, pending_bindings.c.contractor).mappings():
            binding = PendingBinding(**{name: values[name] for name in PENDING_FIELDS})
            of(binding.contractor).pending[binding.policy] = Pending(binding, values["awaits"])
        for values in self._rows(ORDER, carrier_orders.c.contractor).mappings():
            order = CarrierOrder(**values)
            of(order.contractor).orders.append(order)
        return found

    def oldest_event(self) -> EventRow | None:
        """Of those that are kept and have their position."""
        found = self._connection.execute(OLDEST).one_or_none()
        return EventRow(*found) if found else None

    def entries(self) -> Iterator[Entry]:
        """Each assignment with its decisions."""
        after: AssignmentKey | None = None
        while True:
            within = ASSIGNMENT.where(self._ids.holds(assignments.c.contractor))
            made = [AssignmentRow(*row) for row in _page(self._connection, within, ASSIGNMENT_KEY, after)]
            last = (made[-1].contractor, made[-1].id) if len(made) == ROWS else None
            decided = self._decisions(after, last)
            for assignment in made:
                key = (assignment.contractor, assignment.id)
                yield Entry(*key, assignment, decided.get(key, ()))
            if last is None:
                return
            after = last

    def _decisions(
        self, after: AssignmentKey | None, last: AssignmentKey | None
    ) -> dict[AssignmentKey, list[DecisionRow]]:
        """About those after one assignment, up to another."""
        found: dict[AssignmentKey, list[DecisionRow]] = {}
        statement = DECISION.where(self._ids.holds(assignments.c.contractor))
        statement = statement.order_by(*ASSIGNMENT_KEY, decisions.c.number)
        if after is not None:
            statement = statement.where(tuple_(*ASSIGNMENT_KEY) > tuple_(*after))
        if last is not None:
            statement = statement.where(tuple_(*ASSIGNMENT_KEY) <= tuple_(*last))
        for row in self._connection.execute(statement):
            decision = DecisionRow(*row)
            found.setdefault((decision.contractor, decision.assignment), []).append(decision)
        return found

    def _rows(self, statement: Select[Any], contractor: Column[Any]) -> Any:
        return self._connection.execute(statement.where(self._ids.holds(contractor)))


def decision_page(connection: Connection, after: Key | None) -> list[AboutRow]:
    return [AboutRow(*row) for row in _page(connection, ABOUT_WHAT, DECISION_KEY, after)]


def request_page(connection: Connection, after: Key | None) -> list[RequestRow]:
    return [RequestRow(*row) for row in _page(connection, REQUEST, REQUEST_KEY, after)]


def email_page(connection: Connection, after: Key | None) -> list[EmailRow]:
    return [EmailRow(*row) for row in _page(connection, EMAIL, EMAIL_KEY, after)]


def event_page(connection: Connection, after: Key | None) -> list[EventRow]:
    return [EventRow(*row) for row in _page(connection, EVENT, EVENT_KEY, after)]


def trail_page(connection: Connection, after: Key | None) -> list[TrailEntry]:
    placed = select(trail).where(trail.c.number.is_not(None))
    return [TrailEntry(*row) for row in _page(connection, placed, TRAIL_KEY, after)]


def newest_event(connection: Connection) -> NewestRow | None:
    found = connection.execute(NEWEST).one_or_none()
    return NewestRow(*found) if found else None


def _page(
    connection: Connection, statement: Select[Any], key: tuple[Column[Any], ...], after: Key | None
) -> Sequence[Any]:
    if after is not None:
        statement = statement.where(tuple_(*key) > tuple_(*after))
    return connection.execute(statement.order_by(*key).limit(ROWS)).all()
