"""The group commit, over real SQLite: what happens to one call is nothing to its neighbours."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event, make_url

from server.app import EVENT_OF
from server.domain.errors import ConcurrentUpdate, DomainError, NotFound, Overloaded, StorageUnavailable
from server.domain.observing import Observer
from server.domain.ports import Conflict, Unit
from server.domain.requests import StoredRequest
from server.service.writer import LOCKED, MAX_TRIES, MOST_BRIEF, Locked, Writer
from server.storage import open_storage, schema
from server.storage.sqlite import SqliteStorage
from tests.conftest import NOW

PLATFORM = "pf_default"


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    url = make_url(f"sqlite:///{tmp_path}/optin.db")
    await schema.migrate(url)
    storage = open_storage(url, EVENT_OF)
    assert isinstance(storage, SqliteStorage)
    yield storage
    await storage.close()


@asynccontextmanager
async def writing(storage: SqliteStorage, *, batch_max: int = 64, queue_max: int = 2_000) -> AsyncIterator[Writer]:
    writer = Writer(storage, batch_max=batch_max, queue_max=queue_max)
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


@pytest.fixture
async def writer(storage: SqliteStorage) -> AsyncIterator[Writer]:
    async with writing(storage) as writer:
        yield writer


def entry(name: str) -> StoredRequest:
    """Something small to write."""
    return StoredRequest(platform=PLATFORM, request_id=name, digest=b"", response=name.encode(), create_time=NOW)


def add(name: str) -> Callable[[Unit], str]:
    def work(unit: Unit) -> str:
        unit.requests.insert([entry(name)])
        return name

    return work


def then(name: str, error: Exception) -> Callable[[Unit], str]:
    """Writes, and then fails."""

    def work(unit: Unit) -> str:
        add(name)(unit)
        raise error

    return work


async def written(storage: SqliteStorage, *names: str) -> set[str]:
    return set(await storage.read(lambda unit: unit.requests.find(PLATFORM, names)))


class Gate:
    """A unit that keeps the writer busy until it is opened, so that a batch forms behind it."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._entered = threading.Event()

    def __call__(self, unit: Unit) -> None:
        self._entered.set()
        assert self._opened.wait(20)

    @asynccontextmanager
    async def closed(self, writer: Writer) -> AsyncIterator[None]:
        busy = asyncio.create_task(writer.run(self))
        await asyncio.to_thread(self._entered.wait, 20)
        try:
            yield
        finally:
            self._opened.set()
            await busy


async def queued(*calls: Callable[[], Awaitable[object]]) -> list[asyncio.Future[object]]:
    """Starts the calls in order, and lets each of them get into the queue."""
    tasks = [asyncio.ensure_future(call()) for call in calls]
    await asyncio.sleep(0)
    return tasks


async def results(tasks: Sequence[asyncio.Future[object]]) -> list[object]:
    return await asyncio.gather(*tasks, return_exceptions=True)


# Neighbours.


async def test_a_call_gets_its_result_when_it_is_on_disk(storage: SqliteStorage, writer: Writer) -> None:
    assert await writer.run(add("a")) == "a"
    assert await written(storage, "a") == {"a"}


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (NotFound("job", "jb_1"), NotFound),
        (ValueError("a bug"), ValueError),
        (Conflict(), ConcurrentUpdate),
        (AssertionError("a bug"), AssertionError),
    ],
    ids=["domain error", "bug", "conflict", "assertion"],
)
@pytest.mark.parametrize("position", [0, 2, 4])
async def test_a_bad_call_never_fails_its_neighbours(
    storage: SqliteStorage, writer: Writer, error: Exception, seen: type[Exception], position: int
) -> None:
    names = ["a", "b", "c", "d", "e"]
    bad = names[position]
    async with Gate().closed(writer):
        tasks = await queued(
            *(lambda name=name: writer.run(then(name, error) if name == bad else add(name)) for name in names)
        )
    answers = await results(tasks)
    good = [name for name in names if name != bad]
    assert [answer for answer in answers if isinstance(answer, str)] == good
    assert isinstance(answers[position], seen)
    assert await written(storage, *names) == set(good)


