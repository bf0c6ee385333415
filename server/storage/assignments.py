"""Assignments and the decisions about them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, select, update

from server.domain.enums import BindingOutcome
from server.domain.ports import DecisionRecord, Page
from server.domain.records import Assignment, Binding
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
LAST_DECISION = and_(
    decisions.c.contractor == assignments.c.contractor,
    decisions.c.assignment == assignments.c.id,
    decisions.c.number == assignments.c.decision,
)
WITH_BINDING = select(assignments, *BINDING_COLUMNS).join_from(assignments, decisions, LAST_DECISION)
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
    ) -> list[Assignment]:
        conditions = rows.within(assignments, platform, contractor)
        if job:
            conditions.append(assignments.c.job == job)
        if outcome is not None:
            conditions.append(assignments.c.outcome == outcome)
        return rows.keyset(self._connection, assignments, page, conditions, _record, source=WITH_BINDING)

    def insert(self, made: Sequence[DecisionRecord]) -> None:
        rows.insert(self._connection, assignments, [_assignment_row(entry) for entry in made])
        rows.insert(self._connection, decisions, [_decision_row(entry) for entry in made])

    def decide_again(self, entry: DecisionRecord) -> None:
        key = (assignments.c.contractor == entry.assignment.contractor, assignments.c.id == entry.assignment.id)
        shown = {"decision": entry.number, "outcome": entry.assignment.binding.outcome}
        self._connection.execute(update(assignments).where(*key), shown)
        self._connection.execute(decisions.insert(), _decision_row(entry))

    def last_decision(self, assignment: Assignment) -> int:
        key = (assignments.c.contractor == assignment.contractor, assignments.c.id == assignment.id)
        number: int = self._connection.scalars(select(assignments.c.decision).where(*key)).one()
        return number


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


def _record(row: RowMapping) -> Assignment:
    values = dict(row)
    del values["decision"]
    names = ("outcome", *(column.name for column in BINDING_COLUMNS))
    binding = Binding(**{name: values.pop(name) for name in names})
    return Assignment(**values, binding=binding)
