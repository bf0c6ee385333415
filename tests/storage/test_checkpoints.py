"""What SQLite's log holds comes into the file between units, by the one connection that writes."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, make_url

from server.app import EVENT_OF
from server.domain.ports import Unit
from server.domain.records import Contractor
from server.storage import open_storage
from server.storage.checkpoints import ROWS
from server.storage.sqlite import SqliteStorage
from tests.conftest import sqlite_copy
from tests.storage.opened import opened
from tests.storage.records import add_contractor

MANY = ROWS // 2  # contractors: each is a row in two tables


@pytest.fixture
def url(sqlite_template: Path, tmp_path: Path) -> str:
    return sqlite_copy(sqlite_template, tmp_path)


@pytest.fixture
async def storage(url: str) -> AsyncIterator[SqliteStorage]:
    async with opened(url) as storage:
        assert isinstance(storage, SqliteStorage)
        yield storage


def add(count: int) -> Callable[[Unit], list[Contractor]]:
    return lambda unit: [add_contractor(unit) for _ in range(count)]


def contractors_in(url: str, options: str) -> int:
    with closing(sqlite3.connect(f"file:{make_url(url).database}?{options}", uri=True)) as connection:
        [(found,)] = connection.execute("SELECT count(*) FROM contractors").fetchall()
    return int(found)


def in_the_file(url: str) -> int:
    """Contractors, without what only the log has."""
    return contractors_in(url, "immutable=1")


@pytest.mark.parametrize("brief", [True, False], ids=["on the loop", "in the thread"])
async def test_the_log_is_written_into_the_file_once_units_have_written_so_much(
    storage: SqliteStorage, url: str, brief: bool
) -> None:
    await storage.write(add(1), brief=brief)
    await storage.ready()
    assert in_the_file(url) == 0, "not yet worth it"
    await storage.write(add(MANY), brief=brief)
    await storage.ready()
    assert in_the_file(url) == 1 + MANY
    await storage.write(add(1), brief=brief)
    await storage.ready()
    assert in_the_file(url) == 1 + MANY, "it is counted from the last time"


async def test_who_writes_beside_a_server_leaves_the_log_to_it(storage: SqliteStorage, url: str) -> None:
    await storage.write(add(1))  # or the other one would be the last that closes the file
    beside = open_storage(make_url(url), EVENT_OF, beside=True)
    await beside.write(add(MANY))
    await beside.ready()
    await beside.close()
    assert in_the_file(url) == 0
    assert contractors_in(url, "mode=ro") == 1 + MANY


async def test_a_log_that_cannot_be_written_into_the_file_fails_no_unit(storage: SqliteStorage, url: str) -> None:
    asked: list[str] = []

    def refuse(action: int, name: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_PRAGMA and name == "wal_checkpoint":
            asked.append(name)
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    @event.listens_for(storage._writer, "connect")
    def disturb(connection: sqlite3.Connection, _: object) -> None:
        connection.set_authorizer(refuse)

    for _ in range(2):
        await storage.write(add(MANY), brief=True)
    await storage.ready()
    assert asked
    assert in_the_file(url) == 0
    assert contractors_in(url, "mode=ro") == 2 * MANY
