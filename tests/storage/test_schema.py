"""The schema: migrations and tables are the same, and versions that do not fit are refused, on each database."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, create_engine, insert, inspect, make_url, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from server.app import EVENT_OF
from server.domain.errors import StorageUnavailable
from server.domain.records import DecisionRecord
from server.storage import schema
from server.storage.assignments import ASSIGNMENT_OF, DECISION_OF
from server.storage.rows import Places
from server.storage.schema import RowsMissing, SchemaOfOthers, SchemaTooNew, SchemaTooOld
from server.storage.tables import assignments, contractors, decisions, metadata, policies, requests
from server.storage.unit import SqlUnit
from tests.storage import records
from tests.support.postgres import PostgresCluster

T = TypeVar("T")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/deep/er/optin.db"
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    url = cluster.create_database()
    yield url
    cluster.drop_database(url)


async def on(url: str, work: Callable[[Connection], T]) -> T:
    """Runs it in a transaction, over an engine of its own rather than through storage."""
    if url.startswith("sqlite"):
        path = Path(make_url(url).database or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        with create_engine(f"sqlite:///{path}", poolclass=NullPool).begin() as connection:
            return work(connection)
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        return await connection.run_sync(work)


def execute(*statements: str) -> Callable[[Connection], Any]:
    def work(connection: Connection) -> Any:
        results = [connection.execute(text(statement)) for statement in statements]
        return results[-1].scalars().all() if results[-1].returns_rows else []

    return work


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _plain(index: Any) -> dict[str, Any]:
    """With the condition of a partial one as text, which can be compared."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


def _lies_by_primary_key(connection: Connection, table: str) -> bool:
    if connection.dialect.name != "sqlite":
        return False
    made = connection.scalar(text("SELECT sql FROM sqlite_master WHERE name = :table"), {"table": table})
    return "WITHOUT ROWID" in str(made)


