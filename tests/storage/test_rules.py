"""What the database itself holds to, on each database: unique emails and numbers, and references to what is there."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from server.domain.errors import DuplicateEmail
from server.domain.ports import Conflict, Page, Unit
from server.domain.records import Contractor
from tests.storage import records
from tests.storage.opened import AnyStorage, opened
from tests.storage.records import NOW, OTHER_PLATFORM, PLATFORM, add_contractor, add_job

EMAIL = "jane@example.com"


async def add(storage: AnyStorage, email: str = EMAIL, platform: str = PLATFORM) -> Contractor:
    return await storage.write(lambda unit: add_contractor(unit, email=email, platform=platform))


async def change(storage: AnyStorage, contractor: Contractor, **changes: object) -> Contractor:
    changed = replace(contractor, **changes)  # type: ignore[arg-type]
    await storage.write(lambda unit: unit.contractors.update(changed))
    return changed


@pytest.mark.parametrize("email", [EMAIL, "JANE@example.com", "jane@EXAMPLE.COM"])
async def test_an_email_is_taken_without_regard_to_case(storage: AnyStorage, email: str) -> None:
    jane = await add(storage)
    with pytest.raises(DuplicateEmail) as refused:
        await add(storage, email)
    assert refused.value.metadata == {"contractor": jane.id}
    assert await storage.read(lambda unit: unit.contractors.page(PLATFORM, Page(10))) == [jane]


async def test_another_platform_may_have_the_same_email(storage: AnyStorage) -> None:
    await add(storage)
    await add(storage, platform=OTHER_PLATFORM)


async def test_a_change_to_a_taken_email_is_refused_and_changes_nothing(storage: AnyStorage) -> None:
    jane, joe = await add(storage), await add(storage, "joe@example.com")
    with pytest.raises(DuplicateEmail) as refused:
        await change(storage, joe, email="Jane@example.com", first_name="Jane")
    assert refused.value.metadata == {"contractor": jane.id}
    assert await storage.read(lambda unit: unit.contractors.find(PLATFORM, [joe.id])[joe.id]) == joe
    with pytest.raises(DuplicateEmail):
        await add(storage, "joe@example.com")


async def test_a_change_of_email_frees_the_old_one(storage: AnyStorage) -> None:
    jane = await add(storage)
    jane = await change(storage, jane, email="doe@example.com")
    await add(storage)
    with pytest.raises(DuplicateEmail):
        await add(storage, "doe@example.com")


async def test_an_email_may_change_its_case(storage: AnyStorage) -> None:
    jane = await change(storage, await add(storage), email="JANE@example.com")
    assert await storage.read(lambda unit: unit.contractors.page(PLATFORM, Page(10), email=EMAIL)) == [jane]
    with pytest.raises(DuplicateEmail):
        await add(storage)


async def test_a_deletion_frees_the_email_for_good(storage: AnyStorage) -> None:
    gone = await change(storage, await add(storage), delete_time=NOW)
    heir = await add(storage)
    await change(storage, gone, company_name="changed after its end")
    with pytest.raises(DuplicateEmail) as refused:
        await add(storage)
    assert refused.value.metadata == {"contractor": heir.id}


async def test_one_unit_may_hand_an_email_over(storage: AnyStorage) -> None:
    jane = await add(storage)

    def hand_over(unit: Unit) -> None:
        unit.contractors.update(replace(jane, email="old@example.com"))
        add_contractor(unit, email=EMAIL)

    await storage.write(hand_over)


async def test_of_many_who_take_an_email_at_once_one_gets_it(migrated_url: str) -> None:
    async def attempt(storage: AnyStorage) -> Contractor | None:
        for _ in range(20):
            try:
                return await add(storage)
            except DuplicateEmail:
                return None
            except Conflict:  # two were at it at the same time
                continue
        raise AssertionError("never got through")

    async with opened(migrated_url) as one, opened(migrated_url) as two:
        results = await asyncio.gather(*(attempt(storage) for storage in (one, two) for _ in range(5)))
        made = [contractor for contractor in results if contractor]
        assert await one.read(lambda unit: unit.contractors.page(PLATFORM, Page(10))) == made
        assert len(made) == 1


async def test_a_policy_number_is_taken_once(storage: AnyStorage) -> None:
    contractor = await add(storage)

    def bind(*numbers: int) -> Callable[[Unit], None]:
        return lambda unit: unit.policies.insert([records.policy(contractor.id, number) for number in numbers])

    await storage.write(bind(1, 2))
    for numbers in ((1,), (2,), (3, 2), (4, 4)):
        with pytest.raises(Conflict):
            await storage.write(bind(*numbers))
    assert await storage.read(lambda unit: unit.policies.last_numbers(PLATFORM, [contractor.id])) == {contractor.id: 2}


async def test_policy_numbers_are_the_contractor_s_own(storage: AnyStorage) -> None:
    for contractor in (await add(storage), await add(storage, "joe@example.com")):
        await storage.write(lambda unit, id_=contractor.id: unit.policies.insert([records.policy(id_, 1)]))


async def test_a_request_id_is_taken_once_in_a_platform(storage: AnyStorage) -> None:
    stored = records.request()
    await storage.write(lambda unit: unit.requests.insert([stored]))
    await storage.write(lambda unit: unit.requests.insert([replace(stored, platform=OTHER_PLATFORM)]))
    with pytest.raises(Conflict):
        await storage.write(lambda unit: unit.requests.insert([records.request(), replace(stored, response=b"other")]))
    found = await storage.read(lambda unit: unit.requests.find(PLATFORM, [stored.request_id]))
    assert found == {stored.request_id: stored}


async def test_request_ids_differ_by_case_and_spaces(storage: AnyStorage) -> None:
    request_ids = ["a", "A", " a", "a "]
    await storage.write(lambda unit: unit.requests.insert([records.request(request_id=id_) for id_ in request_ids]))
    found = await storage.read(lambda unit: unit.requests.find(PLATFORM, request_ids))
    assert sorted(found) == sorted(request_ids)


REFERENCES: dict[str, Callable[[Unit], None]] = {
    "a job's category": lambda unit: unit.jobs.insert(records.job("jc_none")),
    "an approval's category": lambda unit: unit.categories.approve(records.category(), [records.approval()]),
    "a session's contractor": lambda unit: unit.sessions.insert(records.session("cn_none")),
    "a policy's contractor": lambda unit: unit.policies.insert([records.policy("cn_none")]),
    "an assignment's contractor": lambda unit: unit.assignments.insert(
        [records.decided(records.assignment("cn_none", add_job(unit).id))]
    ),
    "an assignment's job": lambda unit: unit.assignments.insert(
        [records.decided(records.assignment(add_contractor(unit).id, "jb_none"))]
    ),
}


@pytest.mark.parametrize("reference", REFERENCES)
async def test_a_reference_to_nothing_is_refused(storage: AnyStorage, reference: str) -> None:
    with pytest.raises(Conflict):
        await storage.write(REFERENCES[reference])
