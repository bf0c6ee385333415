"""Commits that fail before and after they take effect: nothing is doubled, lost, or said of a unit that is not so."""

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import PoolProxiedConnection

from server.domain.errors import StorageUnavailable
from server.domain.ports import Conflict, Page, Unit
from server.domain.records import Contractor
from server.storage import postgres
from server.storage.unit import SqlUnit
from tests.storage.opened import AnyStorage, opened, writer_of
from tests.storage.proxy import Fault, Proxy, proxied
from tests.storage.records import PLATFORM, add_contractor
from tests.support.postgres import PostgresCluster


async def all_ids(storage: AnyStorage) -> list[str]:
    found = await storage.read(lambda unit: unit.contractors.page(PLATFORM, Page(200)))
    return sorted(contractor.id for contractor in found)


class Counted:
    """A unit that counts how often it was run."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, unit: Unit) -> Contractor:
        self.runs += 1
        return add_contractor(unit)


@contextmanager
def failing_commit(storage: AnyStorage, *, takes_effect: bool, error: str = "OperationalError") -> Iterator[None]:
    """The next commit on the writer's engine raises what a driver raises whose connection is lost."""
    dialect = writer_of(storage).dialect
    real: Callable[[Any], None] = dialect.do_commit
    driver: Any = dialect.loaded_dbapi

    def commit(connection: PoolProxiedConnection | DBAPIConnection) -> None:
        dialect.do_commit = real  # type: ignore[method-assign]
        if takes_effect:
            real(connection)
        raise getattr(driver, error)("the answer was lost", None)

    dialect.do_commit = commit  # type: ignore[method-assign]
    try:
        yield
        assert dialect.do_commit is real, "there was no commit"
    finally:
        dialect.do_commit = real  # type: ignore[method-assign]


@pytest.fixture(params=["first", "later"])
async def lived_in(storage: AnyStorage, request: pytest.FixtureRequest) -> list[str]:
    """What is there before the fault: nothing, or the writer's earlier units."""
    return [] if request.param == "first" else [(await storage.write(add_contractor)).id for _ in range(2)]


@pytest.mark.parametrize("error", ["OperationalError", "InterfaceError", "InternalError"])
async def test_a_commit_that_failed_raises_and_nothing_is_written(
    storage: AnyStorage, lived_in: list[str], error: str, brief: bool
) -> None:
    work = Counted()
    with failing_commit(storage, takes_effect=False, error=error), pytest.raises(StorageUnavailable):
        await storage.write(work, brief=brief)
    assert await all_ids(storage) == lived_in
    assert work.runs == 1

    kept = await storage.write(add_contractor)
    assert await all_ids(storage) == [*lived_in, kept.id], "the next unit is not hurt"


async def test_a_commit_that_took_effect_succeeds_though_its_answer_was_lost(
    storage: AnyStorage, lived_in: list[str], brief: bool
) -> None:
    work = Counted()
    with failing_commit(storage, takes_effect=True):
        contractor = await storage.write(work, brief=brief)
    assert await all_ids(storage) == [*lived_in, contractor.id]
    assert work.runs == 1

    kept = await storage.write(add_contractor)
    assert await all_ids(storage) == [*lived_in, contractor.id, kept.id]


async def test_an_error_of_the_unit_is_not_taken_for_one_of_the_commit(storage: AnyStorage, brief: bool) -> None:
    """After a unit that succeeded, so that the writer's row is there."""
    await storage.write(add_contractor)

    def work(unit: Unit) -> None:
        add_contractor(unit)
        raise OSError("a file of the unit's own")

    before = await all_ids(storage)
    with pytest.raises(StorageUnavailable):
        await storage.write(work, brief=brief)
    assert await all_ids(storage) == before


# A network that fails, on PostgreSQL.


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[Proxy]:
    async with proxied(postgres_url) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: Proxy, request: pytest.FixtureRequest) -> AsyncIterator[AnyStorage]:
    """Storage behind the proxy, before the writer's first unit or after some."""
    async with opened(proxy.url) as storage:
        for _ in range(getattr(request, "param", 0)):
            await storage.write(add_contractor)
        yield storage


before_and_after_the_first = pytest.mark.parametrize("far", [0, 2], indirect=True, ids=["first", "later"])


@before_and_after_the_first
async def test_a_commit_that_never_arrives_is_not_written(proxy: Proxy, far: AnyStorage) -> None:
    before = await all_ids(far)
    proxy.fault = Fault.BEFORE
    with pytest.raises(StorageUnavailable):
        await far.write(add_contractor)
    assert proxy.happened == [Fault.BEFORE]
    kept = await far.write(add_contractor)
    assert await all_ids(far) == [*before, kept.id]


@before_and_after_the_first
@pytest.mark.parametrize("fault", [Fault.AFTER, Fault.LATE])
async def test_a_commit_whose_answer_is_cut_off_succeeds_once(proxy: Proxy, far: AnyStorage, fault: Fault) -> None:
    """Late: the commit is still on its way when the writer asks what became of it."""
    before, work = await all_ids(far), Counted()
    proxy.fault = fault
    contractor = await far.write(work)
    assert proxy.happened == [fault]
    assert work.runs == 1
    kept = await far.write(add_contractor)
    assert await all_ids(far) == [*before, contractor.id, kept.id]


