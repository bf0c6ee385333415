"""Assignments and the decisions about them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    String,
    and_,
    bindparam,
    or_,
    select,
    type_coerce,
    update,
)

from server.domain.enums import AssignmentStatus, BindingOutcome
from server.domain.ports import Page
from server.domain.records import Assignment, Binding, DecisionRecord, Policy
from server.domain.terms import Period
from server.storage import rows
from server.storage.rows import IDS
from server.storage.tables import assignments, decisions

BINDING_COLUMNS = (
    decisions.c.workflow,
    decisions.c.policies,
    decisions.c.application_session,
    decisions.c.reasons,
    decisions.c.net_rate,
    decisions.c.standard_workflow_coverage_types,
)
ABOUT = and_(decisions.c.contractor == assignments.c.contractor, decisions.c.assignment == assignments.c.id)
LAST_DECISION = and_(ABOUT, decisions.c.number == assignments.c.decision)
WITH_BINDING = select(assignments, *BINDING_COLUMNS).join_from(assignments, decisions, LAST_DECISION)
DECIDED = (decisions.c.number, decisions.c.decide_time, decisions.c.trigger, decisions.c.facts)
LAST_DECISIONS = WITH_BINDING.add_columns(*DECIDED)
EVERY_DECISION = select(
    *(column for column in assignments.c if column.name != "outcome"), decisions.c.outcome, *BINDING_COLUMNS, *DECIDED
).join_from(assignments, decisions, ABOUT)
FIND = WITH_BINDING.where(assignments.c.platform == bindparam("platform"), assignments.c.id.in_(IDS))


class Assignments:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Assignment]:
        return {row["id"]: _record(row) for row in rows.fetch(self._connection, FIND, ids, platform=platform)}

    def page(
        self,
        platform: str,
        page: Page,
        *,
        contractor: str = "",
        job: str = "",
        outcome: BindingOutcome | None = None,
        status: AssignmentStatus | None = None,
    ) -> list[Assignment]:
        conditions = rows.within(assignments, platform, contractor)
        if job:
            conditions.append(assignments.c.job == job)
        if outcome is not None:
            conditions.append(assignments.c.outcome == outcome)
        if status is not None:
            conditions.append(assignments.c.status == status)
        return rows.keyset(self._connection, assignments, page, conditions, _record, source=WITH_BINDING)

    def insert(self, made: Sequence[DecisionRecord]) -> None:
        rows.insert(self._connection, assignments, [_assignment_row(entry) for entry in made])
        rows.insert(self._connection, decisions, [_decision_row(entry) for entry in made])

    def decide_again(self, entry: DecisionRecord) -> None:
        shown = {"decision": entry.number, "outcome": entry.assignment.binding.outcome}
        self._update(entry.assignment, shown)
        self._connection.execute(decisions.insert(), _decision_row(entry))

    def cancel(self, assignment: Assignment) -> None:
        self._update(
            assignment, {name: getattr(assignment, name) for name in ("status", "cancel_time", "cancel_reason")}
        )

    def extend(self, assignment: Assignment) -> None:
        self._update(assignment, {"end_time": assignment.end_time})

    def _update(self, assignment: Assignment, values: dict[str, Any]) -> None:
        self._connection.execute(update(assignments).where(*_is(assignment.contractor, assignment.id)), values)

    def naming(self, platform: str, contractor: str, policies: Collection[str]) -> list[DecisionRecord]:
        return self._last(platform, contractor, or_(*(_names(decisions, policy) for policy in policies)))

    def uncovered_since(self, policy: Policy) -> list[DecisionRecord]:
        earlier = decisions.alias("earlier")
        had_it = (
            select(earlier.c.number)
            .where(
                earlier.c.contractor == assignments.c.contractor,
                earlier.c.assignment == assignments.c.id,
                _names(earlier, policy.id),
            )
            .exists()
        )
        return self._last(
            policy.platform,
            policy.contractor,
            decisions.c.standard_workflow_coverage_types != (),
            decisions.c.outcome != BindingOutcome.BINDING_PENDING,
            had_it,
            ~_names(decisions, policy.id),
        )

    def last_decision(self, contractor: str, assignment: str) -> DecisionRecord:
        statement = LAST_DECISIONS.where(*_is(contractor, assignment))
        return _decision(self._connection.execute(statement).mappings().one())

    def decisions(self, assignment: Assignment, page: Page) -> list[DecisionRecord]:
        return rows.keyset(
            self._connection,
            decisions,
            page,
            _is(assignment.contractor, assignment.id),
            _decision,
            key="number",
            source=EVERY_DECISION,
        )

    def uncovered(self, platform: str, contractor: str, job: str, term: Period) -> list[DecisionRecord]:
        return self._last(
            platform,
            contractor,
            rows.unindexed(assignments.c.job) == job,
            assignments.c.end_time > term.start,
            assignments.c.end_time <= term.end,
            decisions.c.standard_workflow_coverage_types != (),
        )

    def _last(self, platform: str, contractor: str, *conditions: ColumnElement[bool]) -> list[DecisionRecord]:
        """The last decision about each of the contractor's assignments that stands, in the order of their creation."""
        statement = LAST_DECISIONS.where(
            *rows.within(assignments, platform, contractor),
            assignments.c.status == AssignmentStatus.ACTIVE,
            *conditions,
        )
        return [_decision(row) for row in self._connection.execute(statement.order_by(assignments.c.id)).mappings()]


def _names(decided: FromClause, policy: str) -> ColumnElement[bool]:
    return type_coerce(decided.c.policies, String).contains(policy, autoescape=True)


def _is(contractor: str, id_: str) -> tuple[ColumnElement[bool], ...]:
    return assignments.c.contractor == contractor, assignments.c.id == id_


def _assignment_row(entry: DecisionRecord) -> dict[str, Any]:
    row = rows.values_of(entry.assignment)
    binding = row.pop("binding")
    return row | {"decision": entry.number, "outcome": binding.outcome}


def _decision_row(entry: DecisionRecord) -> dict[str, Any]:
    return rows.values_of(entry.assignment.binding) | {
        "contractor": entry.assignment.contractor,
        "assignment": entry.assignment.id,
        "platform": entry.assignment.platform,
        "number": entry.number,
        "decide_time": entry.decide_time,
        "trigger": entry.trigger,
        "facts": entry.facts,
    }


def _decision(row: RowMapping) -> DecisionRecord:
    """A decision, with the assignment and the binding that was decided then."""
    values = dict(row)
    decided = {column.name: values.pop(column.name) for column in DECIDED}
    return DecisionRecord(assignment=_record(values), **decided)


def _record(row: Mapping[Any, Any]) -> Assignment:
    values = dict(row)
    del values["decision"]
    names = ("outcome", *(column.name for column in BINDING_COLUMNS))
    binding = Binding(**{name: values.pop(name) for name in names})
    return Assignment(**values, binding=binding)
