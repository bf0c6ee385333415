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
    cast,
    func,
    select,
    tuple_,
)

from server.domain.carrier import CarrierOrder, PendingBinding
from server.domain.enums import PolicyStatus
from server.domain.invariants.books import (
    AssignmentRow,
    Books,
    ContractorRow,
    DecisionRow,
    EmailRow,
    Entry,
    Pending,
    RequestRow,
    SessionRow,
)
from server.domain.records import Policy
from server.storage.quotes import quote_of
from server.storage.tables import (
    application_sessions,
    assignments,
    carrier_orders,
    contractors,
    decisions,
    emails,
    pending_bindings,
    policies,
    quotes,
    requests,
)

Key = tuple[str, str]

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
ASSIGNMENT = _columns(assignments, AssignmentRow._fields)
DECISION = _columns(decisions, DecisionRow._fields, cast(decisions.c.facts, String))

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

ASSIGNMENT_KEY = (assignments.c.contractor, assignments.c.id)
DECISION_KEY = (decisions.c.contractor, decisions.c.assignment)
REQUEST_KEY = (requests.c.platform, requests.c.request_id)
EMAIL_KEY = (emails.c.platform, emails.c.email_folded)


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

    def entries(self) -> Iterator[Entry]:
        """Each assignment with its decisions, and decisions without an assignment."""
        after: Key | None = None
        while True:
            within = ASSIGNMENT.where(self._ids.holds(assignments.c.contractor))
            made = [AssignmentRow(*row) for row in _page(self._connection, within, ASSIGNMENT_KEY, after)]
            last = (made[-1].contractor, made[-1].id) if len(made) == ROWS else None
            decided = self._decisions(after, last)
            for assignment in made:
                key = (assignment.contractor, assignment.id)
                yield Entry(*key, assignment, decided.pop(key, ()))
            for key, about_nothing in decided.items():
                yield Entry(*key, None, about_nothing)
            if last is None:
                return
            after = last

    def _decisions(self, after: Key | None, last: Key | None) -> dict[Key, list[DecisionRow]]:
        """Those after one assignment, up to another."""
        found: dict[Key, list[DecisionRow]] = {}
        statement = DECISION.where(self._ids.holds(decisions.c.contractor))
        statement = statement.order_by(*DECISION_KEY, decisions.c.number)
        if after is not None:
            statement = statement.where(tuple_(*DECISION_KEY) > tuple_(*after))
        if last is not None:
            statement = statement.where(tuple_(*DECISION_KEY) <= tuple_(*last))
        for row in self._connection.execute(statement):
            decision = DecisionRow(*row)
            found.setdefault((decision.contractor, decision.assignment), []).append(decision)
        return found

    def _rows(self, statement: Select[Any], contractor: Column[Any]) -> Any:
        return self._connection.execute(statement.where(self._ids.holds(contractor)))


def request_page(connection: Connection, after: Key | None) -> list[RequestRow]:
    return [RequestRow(*row) for row in _page(connection, REQUEST, REQUEST_KEY, after)]


def email_page(connection: Connection, after: Key | None) -> list[EmailRow]:
    return [EmailRow(*row) for row in _page(connection, EMAIL, EMAIL_KEY, after)]


def _page(
    connection: Connection, statement: Select[Any], key: tuple[Column[Any], Column[Any]], after: Key | None
) -> Sequence[Any]:
    if after is not None:
        statement = statement.where(tuple_(*key) > tuple_(*after))
    return connection.execute(statement.order_by(*key).limit(ROWS)).all()