async def test_what_cannot_be_known_is_not_said(proxy: Proxy, far: AnyStorage, postgres_url: str) -> None:
    proxy.fault = Fault.GONE
    with pytest.raises(StorageUnavailable):
        await far.write(add_contractor)
    with pytest.raises(StorageUnavailable):
        await far.write(add_contractor)
    with pytest.raises(StorageUnavailable):
        await far.ping()
    proxy.is_down = False
    await far.write(add_contractor)
    async with opened(postgres_url) as near:
        assert len(await all_ids(near)) == 2, "the first was written, the second was not, the third was"


# A server that ends connections, on PostgreSQL.


@pytest.mark.parametrize("moment", ["before the work", "within the work", "before the commit"])
async def test_a_connection_that_is_ended_within_a_unit_leaves_nothing_written(
    postgres: PostgresCluster, postgres_storage: AnyStorage, moment: str
) -> None:
    before = [(await postgres_storage.write(add_contractor)).id]

    def work(unit: Unit) -> None:
        if moment == "before the work":
            postgres.kill_backends()
        add_contractor(unit)
        if moment == "within the work":
            postgres.kill_backends()
        add_contractor(unit)
        if moment == "before the commit":
            postgres.kill_backends()

    with pytest.raises(StorageUnavailable):
        await postgres_storage.write(work)
    kept = await postgres_storage.write(add_contractor)
    assert await all_ids(postgres_storage) == [*before, kept.id]


async def test_connections_that_were_ended_while_idle_are_nobody_s_matter(
    postgres: PostgresCluster, postgres_storage: AnyStorage
) -> None:
    work = Counted()
    for count in range(1, 4):
        await asyncio.gather(postgres_storage.write(work), *(all_ids(postgres_storage) for _ in range(8)))
        await asyncio.to_thread(postgres.kill_backends)
        assert len(await all_ids(postgres_storage)) == count
    await asyncio.to_thread(postgres.kill_backends)
    await postgres_storage.write(work)
    assert len(await all_ids(postgres_storage)) == work.runs == 4


async def test_acknowledged_units_survive_a_storm(postgres: PostgresCluster, postgres_storage: AnyStorage) -> None:
    acknowledged, refused = [], []
    stop = asyncio.Event()

    async def kill() -> None:
        while not stop.is_set():
            await asyncio.to_thread(postgres.kill_backends)
            await asyncio.sleep(random.uniform(0, 0.05))

    killing = asyncio.create_task(kill())
    for _ in range(150):
        made: list[Contractor] = []
        try:
            contractor = await postgres_storage.write(
                lambda unit, made=made: made.append(add_contractor(unit)) or made[0]
            )
            acknowledged.append(contractor.id)
        except StorageUnavailable:
            pass
        except Conflict:
            refused += [contractor.id for contractor in made]
    stop.set()
    await killing
    await asyncio.gather(all_ids(postgres_storage), return_exceptions=True)  # may meet a connection that was just ended
    there = set(await all_ids(postgres_storage))
    assert set(acknowledged) <= there
    assert not set(refused) & there
    assert acknowledged


async def test_a_server_that_crashed_and_came_back_is_written_to_again(
    postgres: PostgresCluster, postgres_storage: AnyStorage
) -> None:
    before = await postgres_storage.write(add_contractor)
    await asyncio.to_thread(postgres.stop, "immediate")
    for call in (
        lambda: postgres_storage.write(add_contractor),
        lambda: all_ids(postgres_storage),
        postgres_storage.ping,
    ):
        with pytest.raises(StorageUnavailable):
            await call()
    await asyncio.to_thread(postgres.start)
    after = await postgres_storage.write(add_contractor)
    assert await all_ids(postgres_storage) == [before.id, after.id]


# A disk that fails, on SQLite.


async def test_a_full_disk_refuses_units_until_there_is_room(sqlite_storage: AnyStorage) -> None:
    pages = 0

    @event.listens_for(writer_of(sqlite_storage), "begin")
    def limit(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages or 1_000_000}")

    before = await sqlite_storage.write(add_contractor)
    pages = 1  # SQLite takes it as: no more than there are
    with pytest.raises(StorageUnavailable):
        await sqlite_storage.write(lambda unit: [add_contractor(unit, company_name="x" * 10_000) for _ in range(10)])
    pages = 0
    after = await sqlite_storage.write(add_contractor)
    assert await all_ids(sqlite_storage) == [before.id, after.id]


async def test_a_file_that_another_program_keeps_locked_is_waited_for_a_while(
    sqlite_storage: AnyStorage, tmp_path: Path
) -> None:
    @event.listens_for(writer_of(sqlite_storage), "connect")
    def hurry(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA busy_timeout = 50")

    other = sqlite3.connect(tmp_path / "optin.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable):
        await sqlite_storage.write(add_contractor)
    assert await all_ids(sqlite_storage) == [], "readers go on"
    other.execute("ROLLBACK")
    other.close()
    await sqlite_storage.write(add_contractor)


async def test_a_postgresql_that_stands_still_is_waited_for_a_while(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own limits stand still with it. The connection is left behind, and what comes next has another one."""
    monkeypatch.setattr(postgres, "async_engine", partial(postgres.async_engine, answer_seconds=0.5))
    async with opened(postgres_url) as storage:
        for run in (storage.write, storage.read):
            backend = await run(backend_of)
            os.kill(backend, signal.SIGSTOP)
            try:
                with pytest.raises(StorageUnavailable):
                    await run(backend_of)
                assert await run(backend_of) != backend
            finally:
                os.kill(backend, signal.SIGCONT)


def backend_of(unit: Unit) -> int:
    assert isinstance(unit, SqlUnit)
    backend: int = unit._connection.scalar(select(func.pg_backend_pid()))
    return backend
