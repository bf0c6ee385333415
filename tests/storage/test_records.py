"""What is inserted or updated comes back as it was, on each database: with defaults and with every field set."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import exc, select

from server.domain.enums import CoverageType
from server.domain.ports import Page, Unit
from server.domain.records import Contractor, JobCategory
from server.storage.tables import decisions
from server.storage.unit import SqlUnit
from tests.storage import records
from tests.storage.opened import AnyStorage
from tests.storage.records import DAY, NOW, OTHER_PLATFORM, PLATFORM, add_contractor, add_job


@dataclass(frozen=True)
class Kind:
    """One kind of record: how one with defaults is made, filled, written and read."""

    name: str
    make: Callable[[Unit], Any]
    fill: Callable[[Any], Any]
    insert: Callable[[Unit, Any], None]
    find: Callable[[Unit, str, list[str]], Any]
    update: Callable[[Unit, Any], None] | None = None
    key: str = "id"

    def found(self, unit: Unit, record: Any) -> Any:
        return self.find(unit, record.platform, [self.key_of(record)]).get(self.key_of(record))

    def key_of(self, record: Any) -> str:
        key: str = getattr(record, self.key)
        return key


def kinds() -> list[Kind]:
    return [
        Kind(
            name="contractor",
            make=lambda _: records.contractor(),
            fill=records.full_contractor,
            insert=lambda unit, record: unit.contractors.insert(record),
            update=lambda unit, record: unit.contractors.update(record),
            find=lambda unit, platform, ids: unit.contractors.find(platform, ids),
        ),
        Kind(
            name="job category",
            make=lambda _: records.category(),
            fill=lambda record: replace(record, name="Ware\nhouse 😀"),
            insert=lambda unit, record: unit.categories.insert(record),
            find=lambda unit, platform, ids: unit.categories.find(platform, ids),
            key="code",
        ),
        Kind(
            name="job",
            make=lambda unit: records.job(add_job(unit).category_code),
            fill=records.full_job,
            insert=lambda unit, record: unit.jobs.insert(record),
            update=lambda unit, record: unit.jobs.update(record),
            find=lambda unit, platform, ids: unit.jobs.find(platform, ids),
        ),
        Kind(
            name="application session",
            make=lambda unit: records.session(add_contractor(unit).id),
            fill=records.full_session,
            insert=lambda unit, record: unit.sessions.insert(record),
            update=lambda unit, record: unit.sessions.update(record),
            find=lambda unit, platform, ids: unit.sessions.find(platform, ids),
        ),
        Kind(
            name="quote",
            make=lambda unit: records.quote(add_contractor(unit).id, add_job(unit).id),
            fill=records.full_quote,
            insert=lambda unit, record: unit.quotes.insert(record),
            update=lambda unit, record: unit.quotes.update(record),
            find=lambda unit, platform, ids: unit.quotes.find(platform, ids),
        ),
        Kind(
            name="policy",
            make=lambda unit: records.policy(add_contractor(unit).id),
            fill=records.full_policy,
            insert=lambda unit, record: unit.policies.insert([record]),
            update=lambda unit, record: unit.policies.update([record]),
            find=lambda unit, platform, ids: unit.policies.find(platform, ids),
        ),
        Kind(
            name="assignment",
            make=lambda unit: records.assignment(add_contractor(unit).id, add_job(unit).id),
            fill=records.full_assignment,
            insert=lambda unit, record: unit.assignments.insert([records.decided(record)]),
            find=lambda unit, platform, ids: unit.assignments.find(platform, ids),
        ),
        Kind(
            name="request",
            make=lambda _: records.request(),
            fill=lambda record: replace(record, digest=b"", response=b"\0" * 100_000, awaits="pl_1"),
            insert=lambda unit, record: unit.requests.insert([record]),
            find=lambda unit, platform, ids: unit.requests.find(platform, ids),
            key="request_id",
        ),
    ]


@pytest.fixture(params=kinds(), ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(params=[kind for kind in kinds() if kind.update], ids=lambda kind: kind.name)
def updated_kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


async def stored(storage: AnyStorage, kind: Kind, fill: Callable[[Any], Any] = lambda record: record) -> Any:
    """A record of the kind, inserted in a unit of its own."""

    def work(unit: Unit) -> Any:
        record = fill(kind.make(unit))
        kind.insert(unit, record)
        return record

    return await storage.write(work)


async def test_a_record_with_defaults_comes_back_as_it_was(storage: AnyStorage, kind: Kind) -> None:
    record = await stored(storage, kind)
    assert await storage.read(lambda unit: kind.found(unit, record)) == record


async def test_a_record_with_every_field_set_comes_back_as_it_was(storage: AnyStorage, kind: Kind) -> None:
    record = await stored(storage, kind, kind.fill)
    assert await storage.read(lambda unit: kind.found(unit, record)) == record


async def test_every_field_can_be_changed_and_changed_back(storage: AnyStorage, updated_kind: Kind) -> None:
    kind, update = updated_kind, updated_kind.update
    assert update
    record, neighbour = await stored(storage, kind), await stored(storage, kind)
    for version in (kind.fill(record), record):
        await storage.write(lambda unit, version=version: update(unit, version))
        assert await storage.read(lambda unit: kind.found(unit, record)) == version
        assert await storage.read(lambda unit: kind.found(unit, neighbour)) == neighbour


async def test_what_another_platform_has_is_not_there(storage: AnyStorage, kind: Kind) -> None:
    record = await stored(storage, kind)
    assert not await storage.read(lambda unit: kind.find(unit, OTHER_PLATFORM, [kind.key_of(record)]))


async def test_a_unit_reads_what_it_has_written(storage: AnyStorage, kind: Kind) -> None:
    def work(unit: Unit) -> tuple[Any, Any]:
        record = kind.fill(kind.make(unit))
        kind.insert(unit, record)
        return record, kind.found(unit, record)

    record, found = await storage.write(work)
    assert found == record


async def test_many_are_found_at_once_and_those_that_are_not_there_are_left_out(
    storage: AnyStorage, kind: Kind
) -> None:
    record = await stored(storage, kind)

    def found(unit: Unit, count: int, *more: str) -> Any:
        return kind.find(unit, PLATFORM, [f"none_{number}" for number in range(count)] + [*more])

    for count in (0, 1, 2, 3, 5, 200):
        assert await storage.read(lambda unit, count=count: found(unit, count)) == {}
        mine = await storage.read(lambda unit, count=count: found(unit, count, kind.key_of(record)))
        assert mine == {kind.key_of(record): record}


async def test_an_id_of_whatever_shape_may_be_asked_for(storage: AnyStorage, kind: Kind) -> None:
    for id_ in ("", "\0", "a\0b", "'; DROP TABLE contractors; --", "%", "😀", "x" * 10_000):
        assert await storage.read(lambda unit, id_=id_: kind.find(unit, PLATFORM, [id_])) == {}


def test_the_full_records_leave_no_field_at_its_default() -> None:
    """Or the round trips above would prove nothing about it."""
    full = [
        records.full_contractor(records.contractor()),
        records.full_job(records.job("jc_1")),
        records.full_session(records.session("cn_1")),
        replace(records.full_quote(records.quote("cn_1", "jb_1")), applied_until=NOW),
        records.full_policy(records.policy("cn_1")),
        records.full_assignment(records.assignment("cn_1", "jb_1")),
        records.FULL_ADDRESS,
        records.FULL_BINDING,
    ]
    for record in full:
        for field in fields(record):
            default = field.default_factory() if field.default_factory is not MISSING else field.default
            assert getattr(record, field.name) != default, f"{type(record).__name__}.{field.name}"


@pytest.mark.parametrize("withhold", [None, False, True])
async def test_unset_and_false_stay_apart(storage: AnyStorage, withhold: bool | None) -> None:
    def work(unit: Unit) -> tuple[Contractor, str]:
        return add_contractor(unit, withhold_premium=withhold), add_job(unit, withhold_premium=withhold).id

    contractor, job = await storage.write(work)
    found = await storage.read(lambda unit: unit.contractors.find(PLATFORM, [contractor.id])[contractor.id])
    assert found.withhold_premium is withhold
    assert (await storage.read(lambda unit: unit.jobs.find(PLATFORM, [job])[job])).withhold_premium is withhold


async def test_the_kinds_of_answers_stay_apart(storage: AnyStorage) -> None:
    answers = {"bool": True, "int": 1, "text": "1", "empty": ""}

    def work(unit: Unit) -> str:
        session = records.session(add_contractor(unit).id, answers=answers)
        unit.sessions.insert(session)
        return session.id

    id_ = await storage.write(work)
    found = await storage.read(lambda unit: unit.sessions.find(PLATFORM, [id_])[id_])
    assert [(name, type(value), value) for name, value in found.answers.items()] == [
        (name, type(value), value) for name, value in answers.items()
    ]


async def test_a_decision_is_kept_with_what_it_rested_on(storage: AnyStorage) -> None:
    facts = {"policies": ["pl_1"], "approval": {"state": "", "net_rate": 250}, "nothing": None, "yes": True}

    def work(unit: Unit) -> str:
        made = records.full_assignment(records.assignment(add_contractor(unit).id, add_job(unit).id))
        unit.assignments.insert([records.decided(made, facts=facts, decide_time=NOW + DAY, trigger="test")])
        return made.id

    id_ = await storage.write(work)

    def kept(unit: Unit) -> Any:
        assert isinstance(unit, SqlUnit)
        return unit._connection.execute(select(decisions).where(decisions.c.assignment == id_)).mappings().one()

    row = dict(await storage.read(kept))
    assert row | {"facts": facts, "decide_time": NOW + DAY, "trigger": "test", "number": 1} == row
    assert (
        row | {field.name: getattr(records.FULL_BINDING, field.name) for field in fields(records.FULL_BINDING)} == row
    )


# Times.

EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    "time",
    [
        datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
        datetime(2026, 11, 22, 12, 0, 0, 1, UTC),
        datetime(2026, 11, 22, 23, 59, 59, 999_999, UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2024, 2, 29, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(2026, 11, 23, 3, 0, 0, 7, EAST),
    ],
    ids=str,
)
async def test_a_time_comes_back_in_utc_with_its_microseconds(storage: AnyStorage, time: datetime) -> None:
    contractor = await storage.write(lambda unit: add_contractor(unit, create_time=time))
    found = await storage.read(lambda unit: unit.contractors.find(PLATFORM, [contractor.id])[contractor.id])
    assert found.create_time == time
    assert found.create_time.utcoffset() == timedelta(0)
    assert found.delete_time is None


async def test_times_are_compared_as_times_whatever_their_zone(storage: AnyStorage) -> None:
    """On SQLite they are texts."""

    def work(unit: Unit) -> str:
        session = records.session(add_contractor(unit).id, expire_time=NOW)
        unit.sessions.insert(session)
        return session.id

    id_ = await storage.write(work)

    async def live_at(now: datetime) -> list[str]:
        found = await storage.read(
            lambda unit: unit.sessions.page(PLATFORM, Page(10), now=now, status=records.session("cn_1").status)
        )
        return [session.id for session in found]

    assert await live_at((NOW - timedelta(microseconds=1)).astimezone(EAST)) == [id_]
    assert await live_at(NOW.astimezone(EAST)) == []


async def test_a_time_without_a_zone_is_refused(storage: AnyStorage, kind: Kind) -> None:
    def work(unit: Unit) -> None:
        record = kind.make(unit)
        kind.insert(unit, record_in(record, NOW.replace(tzinfo=None)))

    with pytest.raises((ValueError, exc.StatementError), match="without a zone"):
        await storage.write(work)


def record_in(record: Any, time: datetime) -> Any:
    return replace(record, create_time=time)


# What hangs on a category.


async def approvals_of(storage: AnyStorage, category: JobCategory) -> set[tuple[CoverageType, str, int]]:
    found = await storage.read(lambda unit: unit.categories.find(PLATFORM, [category.code])[category.code])
    paged = await storage.read(lambda unit: unit.categories.page(PLATFORM, Page(10)))
    assert found in paged
    return {(a.coverage_type, a.state, a.net_rate) for a in found.approvals}


async def test_approvals_are_added_replaced_and_removed_row_by_row(storage: AnyStorage) -> None:
    comp, general = CoverageType.WORKERS_COMP, CoverageType.GENERAL
    category, other = records.category(), records.category()

    def approve(unit: Unit, *states: str, rate: int, coverage_type: CoverageType = comp) -> None:
        made = [records.approval(coverage_type=coverage_type, state=state, net_rate=rate) for state in states]
        unit.categories.approve(category, made)

    def begin(unit: Unit) -> None:
        for made in (category, other):
            unit.categories.insert(made)
        unit.categories.approve(other, [records.approval(net_rate=1)])
        approve(unit, "", "CA", "NY", rate=250)
        approve(unit, "CA", rate=900, coverage_type=general)

    await storage.write(begin)
    await storage.write(lambda unit: approve(unit, "CA", "TX", rate=300))
    assert await approvals_of(storage, category) == {
        (comp, "", 250),
        (comp, "CA", 300),
        (comp, "NY", 250),
        (comp, "TX", 300),
        (general, "CA", 900),
    }

    await storage.write(lambda unit: unit.categories.revoke(category, comp, ["CA", "NY", "NV"]))
    await storage.write(lambda unit: unit.categories.revoke(category, comp, []))
    assert await approvals_of(storage, category) == {(comp, "", 250), (comp, "TX", 300), (general, "CA", 900)}
    await storage.write(lambda unit: unit.categories.revoke(category, comp, [""]))
    assert await approvals_of(storage, category) == {(comp, "TX", 300), (general, "CA", 900)}
    assert await approvals_of(storage, other) == {(comp, "CA", 1)}


async def test_an_approval_keeps_its_time(storage: AnyStorage) -> None:
    category = records.category()
    approval = records.approval(approve_time=NOW + timedelta(microseconds=5))

    def work(unit: Unit) -> None:
        unit.categories.insert(category)
        unit.categories.approve(category, [records.approval()])
        unit.categories.approve(category, [approval])

    await storage.write(work)
    found = await storage.read(lambda unit: unit.categories.find(PLATFORM, [category.code])[category.code])
    assert found == replace(category, approvals=(approval,))