def described(connection: Connection) -> dict[str, Any]:
    """All that a database says of its tables."""
    inspector = inspect(connection)
    return {
        table: {
            "columns": [
                (column["name"], repr(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(inspector.get_foreign_keys(table), key=str),
            "unique": sorted(inspector.get_unique_constraints(table), key=str),
            "indexes": sorted(map(_plain, inspector.get_indexes(table)), key=str),
            "checks": sorted(inspector.get_check_constraints(table), key=str),
            "by primary key": _lies_by_primary_key(connection, table),
        }
        for table in inspector.get_table_names()
        if table != schema.VERSION_TABLE
    }


async def test_migrations_build_what_the_tables_say(empty_url: str) -> None:
    await schema.migrate(make_url(empty_url))

    def differences(connection: Connection) -> Any:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert await on(empty_url, differences) == []


async def test_migrations_build_what_the_tables_would_to_the_last_index(empty_url: str, tmp_path: Path) -> None:
    await schema.migrate(make_url(empty_url))
    migrated = await on(empty_url, described)

    def rebuilt(connection: Connection) -> dict[str, Any]:
        metadata.drop_all(connection)
        metadata.create_all(connection)
        return described(connection)

    assert migrated == await on(empty_url, rebuilt)
    assert migrated.keys() == metadata.tables.keys()


async def test_an_empty_database_is_brought_to_the_head(empty_url: str) -> None:
    await schema.migrate(make_url(empty_url))
    await schema.check(make_url(empty_url))
    assert await on(empty_url, tables) == {*metadata.tables, schema.VERSION_TABLE}
    assert await on(empty_url, execute("SELECT version_num FROM alembic_version")) == schema.revisions()[-1:]


async def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    await schema.migrate(make_url(empty_url))
    await on(empty_url, execute("INSERT INTO emails (platform, email_folded, contractor) VALUES ('a', 'b', 'c')"))
    before = await on(empty_url, described)
    await schema.migrate(make_url(empty_url))
    assert await on(empty_url, described) == before
    assert await on(empty_url, execute("SELECT contractor FROM emails")) == ["c"]


def upgraded(connection: Connection, version: str) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    command.upgrade(config, version)


def row_of(table: Table, places: Places, record: DecisionRecord) -> dict[str, Any]:
    found_in = dict(places)
    names = [column.name for column in table.columns]
    return {name: attrgetter(found_in.get(name, name))(record) for name in names}


async def test_decisions_outlast_the_migration_that_orders_them(empty_url: str) -> None:
    def made_before(connection: Connection) -> list[Any]:
        upgraded(connection, "0009")
        unit = SqlUnit(connection, EVENT_OF)
        job = records.add_job(unit)
        for contractor in ("cn_2", "cn_1"):
            records.add_contractor(unit, id=contractor)
            made = records.full_assignment(records.assignment(contractor, job.id))
            connection.execute(insert(assignments).values(row_of(assignments, ASSIGNMENT_OF, records.decided(made))))
            for number in (1, 2):
                decision = records.decided(made, number=number)
                connection.execute(insert(decisions).values(row_of(decisions, DECISION_OF, decision)))
        return list(connection.execute(select(decisions).order_by(decisions.c.assignment, decisions.c.number)))

    before = await on(empty_url, made_before)
    await schema.migrate(make_url(empty_url))
    assert await on(empty_url, lambda connection: list(connection.execute(select(decisions)))) == before


async def test_requests_outlast_the_migration_that_orders_them(empty_url: str) -> None:
    def made_before(connection: Connection) -> list[Any]:
        upgraded(connection, "0011")
        same_id = [records.request(request_id="same", platform=platform) for platform in ("pf_1", "pf_2")]
        SqlUnit(connection, EVENT_OF).requests.insert([*same_id, records.request()])
        return list(connection.execute(in_order))

    in_order = select(requests).order_by(requests.c.request_id, requests.c.platform)
    before = await on(empty_url, made_before)
    assert len(before) == 3
    await schema.migrate(make_url(empty_url))
    assert await on(empty_url, lambda connection: list(connection.execute(in_order))) == before


def with_policies(connection: Connection, *named: str) -> None:
    """Of version 0010: contractors with policies, and policies of contractors that are not there."""
    upgraded(connection, "0010")
    unit = SqlUnit(connection, EVENT_OF)
    for _ in range(2):
        contractor = records.contractor()
        unit.contractors.insert(contractor)
        unit.policies.insert([records.policy(contractor.id, number) for number in (1, 2)])
    unit.policies.insert([records.policy(contractor) for contractor in named])


def contractors_and_policies(connection: Connection) -> list[list[Any]]:
    return [list(connection.execute(select(table))) for table in (contractors, policies)]


async def test_contractors_and_policies_outlast_the_migration_that_orders_them(empty_url: str) -> None:
    await on(empty_url, with_policies)
    before = await on(empty_url, contractors_and_policies)
    assert [len(rows) for rows in before] == [2, 4]
    await schema.migrate(make_url(empty_url))
    assert await on(empty_url, contractors_and_policies) == before


async def test_whom_a_policy_names_cannot_go_after_the_migration(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/optin.db"
    await on(url, with_policies)
    await schema.migrate(make_url(url))
    with pytest.raises(IntegrityError):
        await on(url, execute("PRAGMA foreign_keys = ON", "DELETE FROM contractors"))


async def test_a_database_whose_rows_name_what_is_not_there_is_left_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/optin.db"
    await on(url, lambda connection: with_policies(connection, "cn_nobody"))
    before = await on(url, described)
    with pytest.raises(RowsMissing, match="policies that name contractors"):
        await schema.migrate(make_url(url))
    assert await on(url, described) == before
    assert await on(url, execute("SELECT version_num FROM alembic_version")) == ["0010"]


async def test_another_program_s_tables_are_left_alone(empty_url: str) -> None:
    await on(empty_url, execute("CREATE TABLE jobs (id integer)"))
    with pytest.raises(SchemaOfOthers):
        await schema.migrate(make_url(empty_url))
    assert await on(empty_url, tables) == {"jobs"}


async def test_newer_code_s_database_is_refused_and_left_alone(empty_url: str) -> None:
    await schema.migrate(make_url(empty_url))
    await on(empty_url, execute("UPDATE alembic_version SET version_num = '9999'", "DROP TABLE decisions"))
    for look in (schema.migrate, schema.check):
        with pytest.raises(SchemaTooNew):
            await look(make_url(empty_url))
    assert "decisions" not in await on(empty_url, tables)


@pytest.mark.parametrize(
    "statements",
    [
        (),
        ("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",),
        ("CREATE TABLE contractors (id VARCHAR PRIMARY KEY)",),
    ],
    ids=["empty", "no version", "someone else's"],
)
async def test_a_database_that_was_not_migrated_is_refused(empty_url: str, statements: tuple[str, ...]) -> None:
    assert await on(empty_url, tables) == set()  # SQLite makes the file
    for statement in statements:
        await on(empty_url, execute(statement))
    with pytest.raises(SchemaTooOld):
        await schema.check(make_url(empty_url))


async def test_a_migration_that_fails_leaves_nothing_half_done(empty_url: str) -> None:
    """A view has the name of the last table of the first migration."""
    await on(empty_url, execute("CREATE VIEW decisions AS SELECT 1 AS id"))
    with pytest.raises(Exception, match=r"decisions|reached"):
        await schema.migrate(make_url(empty_url))
    assert await on(empty_url, tables) == set()


async def test_processes_that_migrate_at_once_all_succeed(postgres: PostgresCluster) -> None:
    url = postgres.create_database()
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", "from server.cli import app; app()", "migrate", "--database-url", url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    answers = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * len(processes), answers
    await schema.check(make_url(url))
    postgres.drop_database(url)


async def test_a_migration_waits_for_the_one_that_runs(postgres: PostgresCluster) -> None:
    url = postgres.create_database()
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(20261122)"))
        migrating = asyncio.create_task(schema.migrate(make_url(url)))
        await asyncio.sleep(0.4)
        assert not migrating.done(), "though no other wait is that long"
        assert await on(url, tables) == set()
    await migrating
    await schema.check(make_url(url))
    postgres.drop_database(url)


async def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a database, and long enough to have a header of its own")
    urls = [
        f"sqlite:///{tmp_path}/file",
        f"sqlite:///{tmp_path}/file/optin.db",
        f"sqlite:///{tmp_path}",
        "postgresql+asyncpg://optin@127.0.0.1:1/optin",
    ]
    for url in urls:
        for look in (schema.migrate, schema.check):
            with pytest.raises(StorageUnavailable):
                await look(make_url(url))


async def test_a_database_or_user_that_is_not_there_is_unavailable(postgres: PostgresCluster) -> None:
    url = make_url(postgres.create_database())
    for wrong in (url.set(database="optin_none"), url.set(username="nobody")):
        with pytest.raises(StorageUnavailable):
            await schema.check(wrong)
    postgres.drop_database(url.render_as_string())


def test_the_files_of_the_revisions_are_named_and_ordered_as_they_are() -> None:
    """So that a start need not load them to know the newest."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()] == schema.revisions()[::-1]
    assert scripts.get_heads() == schema.revisions()[-1:]
