"""What is under way with remote carriers, later decisions, and the keeping of responses, on each database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from server.domain.carrier import CarrierOrder, PendingBinding
from server.domain.enums import BindingOutcome, CarrierOrderKind
from server.domain.ports import Conflict, Page, Unit
from server.domain.records import Policy
from server.storage.tables import decisions
from server.storage.unit import SqlUnit
from tests.storage import records
from tests.storage.opened import AnyStorage
from tests.storage.records import DAY, NOW, OTHER_PLATFORM, PLATFORM, add_contractor, add_job

SECOND = timedelta(seconds=1)


def add_policies(unit: Unit, count: int) -> list[Policy]:
    contractor = add_contractor(unit).id
    made = [records.policy(contractor, number) for number in range(1, count + 1)]
    unit.policies.insert(made)
    return made


def pending(policy: Policy, **changes: Any) -> PendingBinding:
    fields: dict[str, Any] = {
        "platform": PLATFORM,
        "contractor": policy.contractor,
        "policy": policy.id,
        "assignment": "an_1",
        "request_id": "",
        "token": "t1",
        "lease_expire_time": NOW,
    }
    return PendingBinding(**fields | changes)


def order(policy: Policy, **changes: Any) -> CarrierOrder:
    fields: dict[str, Any] = {
        "platform": PLATFORM,
        "contractor": policy.contractor,
        "policy": policy.id,
        "kind": CarrierOrderKind.VOID,
        "due_time": NOW,
    }
    return CarrierOrder(**fields | changes)


async def test_pending_bindings_are_kept_leased_again_and_removed(storage: AnyStorage) -> None:
    def begin(unit: Unit) -> Sequence[PendingBinding]:
        one, two = add_policies(unit, 2)
        made = [pending(one), pending(two, request_id="r", assignment="an_2", token="t2", lease_expire_time=NOW + DAY)]
        unit.pending.insert(made)
        return made

    one, two = await storage.write(begin)
    ids = [one.policy, two.policy, "pl_none", "\0"]
    assert await storage.read(lambda unit: unit.pending.find(ids)) == {one.policy: one, two.policy: two}
    assert await storage.read(lambda unit: unit.pending.find([])) == {}

    taken = replace(one, token="t3", lease_expire_time=NOW + 2 * DAY)
    await storage.write(lambda unit: unit.pending.lease(taken))
    assert await storage.read(lambda unit: unit.pending.find(ids)) == {one.policy: taken, two.policy: two}

    await storage.write(lambda unit: unit.pending.delete(one))
    await storage.write(lambda unit: unit.pending.delete(one))
    assert await storage.read(lambda unit: unit.pending.find(ids)) == {two.policy: two}


async def test_expired_leases_are_found_the_oldest_first_and_no_more_than_asked_for(storage: AnyStorage) -> None:
    def begin(unit: Unit) -> list[str]:
        made = [
            pending(policy, lease_expire_time=NOW - number * SECOND)
            for number, policy in enumerate(add_policies(unit, 4), -1)
        ]
        unit.pending.insert(made)
        return [entry.policy for entry in made]

    later, now, second, oldest = await storage.write(begin)

    async def expired(most: int) -> list[str]:
        return [entry.policy for entry in await storage.read(lambda unit: unit.pending.expired(NOW, most))]

    assert await expired(10) == [oldest, second, now]
    assert await expired(2) == [oldest, second]
    assert later not in await expired(10)


async def test_a_policy_is_pending_once(storage: AnyStorage) -> None:
    def begin(unit: Unit) -> PendingBinding:
        (policy,) = add_policies(unit, 1)
        unit.pending.insert([pending(policy)])
        return pending(policy, token="t2")

    again = await storage.write(begin)
    with pytest.raises(Conflict):
        await storage.write(lambda unit: unit.pending.insert([again]))
    with pytest.raises(Conflict):
        await storage.write(lambda unit: unit.pending.insert([replace(again, policy="pl_none")]))


async def test_orders_are_kept_until_they_are_taken(storage: AnyStorage) -> None:
    def begin(unit: Unit) -> list[CarrierOrder]:
        one, two = add_policies(unit, 2)
        made = [
            order(one),
            order(one, kind=CarrierOrderKind.CANCEL, due_time=NOW - SECOND),
            order(two, due_time=NOW + SECOND, tries=7),
        ]
        unit.orders.insert(made)
        return made

    void, cancel, later = await storage.write(begin)

    async def due(at: Any = NOW, most: int = 10) -> Sequence[CarrierOrder]:
        return await storage.read(lambda unit: unit.orders.due(at, most))

    assert await due() == [cancel, void]
    assert await due(most=1) == [cancel]
    assert await due(NOW + SECOND) == [cancel, void, later]

    put_off = replace(cancel, due_time=NOW + DAY, tries=1)
    await storage.write(lambda unit: unit.orders.update(put_off))
    assert await due() == [void]
    assert await due(NOW + DAY) == [void, later, put_off]

    await storage.write(lambda unit: unit.orders.delete(void))
    assert await due(NOW + DAY) == [later, put_off], "the policy's other order stays"

    newer = replace(later, kind=CarrierOrderKind.REINSTATE, revision=2)
    await storage.write(lambda unit: unit.orders.insert([newer]))
    await storage.write(lambda unit: unit.orders.update(replace(later, tries=5)))
    await storage.write(lambda unit: unit.orders.delete(later))
    assert await due(NOW + DAY) == [newer, put_off], "it is in the place of the one that is sent"


async def test_a_later_decision_is_shown_and_the_first_is_kept(storage: AnyStorage) -> None:
    def begin(unit: Unit) -> Any:
        contractor, job = add_contractor(unit).id, add_job(unit).id
        made = [
            records.assignment(contractor, job, binding=records.binding(BindingOutcome.BINDING_PENDING))
            for _ in range(2)
        ]
        unit.assignments.insert([records.decided(assignment) for assignment in made])
        return made

    one, other = await storage.write(begin)
    settled = replace(one, binding=records.FULL_BINDING)
    again = records.decided(settled, number=2, decide_time=NOW + DAY, trigger="carrier.answered", facts={"a": 1})

    async def shown(outcome: BindingOutcome) -> list[str]:
        page = await storage.read(lambda unit: unit.assignments.page(PLATFORM, Page(10), outcome=outcome))
        return [assignment.id for assignment in page]

    assert await shown(BindingOutcome.BINDING_PENDING) == [other.id, one.id]
    assert await storage.read(lambda unit: unit.assignments.last_decision(one.contractor, one.id)) == (
        records.decided(one)
    )
    await storage.write(lambda unit: unit.assignments.decide_again(again))

    assert await storage.read(lambda unit: unit.assignments.find(PLATFORM, [one.id, other.id])) == {
        one.id: settled,
        other.id: other,
    }
    assert await storage.read(lambda unit: unit.assignments.last_decision(one.contractor, one.id)) == again
    for before, expected in {"": [again, records.decided(one)], "2": [records.decided(one)], "1": []}.items():
        page = Page(10, before)
        assert await storage.read(lambda unit, page=page: unit.assignments.decisions(one, page)) == expected
    assert await shown(BindingOutcome.BINDING_PENDING) == [other.id]
    assert await shown(BindingOutcome.BINDING_FAILED) == [one.id]

    def kept(unit: Unit) -> list[tuple[Any, ...]]:
        assert isinstance(unit, SqlUnit)
        statement = select(decisions.c.number, decisions.c.outcome, decisions.c.trigger, decisions.c.facts)
        statement = statement.where(decisions.c.assignment == one.id).order_by(decisions.c.number)
        return [tuple(row) for row in unit._connection.execute(statement)]

    assert await storage.read(kept) == [
        (1, BindingOutcome.BINDING_PENDING, "assignment.created", {}),
        (2, BindingOutcome.BINDING_FAILED, "carrier.answered", {"a": 1}),
    ]
    with pytest.raises(Conflict):
        await storage.write(lambda unit: unit.assignments.decide_again(again))


async def test_a_request_that_awaits_a_carrier_gets_its_response_later(storage: AnyStorage) -> None:
    waiting = records.request(response=b"", awaits="pl_1")
    elsewhere = replace(waiting, platform=OTHER_PLATFORM)
    await storage.write(lambda unit: unit.requests.insert([waiting, elsewhere]))
    await storage.write(lambda unit: unit.requests.settle(PLATFORM, waiting.request_id, b"answer"))

    async def found(platform: str) -> Any:
        return (await storage.read(lambda unit: unit.requests.find(platform, [waiting.request_id])))[waiting.request_id]

    assert await found(PLATFORM) == replace(waiting, response=b"answer", awaits="")
    assert await found(OTHER_PLATFORM) == elsewhere
