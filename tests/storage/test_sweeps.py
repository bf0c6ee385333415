"""What is older than its keep time is swept, on each database."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.util.concurrency import await_only

from server.domain.events import EventType
from server.domain.ports import Unit
from server.service.events import new_event
from tests.storage import records
from tests.storage.opened import AnyStorage, opened
from tests.storage.records import DAY, NOW, OTHER_PLATFORM, PLATFORM

SECOND = timedelta(seconds=1)


async def test_old_responses_are_swept_oldest_first_in_steps_and_those_that_wait_are_kept(storage: AnyStorage) -> None:
    ages = {"new": NOW, "just": NOW - DAY, "old": NOW - DAY - SECOND, "older": NOW - 2 * DAY, "oldest": NOW - 3 * DAY}
    kept = [records.request(request_id=name, create_time=time) for name, time in ages.items()]
    kept.append(records.request(request_id="waits", create_time=NOW - 9 * DAY, awaits="pl_1"))
    kept.append(records.request(request_id="oldest", create_time=NOW - 3 * DAY, platform=OTHER_PLATFORM))
    await storage.write(lambda unit: unit.requests.insert(kept))

    async def there() -> set[str]:
        names = [*ages, "waits"]
        return {
            f"{platform}/{name}"
            for platform in (PLATFORM, OTHER_PLATFORM)
            for name in await storage.read(lambda unit, platform=platform: unit.requests.find(platform, names))
        }

    async def swept(most: int) -> int:
        return await storage.write(lambda unit: unit.requests.sweep(NOW - DAY, most))

    everything = await there()
    assert await swept(2) == 2
    assert everything - await there() == {"pf_default/oldest", "pf_other/oldest"}
    assert await swept(10) == 2
    assert await there() == {"pf_default/new", "pf_default/just", "pf_default/waits"}
    assert await swept(10) == 0


async def test_the_first_events_are_swept_in_steps_as_far_as_all_are_old(storage: AnyStorage) -> None:
    """One that is old behind one that is young, by the clock of another server, stays: positions have no gaps."""
    ages = [3 * DAY, 2 * DAY, DAY + SECOND, DAY, 2 * DAY]
    for age in ages:
        await storage.write(lambda unit, age=age: unit.events.add(event(NOW - age)))
    await storage.sequence(10)

    async def left() -> int:
        return len(await storage.read(lambda unit: unit.events.after(PLATFORM, 0, 10)))

    async def swept(most: int) -> int:
        return await storage.write(lambda unit: unit.events.sweep(NOW - DAY, most))

    assert await swept(2) == 2
    assert await left() == 3
    assert await swept(10) == 1
    assert await left() == 2
    assert await swept(10) == 0


def event(time: datetime) -> Any:
    return new_event(EventType.POLICY_ACTIVE, records.policy("cn_1"), time, b"-")


async def test_one_of_several_servers_sweeps_and_the_others_do_not_wait(postgres_url: str) -> None:
    """What they would delete is the same: they would keep their callers waiting for it, and then find nothing."""
    sweeps: Sequence[Callable[[Unit], int]] = (
        lambda unit: unit.requests.sweep(NOW, 10),
        lambda unit: unit.events.sweep(NOW, 10),
    )
    async with opened(postgres_url) as one, opened(postgres_url) as other:
        await one.write(lambda unit: unit.requests.insert([records.request(create_time=NOW - DAY)]))
        await one.write(lambda unit: unit.events.add(event(NOW - DAY)))
        await one.sequence(10)
        for sweep in sweeps:
            swept, go_on = asyncio.Event(), asyncio.Event()

            def first(unit: Unit, sweep: Any = sweep, swept: Any = swept, go_on: Any = go_on) -> int:
                count: int = sweep(unit)
                swept.set()
                await_only(go_on.wait())
                return count

            sweeping = asyncio.create_task(one.write(first))
            await swept.wait()
            assert await other.write(sweep) == 0
            go_on.set()
            assert await sweeping == 1
            assert await other.write(sweep) == 0, "nothing is left"
