"""How the databases find what they are asked for without statistics to choose an index by: SQLite has none, and
PostgreSQL has none of a table that is new. So each choice is held here."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from server.domain.ports import Page, Unit
from server.domain.terms import Period
from server.storage.postgres import PostgresStorage
from server.storage.sqlite import SqliteStorage
from server.storage.unit import SqlUnit
from tests.conftest import sqlite_copy
from tests.storage.opened import opened
from tests.storage.records import DAY, NOW, PLATFORM, request

CONTRACTORS = [f"cn_{number}" for number in range(16)]
PAGE = Page(size=50)

READS: dict[str, Callable[[Unit], object]] = {
    "policies.live": lambda unit: unit.policies.live(PLATFORM, CONTRACTORS),
    "policies.live of one": lambda unit: unit.policies.live(PLATFORM, CONTRACTORS[:1]),
    "policies.last_numbers": lambda unit: unit.policies.last_numbers(PLATFORM, CONTRACTORS),
    "policies.page": lambda unit: unit.policies.page(PLATFORM, PAGE, now=NOW, contractor="cn_1"),
    "sessions.opt_ins": lambda unit: unit.sessions.opt_ins(PLATFORM, CONTRACTORS),
    "sessions.opt_ins of one": lambda unit: unit.sessions.opt_ins(PLATFORM, CONTRACTORS[:1]),
    "sessions.live": lambda unit: unit.sessions.live(PLATFORM, "cn_1"),
    "sessions.page": lambda unit: unit.sessions.page(PLATFORM, PAGE, now=NOW, contractor="cn_1"),
    "quotes.page": lambda unit: unit.quotes.page(PLATFORM, PAGE, now=NOW, contractor="cn_1"),
    "assignments.uncovered": lambda unit: unit.assignments.uncovered(PLATFORM, "cn_1", "jb_1", Period(NOW, NOW)),
    "assignments.page": lambda unit: unit.assignments.page(PLATFORM, PAGE, contractor="cn_1"),
}


@pytest.fixture
async def embedded(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    async with opened(sqlite_copy(sqlite_template, tmp_path)) as storage:
        assert isinstance(storage, SqliteStorage)
        yield storage


def plan_of(unit: Unit, read: Callable[[Unit], object]) -> list[str]:
    """The steps of the statements that the read runs, as SQLite explains them."""
    assert isinstance(unit, SqlUnit)
    connection: Connection = unit._connection
    driver = connection.connection.dbapi_connection
    assert driver is not None
    ran: list[str] = []
    driver.set_trace_callback(ran.append)
    read(unit)
    driver.set_trace_callback(None)
    selects = [text for text in ran if text.lstrip().startswith("SELECT")]
    assert selects, "nothing was asked"
    return [step[3] for text in selects for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]


@pytest.mark.parametrize("name", READS)
async def test_what_is_a_contractors_is_found_by_the_contractor(embedded: SqliteStorage, name: str) -> None:
    steps = await embedded.read(lambda unit: plan_of(unit, READS[name]))
    first = next(step for step in steps if not step.startswith("CO-ROUTINE"))  # what becomes JSON is asked for inside
    assert first.startswith("SEARCH"), steps
    assert "contractor=?" in first, steps


@pytest.mark.parametrize(
    ("read", "step"),
    [
        (lambda unit: unit.contractors.find(PLATFORM, CONTRACTORS), "USING PRIMARY KEY (id=?)"),
        (READS["policies.live"], "USING PRIMARY KEY (contractor=?)"),
        (READS["sessions.opt_ins"], "USING COVERING INDEX"),
    ],
)
async def test_what_each_creation_reads_is_found_in_one_place(
    embedded: SqliteStorage, read: Callable[[Unit], object], step: str
) -> None:
    steps = await embedded.read(lambda unit: plan_of(unit, read))
    searches = [found for found in steps if found.startswith("SEARCH")]
    assert len(searches) == 1, steps
    assert step in searches[0]


def explained(unit: Unit, kind: str, work: Callable[[Unit], object]) -> list[str]:
    """The steps of the work's statements of the kind, as PostgreSQL explains them."""
    assert isinstance(unit, SqlUnit)
    steps: list[str] = []

    def explain(connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(kind):
            steps.extend(step for (step,) in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))

    event.listen(unit._connection, "before_cursor_execute", explain)
    work(unit)
    return steps


async def test_postgresql_finds_requests_by_their_ids_in_a_table_that_is_new(postgres_storage: PostgresStorage) -> None:
    """Neither all that its platform has, as long as the ids come second in the key, nor the whole table."""
    stored = [request() for _ in range(5_000)]

    def work(unit: Unit) -> list[str]:
        unit.requests.insert(stored)
        ids = [one.request_id for one in stored[:64]]
        return explained(unit, "SELECT", lambda unit: unit.requests.find(PLATFORM, ids))

    steps = await postgres_storage.write(work)
    conditions = [step for step in steps if "Index Cond:" in step]
    assert len(conditions) == 1, steps
    assert "request_id" in conditions[0]


async def test_postgresql_sweeps_without_a_look_at_what_stays(postgres_storage: PostgresStorage) -> None:
    stored = [request(create_time=NOW + timedelta(seconds=number)) for number in range(5_000)]

    def work(unit: Unit) -> list[str]:
        unit.requests.insert(stored)
        return explained(unit, "DELETE", lambda unit: unit.requests.sweep(NOW + DAY, 100))

    steps = await postgres_storage.write(work)
    assert not [step for step in steps if "Seq Scan" in step], steps
    assert [step for step in steps if "Tid Scan" in step], steps