async def test_a_call_that_the_database_refuses_never_fails_its_neighbours(
    storage: SqliteStorage, writer: Writer
) -> None:
    """Two of one batch write the same key: a real conflict, which aborts the unit."""
    async with Gate().closed(writer):
        tasks = await queued(*(lambda name=name: writer.run(add(name)) for name in ("a", "b", "b", "c")))
    answers = await results(tasks)
    assert [answer for answer in answers if isinstance(answer, str)] == ["a", "b", "c"]
    assert [type(answer) for answer in answers if not isinstance(answer, str)] == [ConcurrentUpdate]
    assert await written(storage, "a", "b", "c") == {"a", "b", "c"}


async def test_every_call_of_a_unit_that_cannot_be_written_is_told(storage: SqliteStorage, tmp_path: Path) -> None:
    """Another program keeps the file locked, for longer than the writer waits."""

    @event.listens_for(storage._writer, "connect")
    def hurry(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA busy_timeout = 50")

    other = sqlite3.connect(tmp_path / "optin.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with writing(storage) as writer:
        tasks = await queued(*(lambda name=name: writer.run(add(name)) for name in ("a", "b")))
        assert [type(answer) for answer in await results(tasks)] == [StorageUnavailable] * 2
        other.execute("ROLLBACK")
        other.close()
        assert await writer.run(add("c")) == "c", "it goes on"
    assert await written(storage, "a", "b", "c") == {"c"}


async def test_many_calls_at_once_are_each_done_once(storage: SqliteStorage, writer: Writer) -> None:
    names = [f"r{number}" for number in range(500)]
    assert await asyncio.gather(*(writer.run(add(name)) for name in names)) == names
    assert await written(storage, *names) == set(names)


# Callers that go away.


async def test_a_call_cancelled_while_queued_writes_nothing(storage: SqliteStorage, writer: Writer) -> None:
    async with Gate().closed(writer):
        tasks = await queued(*(lambda name=name: writer.run(add(name)) for name in ("a", "b", "c")))
        tasks[1].cancel()
        await asyncio.sleep(0)
    answers = await results(tasks)
    assert answers[::2] == ["a", "c"]
    assert isinstance(answers[1], asyncio.CancelledError)
    assert await written(storage, "a", "b", "c") == {"a", "c"}


async def test_the_result_of_a_call_cancelled_too_late_is_not_lost(writer: Writer) -> None:
    """Cancelled while its unit commits, or in the moment between its answer and its caller's next step."""
    late: list[str] = []

    def work(_unit: Unit, names: Sequence[str]) -> list[str]:
        if names == ["while it commits"]:
            asyncio.get_running_loop().call_soon(call.cancel)
        return list(names)

    for moment in ("while it commits", "as it is answered"):
        call = asyncio.ensure_future(writer.run_in_set(work, partial(str, moment), when_left=late.append))
        while not call.done():
            waits_for: asyncio.Future[object] | None = call._fut_waiter  # type: ignore[attr-defined]
            if waits_for is not None and waits_for.done():
                call.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await call
        await writer.run(lambda _unit: None)
    assert late == ["while it commits", "as it is answered"]


async def test_a_call_cancelled_while_it_runs_is_written_whole(storage: SqliteStorage, writer: Writer) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow(unit: Unit) -> None:
        add("a")(unit)
        entered.set()
        assert go_on.wait(20)
        add("b")(unit)

    call = asyncio.create_task(writer.run(slow))
    await asyncio.to_thread(entered.wait, 20)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    go_on.set()
    await writer.run(add("c"))
    assert await written(storage, "a", "b", "c") == {"a", "b", "c"}


async def test_callers_that_go_away_at_random_leave_whole_units_only(storage: SqliteStorage, writer: Writer) -> None:
    def pair(number: int) -> Callable[[Unit], None]:
        def work(unit: Unit) -> None:
            add(f"a{number}")(unit)
            add(f"b{number}")(unit)

        return work

    tasks = []
    for number in range(200):
        tasks.append(asyncio.create_task(writer.run(pair(number))))
        if number % 3 == 0:
            await asyncio.sleep(0.0005)
        if number % 2:
            tasks[number // 2].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    there = await written(storage, *(f"{side}{number}" for number in range(200) for side in "ab"))
    for number, answer in enumerate(answers):
        sides = {f"a{number}", f"b{number}"} & there
        assert len(sides) in ((2,) if answer is None else (0, 2)), number


async def test_a_call_that_asks_what_cannot_be_is_refused_alone(storage: SqliteStorage, writer: Writer) -> None:
    """And before its unit: each is asked once, when its batch is formed, however often the unit is run."""
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        if name == "bad":
            raise NotFound("job", name)
        return name

    work = Contended(1, Conflict())
    async with Gate().closed(writer):
        tasks = await queued(*(lambda n=n: writer.run_in_set(work, partial(ask, n)) for n in ("a", "bad", "b")))
        assert asked == []
    answers = await results(tasks)
    assert answers[::2] == ["a", "b"]
    assert isinstance(answers[1], NotFound)
    assert asked == ["a", "bad", "b"]
    assert work.runs == 2
    assert await written(storage, "a", "bad", "b") == {"a", "b"}


async def test_what_is_done_with_a_result_is_done_for_a_whole_batch_before_anybody_goes_on(
    storage: SqliteStorage, writer: Writer
) -> None:
    seen: list[str] = []

    def some(_: Unit, requests: Sequence[str]) -> list[str | DomainError]:
        return [NotFound("job", name) if name == "bad" else name for name in requests]

    async def call(name: str) -> None:
        with suppress(NotFound):
            await writer.run_in_set(some, lambda: name, when_done=lambda result: seen.append(f"done {result}"))
        seen.append(f"{name} goes on")

    async with Gate().closed(writer):
        tasks = await queued(*(partial(call, name) for name in ("a", "left", "bad", "b")))
        tasks[1].cancel()
    await results(tasks)
    assert seen == ["done a", "done b", "a goes on", "bad goes on", "b goes on"]


async def test_what_goes_wrong_in_telling_neither_ends_the_writer_nor_repeats_a_unit(storage: SqliteStorage) -> None:
    class Broken(Observer):
        def wrote(self, marks: Sequence[object], seconds: float, *, failed: bool) -> None:
            raise OSError

    def breaks(_: str) -> None:
        raise OSError

    runs: list[Sequence[str]] = []

    def work(_: Unit, requests: Sequence[str]) -> Sequence[str]:
        runs.append(list(requests))
        return requests

    writer = Writer(storage, batch_max=64, queue_max=2_000, observer=Broken())
    writer.start()
    for _ in range(2):
        tasks = await queued(*(partial(writer.run_in_set, work, partial(str, n), when_done=breaks) for n in "ab"))
        assert await results(tasks) == ["a", "b"]
    await writer.close()
    assert runs == [["a", "b"]] * 2


# Bounds.


async def test_a_batch_is_bounded(storage: SqliteStorage) -> None:
    sizes: list[int] = []

    def counted(unit: Unit, requests: Sequence[int]) -> list[int]:
        sizes.append(len(requests))
        return list(requests)

    async with writing(storage, batch_max=4) as writer:
        async with Gate().closed(writer):
            tasks = await queued(*(lambda n=n: writer.run_in_set(counted, lambda: n) for n in range(10)))
        assert await results(tasks) == list(range(10)), "in the order in which they came"
    assert sizes == [4, 4, 2]


async def test_a_unit_of_many_calls_does_not_hold_up_the_loop(storage: SqliteStorage) -> None:
    here: list[bool] = []

    def work(_unit: Unit, requests: Sequence[int]) -> list[int]:
        here.append(threading.current_thread() is threading.main_thread())
        return list(requests)

    async with writing(storage, batch_max=1_000) as writer:
        for count in (MOST_BRIEF, MOST_BRIEF + 1):
            async with Gate().closed(writer):
                tasks = await queued(*(lambda n=n: writer.run_in_set(work, lambda: n) for n in range(count)))
            assert await results(tasks) == list(range(count))
    assert here == [True, False]


async def test_a_full_queue_refuses_and_goes_on_when_there_is_room(storage: SqliteStorage) -> None:
    async with writing(storage, queue_max=3) as writer:
        async with Gate().closed(writer):
            tasks = await queued(*(lambda n=n: writer.run(add(f"r{n}")) for n in range(5)))
        answers = await results(tasks)
        assert answers[:3] == ["r0", "r1", "r2"]
        assert [type(answer) for answer in answers[3:]] == [Overloaded, Overloaded]
        assert await writer.run(add("later")) == "later"
    assert await written(storage, *(f"r{n}" for n in range(5))) == {"r0", "r1", "r2"}


# The end.


async def test_closing_drains_the_queue(storage: SqliteStorage) -> None:
    writer = Writer(storage, batch_max=2, queue_max=100)
    writer.start()
    names = [f"r{number}" for number in range(20)]
    tasks = await queued(*(lambda name=name: writer.run(add(name)) for name in names))
    await writer.close()
    assert await results(tasks) == names
    assert await written(storage, *names) == set(names)


async def test_a_closed_writer_takes_no_more(storage: SqliteStorage) -> None:
    async with writing(storage) as writer:
        pass
    with pytest.raises(Overloaded):
        await writer.run(add("a"))
    assert await written(storage, "a") == set()


async def test_an_idle_writer_closes_at_once(storage: SqliteStorage) -> None:
    async with asyncio.timeout(5), writing(storage):
        await asyncio.sleep(0.01)


# Conflicts.


class Contended:
    """Fails as another process makes it fail, some times; or names its contractor as locked."""

    def __init__(self, times: int, result: Exception | Locked) -> None:
        self.runs = 0
        self._times = times
        self._result = result

    def __call__(self, unit: Unit, requests: Sequence[str]) -> list[str | DomainError | Locked]:
        self.runs += 1
        for name in requests:
            add(name)(unit)
        if self.runs > self._times:
            return list(requests)
        if isinstance(self._result, Exception):
            raise self._result
        return [self._result for _ in requests]


async def test_a_conflict_is_rerun_until_it_is_none(storage: SqliteStorage, writer: Writer) -> None:
    work = Contended(MAX_TRIES - 1, Conflict())
    assert await writer.run_in_set(work, lambda: "a") == "a"
    assert work.runs == MAX_TRIES


async def test_a_unit_is_tried_three_times_at_most(storage: SqliteStorage, writer: Writer) -> None:
    work = Contended(1_000, Conflict())
    with pytest.raises(ConcurrentUpdate):
        await writer.run_in_set(work, lambda: "a")
    assert work.runs == MAX_TRIES == 3
    assert await written(storage, "a") == set()


async def test_what_is_no_conflict_is_not_rerun(storage: SqliteStorage, writer: Writer) -> None:
    work = Contended(1_000, KeyError("a bug"))
    with pytest.raises(KeyError):
        await writer.run_in_set(work, lambda: "a")
    assert work.runs == 1


async def test_a_call_that_stays_locked_ends_and_its_neighbours_do_not_wait(storage: SqliteStorage) -> None:
    locked_runs = 0

    def one_is_locked(_: Unit, requests: Sequence[str]) -> list[str | DomainError | Locked]:
        nonlocal locked_runs
        locked_runs += "locked" in requests
        return [LOCKED if name == "locked" else name for name in requests]

    async with writing(storage) as writer:
        async with Gate().closed(writer):
            tasks = await queued(
                *(lambda n=n: writer.run_in_set(one_is_locked, lambda: n) for n in ("a", "locked", "b"))
            )
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert tasks[1] not in done
        answers = await results(tasks)
    assert answers[::2] == ["a", "b"]
    assert isinstance(answers[1], ConcurrentUpdate)
    assert 1 < locked_runs <= MAX_TRIES
