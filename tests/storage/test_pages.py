"""Pages: newest first, by keyset, through filters; statuses are read as they are at the time, on each database."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.domain import application, matching, quoting
from server.domain.enums import ApplicationSessionStatus, BindingOutcome, PolicyStatus, QuoteStatus
from server.domain.ports import Page, Unit
from server.domain.records import Quote
from tests.storage import records
from tests.storage.opened import AnyStorage
from tests.storage.records import DAY, NOW, OTHER_PLATFORM, PLATFORM, add_contractor, add_job

MICROSECOND = timedelta(microseconds=1)

Fill = Callable[[Unit, str, int], list[str]]  # makes some records of a platform, and gives their ids
Fetch = Callable[[Unit, str, Page], Sequence[Any]]


def contractors(unit: Unit, platform: str, count: int) -> list[str]:
    return [add_contractor(unit, platform=platform).id for _ in range(count)]


def categories(unit: Unit, platform: str, count: int) -> list[str]:
    made = [records.category(platform=platform) for _ in range(count)]
    for category in made:
        unit.categories.insert(category)
    return [category.code for category in made]


def jobs(unit: Unit, platform: str, count: int) -> list[str]:
    return [add_job(unit, platform=platform).id for _ in range(count)]


def sessions(unit: Unit, platform: str, count: int) -> list[str]:
    contractor = add_contractor(unit, platform=platform).id
    made = [records.session(contractor, platform=platform) for _ in range(count)]
    for session in made:
        unit.sessions.insert(session)
    return [session.id for session in made]


def policies(unit: Unit, platform: str, count: int) -> list[str]:
    contractor = add_contractor(unit, platform=platform).id
    made = [records.policy(contractor, number, platform=platform) for number in range(1, count + 1)]
    unit.policies.insert(made)
    return [policy.id for policy in made]


def assignments(unit: Unit, platform: str, count: int) -> list[str]:
    contractor, job = add_contractor(unit, platform=platform).id, add_job(unit, platform=platform).id
    made = [records.assignment(contractor, job, platform=platform) for _ in range(count)]
    unit.assignments.insert([records.decided(assignment) for assignment in made])
    return [assignment.id for assignment in made]


PAGED: dict[str, tuple[Fill, Fetch]] = {
    "contractors": (contractors, lambda unit, platform, page: unit.contractors.page(platform, page)),
    "job categories": (categories, lambda unit, platform, page: unit.categories.page(platform, page)),
    "jobs": (jobs, lambda unit, platform, page: unit.jobs.page(platform, page)),
    "application sessions": (sessions, lambda unit, platform, page: unit.sessions.page(platform, page, now=NOW)),
    "policies": (policies, lambda unit, platform, page: unit.policies.page(platform, page, now=NOW)),
    "assignments": (assignments, lambda unit, platform, page: unit.assignments.page(platform, page)),
}


def ids(found: Sequence[Any]) -> list[str]:
    return [getattr(record, "code", None) or record.id for record in found]


@pytest.mark.parametrize("name", PAGED)
async def test_pages_give_each_row_once_newest_first_though_rows_come_in_between(
    storage: AnyStorage, name: str
) -> None:
    fill, fetch = PAGED[name]
    await storage.write(lambda unit: fill(unit, OTHER_PLATFORM, 2))
    there = await storage.write(lambda unit: fill(unit, PLATFORM, 7))

    seen: list[str] = []
    for size in (3, 2, 2, 2):
        page = Page(size, seen[-1] if seen else "")
        seen += await storage.read(lambda unit, page=page: ids(fetch(unit, PLATFORM, page)))
        await storage.write(lambda unit: fill(unit, PLATFORM, 1))

    assert seen == there[::-1]


@pytest.mark.parametrize("name", PAGED)
async def test_an_empty_list_and_the_end_of_one_are_empty_pages(storage: AnyStorage, name: str) -> None:
    fill, fetch = PAGED[name]
    assert await storage.read(lambda unit: fetch(unit, PLATFORM, Page(10))) == []
    (first, *_) = await storage.write(lambda unit: fill(unit, PLATFORM, 2))
    assert await storage.read(lambda unit: fetch(unit, PLATFORM, Page(10, first))) == []


async def test_contractors_are_filtered_by_email_without_case_and_deleted_ones_are_left_out(
    storage: AnyStorage,
) -> None:
    def work(unit: Unit) -> list[str]:
        jane = add_contractor(unit, email="Jane@Example.com")
        add_contractor(unit, email="jane@example.org")
        add_contractor(unit, email="jane@example.com", platform=OTHER_PLATFORM)
        gone = add_contractor(unit, email="gone@example.com")
        unit.contractors.update(replace(gone, delete_time=NOW))
        return [jane.id, gone.id]

    jane, gone = await storage.write(work)

    async def found(email: str) -> list[str]:
        return await storage.read(lambda unit: ids(unit.contractors.page(PLATFORM, Page(10), email=email)))

    assert await found("jANE@eXAMPLE.COM") == [jane]
    assert await found("gone@example.com") == []
    assert await found("nobody@example.com") == []
    assert await found("%@example.com") == []
    assert gone not in await found("")
    assert len(await found("")) == 2


async def test_jobs_are_filtered_by_category(storage: AnyStorage) -> None:
    def work(unit: Unit) -> tuple[str, list[str]]:
        first = add_job(unit)
        second = records.job(first.category_code)
        unit.jobs.insert(second)
        add_job(unit)
        return first.category_code, [second.id, first.id]

    code, wanted = await storage.write(work)
    assert await storage.read(lambda unit: ids(unit.jobs.page(PLATFORM, Page(10), category_code=code))) == wanted
    assert await storage.read(lambda unit: unit.jobs.page(PLATFORM, Page(10), category_code="jc_none")) == []


async def test_assignments_are_filtered_by_contractor_job_and_outcome(storage: AnyStorage) -> None:
    bound, standard = BindingOutcome.COVERAGE_BOUND, BindingOutcome.STANDARD_WORKFLOW
    made: dict[str, tuple[str, str, BindingOutcome]] = {}

    def work(unit: Unit) -> None:
        people = contractors(unit, PLATFORM, 2)
        works = jobs(unit, PLATFORM, 2)
        for person in people:
            for job in works:
                for outcome in (bound, standard):
                    assignment = records.assignment(person, job, binding=records.binding(outcome))
                    unit.assignments.insert([records.decided(assignment)])
                    made[assignment.id] = (person, job, outcome)

    await storage.write(work)
    person, job, _ = next(iter(made.values()))
    filters: list[dict[str, Any]] = [
        {"contractor": person},
        {"job": job},
        {"outcome": bound},
        {"contractor": person, "job": job},
        {"contractor": person, "job": job, "outcome": standard},
        {"contractor": "cn_none"},
        {"outcome": BindingOutcome.BINDING_PENDING},
    ]
    for wanted in filters:
        matching_ids = [
            id_
            for id_, values in reversed(made.items())
            if wanted.items() <= dict(zip(("contractor", "job", "outcome"), values, strict=True)).items()
        ]
        found = await storage.read(lambda unit, w=wanted: ids(unit.assignments.page(PLATFORM, Page(10), **w)))
        assert found == matching_ids, wanted


# Statuses as they read: the condition in SQL and the function of the domain are the same.

AROUND_NOW = (NOW - DAY, NOW - MICROSECOND, NOW, NOW + MICROSECOND, NOW + DAY)


async def test_sessions_are_filtered_by_the_status_that_they_read_as(storage: AnyStorage) -> None:
    def work(unit: Unit) -> list[Any]:
        contractor = add_contractor(unit).id
        made = [
            records.session(contractor, status=status, expire_time=time)
            for status in ApplicationSessionStatus
            for time in AROUND_NOW
        ]
        for session in made:
            unit.sessions.insert(session)
        return made

    made = await storage.write(work)
    for status in ApplicationSessionStatus:
        found = await storage.read(
            lambda unit, status=status: ids(unit.sessions.page(PLATFORM, Page(100), now=NOW, status=status))
        )
        assert found == ids([s for s in reversed(made) if application.status_at(s, NOW) is status]), status
        assert found


async def test_policies_are_filtered_by_the_status_that_they_read_as(storage: AnyStorage) -> None:
    def work(unit: Unit) -> list[Any]:
        contractor = add_contractor(unit).id
        cases = [(status, time) for status in PolicyStatus if status is not PolicyStatus.EXPIRED for time in AROUND_NOW]
        made = [
            records.policy(contractor, number, status=status, expire_time=time)
            for number, (status, time) in enumerate(cases, 1)
        ]
        unit.policies.insert(made)
        return made

    made = await storage.write(work)
    for status in PolicyStatus:
        found = await storage.read(
            lambda unit, status=status: ids(unit.policies.page(PLATFORM, Page(100), now=NOW, status=status))
        )
        assert found == ids([p for p in reversed(made) if matching.status_at(p, NOW) is status]), status
        assert found


async def test_sessions_are_filtered_by_contractor_state_and_kind(storage: AnyStorage) -> None:
    def work(unit: Unit) -> dict[str, Any]:
        jane, joe = contractors(unit, PLATFORM, 2)
        made = {
            "jane": records.session(jane),
            "jane NY": records.session(jane, work_state="NY"),
            "jane quote": records.session(jane, is_general_opt_in=False, quote="qt_1"),
            "joe": records.session(joe),
        }
        for session in made.values():
            unit.sessions.insert(session)
        return made

    made = await storage.write(work)
    jane = made["jane"].contractor
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"contractor": jane}, ["jane quote", "jane NY", "jane"]),
        ({"work_state": "CA"}, ["joe", "jane quote", "jane"]),
        ({"is_general_opt_in": True}, ["joe", "jane NY", "jane"]),
        ({"is_general_opt_in": False}, ["jane quote"]),
        ({"contractor": jane, "work_state": "CA", "is_general_opt_in": True}, ["jane"]),
        ({"contractor": "cn_none"}, []),
    ]
    for wanted, names in cases:
        found = await storage.read(lambda unit, w=wanted: ids(unit.sessions.page(PLATFORM, Page(10), now=NOW, **w)))
        assert found == [made[name].id for name in names], wanted


async def test_policies_are_filtered_by_contractor(storage: AnyStorage) -> None:
    def work(unit: Unit) -> tuple[str, str]:
        policies(unit, PLATFORM, 1)
        mine = records.policy(add_contractor(unit).id)
        unit.policies.insert([mine])
        return mine.contractor, mine.id

    contractor, policy = await storage.write(work)
    page = await storage.read(lambda unit: unit.policies.page(PLATFORM, Page(10), now=NOW, contractor=contractor))
    assert ids(page) == [policy]


# What a decision and a deletion ask for.


async def test_the_opt_ins_of_many_contractors_are_found_in_every_status_and_state(storage: AnyStorage) -> None:
    def work(unit: Unit) -> tuple[list[str], list[Any]]:
        people = contractors(unit, PLATFORM, 3)
        made = [records.session(people[0], status=status, work_state="NY") for status in ApplicationSessionStatus]
        made.append(records.session(people[1]))
        for session in (*made, records.session(people[1], is_general_opt_in=False)):
            unit.sessions.insert(session)
        return people, made

    people, made = await storage.write(work)
    found = await storage.read(lambda unit: unit.sessions.opt_ins(PLATFORM, people))
    assert sorted(ids(found.get(people[0], ()))) == ids(made[:-1])
    assert ids(found.get(people[1], ())) == ids(made[-1:])
    assert not found.get(people[2])
    assert not await storage.read(lambda unit: unit.sessions.opt_ins(OTHER_PLATFORM, people))
    assert not await storage.read(lambda unit: unit.sessions.opt_ins(PLATFORM, []))


async def test_live_sessions_are_those_that_are_stored_as_open_or_in_review(storage: AnyStorage) -> None:
    def work(unit: Unit) -> list[Any]:
        people = contractors(unit, PLATFORM, 2)
        made = [records.session(people[0], status=status) for status in ApplicationSessionStatus]
        for session in (*made, records.session(people[1])):
            unit.sessions.insert(session)
        return made

    made = await storage.write(work)
    contractor = made[0].contractor
    live = await storage.read(lambda unit: unit.sessions.live(PLATFORM, contractor))
    assert sorted(ids(live)) == ids([s for s in made if s.status in application.LIVE])
    assert not await storage.read(lambda unit: unit.sessions.live(OTHER_PLATFORM, contractor))


async def test_live_policies_and_last_numbers_are_found_for_many_contractors(storage: AnyStorage) -> None:
    def work(unit: Unit) -> tuple[list[str], list[Any]]:
        people = contractors(unit, PLATFORM, 3)
        stored = [status for status in PolicyStatus if status is not PolicyStatus.EXPIRED]
        made = [records.policy(people[0], number, status=status) for number, status in enumerate(stored, 1)]
        made.append(records.policy(people[1], expire_time=NOW - DAY))
        unit.policies.insert(made)
        return people, made

    people, made = await storage.write(work)
    live = await storage.read(lambda unit: unit.policies.live(PLATFORM, people))
    assert sorted(ids(live.get(people[0], ()))) == ids(
        [p for p in made[:-1] if p.status in (PolicyStatus.PENDING, PolicyStatus.ACTIVE)]
    )
    assert ids(live.get(people[1], ())) == ids(made[-1:]), "the clock plays no part"
    assert not live.get(people[2])
    numbers = await storage.read(lambda unit: unit.policies.last_numbers(PLATFORM, people))
    assert numbers == {people[0]: 4, people[1]: 1}, "failed and cancelled ones included"
    assert not await storage.read(lambda unit: unit.policies.live(OTHER_PLATFORM, people))
    assert not await storage.read(lambda unit: unit.policies.last_numbers(OTHER_PLATFORM, people))


async def test_a_filter_is_compared_with_the_time_it_is_given(storage: AnyStorage) -> None:
    def work(unit: Unit) -> str:
        policy = records.policy(add_contractor(unit).id, expire_time=NOW)
        unit.policies.insert([policy])
        return policy.id

    policy = await storage.write(work)

    async def reads_as(now: datetime) -> list[PolicyStatus]:
        return [
            status
            for status in PolicyStatus
            if policy
            in await storage.read(
                lambda unit, status=status: ids(unit.policies.page(PLATFORM, Page(9), now=now, status=status))
            )
        ]

    assert await reads_as(NOW - MICROSECOND) == [PolicyStatus.ACTIVE]
    assert await reads_as(NOW) == [PolicyStatus.EXPIRED]


async def test_a_quote_is_applied_for_until_its_last_open_session_ends(storage: AnyStorage) -> None:
    """One in review has no end, and neither has a quote whose policy is being bound."""
    end = datetime(9999, 12, 31, tzinfo=UTC)

    def work(unit: Unit) -> dict[str, Quote]:
        contractor, job = add_contractor(unit).id, add_job(unit).id
        made = {name: records.quote(contractor, job) for name in ("none", "open", "closed", "reviewed", "issuing")}
        for quote in made.values():
            unit.quotes.insert(quote)
        for name, status, days in (
            ("open", ApplicationSessionStatus.STARTED, 3),
            ("open", ApplicationSessionStatus.CREATED, 5),
            ("open", ApplicationSessionStatus.CANCELLED, 9),
            ("closed", ApplicationSessionStatus.APPLICATION_COMPLETE, 9),
            ("reviewed", ApplicationSessionStatus.MANUAL_REVIEW, 1),
            ("reviewed", ApplicationSessionStatus.STARTED, 2),
        ):
            of_quote = {"quote": made[name].id, "status": status, "expire_time": NOW + days * DAY}
            unit.sessions.insert(records.session(contractor, **of_quote))
        for number, (name, policy_status) in enumerate(
            (("issuing", PolicyStatus.PENDING), ("none", PolicyStatus.FAILED)), 1
        ):
            unit.policies.insert([records.policy(contractor, number, quote=made[name].id, status=policy_status)])
        found = unit.quotes.find(PLATFORM, [quote.id for quote in made.values()])
        return {name: found[quote.id] for name, quote in made.items()}

    found = await storage.write(work)
    until = {name: quote.applied_until for name, quote in found.items()}
    assert until == {"none": None, "open": NOW + 5 * DAY, "closed": None, "reviewed": end, "issuing": end}
    later = NOW + 40 * DAY
    for status in QuoteStatus:
        page = await storage.read(
            lambda unit, status=status: unit.quotes.page(PLATFORM, Page(9), now=later, status=status)
        )
        assert {quote.id for quote in page} == {
            quote.id for quote in found.values() if quoting.status_at(quote, later) is status
        }
