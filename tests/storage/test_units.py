"""Units of work on each database: all or nothing, one after the other, and contractors locked on PostgreSQL."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import make_url, text

from server.app import EVENT_OF
from server.domain.errors import DuplicateEmail, StorageUnavailable
from server.domain.ports import Conflict, Page, Unit
from server.domain.records import Contractor
from server.storage.contractors import LOCK
from server.storage.postgres import READERS, PostgresStorage, async_engine
from server.storage.sqlite import SqliteStorage
from server.storage.unit import SqlUnit
from tests.storage import records
from tests.storage.opened import AnyStorage, opened
from tests.storage.records import PLATFORM, add_contractor

LOCK_TIMEOUT_SECONDS = 0.25


class Whim(Exception):
    """Something that goes wrong inside a unit."""


async def all_ids(storage: AnyStorage) -> list[str]:
    found = await storage.read(lambda unit: unit.contractors.page(PLATFORM, Page(200)))
    return sorted(contractor.id for contractor in found)


# All or nothing.


@pytest.mark.parametrize("error", [Whim, DuplicateEmail(contractor="cn_1"), Conflict])
async def test_what_a_unit_wrote_is_undone_when_it_raises(storage: AnyStorage, error: Any, brief: bool) -> None:
    def work(unit: Unit) -> None:
        add_contractor(unit)
        with unit.savepoint():
            add_contractor(unit)
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        await storage.write(work, brief=brief)
    assert await all_ids(storage) == []
    kept = await storage.write(add_contractor, brief=brief)
    assert await all_ids(storage) == [kept.id], "the next unit is not hurt"


async def test_a_savepoint_undoes_its_own_part_only(storage: AnyStorage) -> None:
    def undone(unit: Unit, *works: Callable[[Unit], object]) -> None:
        with contextlib.suppress(Whim, DuplicateEmail), unit.savepoint():
            for work in works:
                work(unit)
            raise Whim

    def work(unit: Unit) -> list[str]:
        first = add_contractor(unit)
        undone(unit, add_contractor)
        undone(unit, add_contractor, lambda unit: add_contractor(unit, email=first.email))
        with unit.savepoint():
            second = add_contractor(unit)
            undone(unit, add_contractor)
        return [first.id, second.id, add_contractor(unit).id]

    kept = await storage.write(work)
    assert await all_ids(storage) == kept


async def test_a_unit_is_seen_whole_or_not_at_all(storage: AnyStorage) -> None:
    def pair(unit: Unit) -> None:
        add_contractor(unit)
        add_contractor(unit)

    async def watch(until: asyncio.Event) -> set[int]:
        seen = set()
        while not until.is_set():
            seen.add(len(await all_ids(storage)))
        return seen

    done = asyncio.Event()
    watching = asyncio.create_task(watch(done))
    for _ in range(20):
        await storage.write(pair)
    done.set()
    assert {count % 2 for count in await watching} == {0}
    assert len(await all_ids(storage)) == 40


async def test_what_a_unit_wrote_is_there_for_the_next_process(migrated_url: str) -> None:
    async with opened(migrated_url) as storage:
        contractor = await storage.write(add_contractor)
    async with opened(migrated_url) as storage:
        assert await all_ids(storage) == [contractor.id]


async def test_a_brief_unit_waits_for_who_writes_beside_and_the_loop_goes_on(sqlite_storage: AnyStorage) -> None:
    assert isinstance(sqlite_storage, SqliteStorage)
    with contextlib.closing(sqlite3.connect(sqlite_storage.path, isolation_level=None)) as beside:
        beside.execute("BEGIN IMMEDIATE")
        waits = asyncio.create_task(sqlite_storage.write(add_contractor, brief=True))
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not waits.done()
        beside.execute("COMMIT")
        contractor = await waits
    assert await all_ids(sqlite_storage) == [contractor.id]


async def test_a_reader_of_sqlite_cannot_write(sqlite_storage: AnyStorage) -> None:
    with pytest.raises(StorageUnavailable):
        await sqlite_storage.read(add_contractor)
    assert await all_ids(sqlite_storage) == []


async def test_storage_answers_while_it_is_open(storage: AnyStorage) -> None:
    await storage.ping()


async def test_a_caller_that_goes_away_leaves_no_reader_behind(storage: AnyStorage) -> None:
    """More of them than there are connections."""

    def slow(unit: Unit) -> None:
        assert isinstance(unit, SqlUnit)
        if isinstance(storage, PostgresStorage):
            unit._connection.execute(text("SELECT pg_sleep(0.05)"))
        else:
            time.sleep(0.01)

    for _ in range(3):
        tasks = [asyncio.create_task(storage.read(slow)) for _ in range(2 * READERS)]
        await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    contractor = await storage.write(add_contractor)
    assert await asyncio.gather(*(all_ids(storage) for _ in range(2 * READERS))) == [[contractor.id]] * 2 * READERS


# One after the other.


def incremented(contractor_id: str) -> Callable[[Unit], None]:
    """Reads a count, and writes one more: what is lost where units overlap."""

    def work(unit: Unit) -> None:
        if unit.contractors.lock([contractor_id]):
            raise Conflict
        contractor = unit.contractors.find(PLATFORM, [contractor_id])[contractor_id]
        count = int(contractor.metadata.get("count", "0")) + 1
        unit.contractors.update(replace(contractor, metadata={"count": str(count)}))

    return work


async def test_increments_from_several_processes_lose_nothing(migrated_url: str) -> None:
    times, processes = 15, 4

    async def increment(storage: AnyStorage, contractor: Contractor) -> int:
        conflicts = 0
        for _ in range(times):
            while True:
                try:
                    await storage.write(incremented(contractor.id))
                    break
                except Conflict:
                    conflicts += 1
                    await asyncio.sleep(0)
        return conflicts

    async with (
        opened(migrated_url) as a,
        opened(migrated_url) as b,
        opened(migrated_url) as c,
        opened(migrated_url) as d,
    ):
        contractor = await a.write(add_contractor)
        await asyncio.gather(*(increment(storage, contractor) for storage in (a, b, c, d)))
        found = await a.read(lambda unit: unit.contractors.find(PLATFORM, [contractor.id])[contractor.id])
        assert found.metadata == {"count": str(times * processes)}


async def test_increments_of_one_process_lose_nothing(sqlite_storage: AnyStorage) -> None:
    """All at once: on PostgreSQL they would be refused for want of connections."""
    contractor = await sqlite_storage.write(add_contractor)
    await asyncio.gather(*(sqlite_storage.write(incremented(contractor.id)) for _ in range(100)))
    found = await sqlite_storage.read(lambda unit: unit.contractors.find(PLATFORM, [contractor.id])[contractor.id])
    assert found.metadata == {"count": "100"}


# Contractor locks.


async def test_nobody_keeps_contractors_locked_from_the_only_writer(storage: AnyStorage) -> None:
    contractor = await storage.write(add_contractor)
    for ids in ([], [contractor.id], [contractor.id, "cn_none", "\0"], ["cn_none"]):
        assert await storage.write(lambda unit, ids=ids: unit.contractors.lock(ids)) == frozenset()


@asynccontextmanager
async def held(url: str, *contractors: Contractor) -> AsyncIterator[Any]:
    """Another process keeps these contractors locked; yields its transaction."""
    engine = async_engine(make_url(url))
    async with engine.connect() as connection, connection.begin() as transaction:
        await connection.execute(LOCK, {"ids": [contractor.id for contractor in contractors]})
        yield transaction
    await engine.dispose()


async def some(storage: AnyStorage, count: int) -> list[Contractor]:
    return await storage.write(lambda unit: [add_contractor(unit) for _ in range(count)])


async def test_those_whom_another_process_holds_are_named_and_the_others_locked(
    postgres_url: str, postgres_storage: AnyStorage
) -> None:
    a, b, c, d = await some(postgres_storage, 4)
    ids = [d.id, b.id, "cn_none", a.id, c.id]
    async with held(postgres_url, b, d):
        started = time.monotonic()

        def work(unit: Unit) -> frozenset[str]:
            locked = unit.contractors.lock(ids)
            assert unit.contractors.lock([a.id, c.id]) == frozenset(), "twice is once"
            return locked

        assert await postgres_storage.write(work) == {b.id, d.id}
        assert time.monotonic() - started < LOCK_TIMEOUT_SECONDS, "it does not wait for them"
    assert await postgres_storage.write(lambda unit: unit.contractors.lock(ids)) == frozenset()


async def test_a_unit_whose_contractors_are_all_held_waits_for_them(
    postgres_url: str, postgres_storage: AnyStorage
) -> None:
    a, b = await some(postgres_storage, 2)
    async with held(postgres_url, a, b) as transaction:
        waiting = asyncio.create_task(postgres_storage.write(incremented(a.id)))
        await asyncio.sleep(LOCK_TIMEOUT_SECONDS / 3)
        assert not waiting.done()
        await transaction.rollback()
        await waiting


async def test_it_does_not_wait_for_ever(postgres_url: str, postgres_storage: AnyStorage) -> None:
    a, b = await some(postgres_storage, 2)
    async with held(postgres_url, a, b):
        started = time.monotonic()
        with pytest.raises(Conflict):
            await postgres_storage.write(lambda unit: unit.contractors.lock([a.id, b.id]))
        assert LOCK_TIMEOUT_SECONDS * 0.9 < time.monotonic() - started < LOCK_TIMEOUT_SECONDS * 6
    await postgres_storage.write(incremented(a.id))


@pytest.mark.parametrize("ends_well", [True, False])
async def test_the_end_of_a_unit_lets_its_contractors_go(
    postgres_url: str, postgres_storage: AnyStorage, ends_well: bool
) -> None:
    (contractor,) = await some(postgres_storage, 1)

    def work(unit: Unit) -> None:
        unit.contractors.lock([contractor.id])
        if not ends_well:
            raise Whim

    await asyncio.gather(postgres_storage.write(work), return_exceptions=True)
    async with opened(postgres_url) as other:
        assert await other.write(lambda unit: unit.contractors.lock([contractor.id])) == frozenset()


async def test_a_lock_keeps_no_reference_or_reader_out(postgres_url: str, postgres_storage: AnyStorage) -> None:
    (contractor,) = await some(postgres_storage, 1)
    async with held(postgres_url, contractor):
        await postgres_storage.write(lambda unit: unit.policies.insert([records.policy(contractor.id)]))
        assert await all_ids(postgres_storage) == [contractor.id]


async def test_what_was_read_after_the_lock_is_what_its_last_holder_left(
    postgres_url: str, postgres_storage: AnyStorage
) -> None:
    (contractor,) = await some(postgres_storage, 1)
    changed = replace(contractor, company_name="Doe & Sons")

    def read_locked(unit: Unit) -> str:
        unit.contractors.find(PLATFORM, [contractor.id])  # a look before the lock must not stick
        assert unit.contractors.lock([contractor.id]) == frozenset()
        return unit.contractors.find(PLATFORM, [contractor.id])[contractor.id].company_name

    engine = async_engine(make_url(postgres_url))
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: SqlUnit(sync, EVENT_OF).contractors.lock([contractor.id]))
        reading = asyncio.create_task(postgres_storage.write(read_locked))
        await asyncio.sleep(0.05)
        await connection.run_sync(lambda sync: SqlUnit(sync, EVENT_OF).contractors.update(changed))
    assert await reading == "Doe & Sons"
    await engine.dispose()


async def test_two_units_that_lock_many_in_any_order_never_stand_still(postgres_url: str) -> None:
    """Each locks all that are free, so none can wait in a circle."""
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        people = [contractor.id for contractor in await some(one, 8)]

        async def lock(storage: AnyStorage, ids: list[str]) -> int:
            got = 0
            for _ in range(20):
                try:
                    got += len(ids) - len(await storage.write(lambda unit: unit.contractors.lock(ids)))
                except Conflict:
                    continue
            return got

        started = time.monotonic()
        assert all(await asyncio.gather(lock(one, people), lock(two, people[::-1])))
        assert time.monotonic() - started < 10
