"""The audit trail: who did what, in the transaction of the change, chained for each platform."""

import json
from datetime import timedelta

from optin.v1 import application_session_service_pb2 as sessions
from optin.v1 import resources_pb2 as pb
from sqlalchemy import select

from server.domain.callers import Role
from server.domain.invariants.books import Terms
from server.domain.invariants.trail import broken_links, left_waiting
from server.domain.trail import FIRST, Act, TrailEntry, following
from server.storage.tables import trail
from server.storage.unit import SqlUnit
from tests.access.conftest import House
from tests.conftest import NOW
from tests.storage.opened import opened


async def entries(house: House, platform: str) -> list[TrailEntry]:
    """Placed ones, the first one first."""

    def look(unit: SqlUnit) -> list[TrailEntry]:
        found = select(trail).where(trail.c.platform == platform).order_by(trail.c.number)
        return [TrailEntry(*row) for row in unit._connection.execute(found)]

    async with opened(house.url) as storage:
        await storage.sequence(500)
        return await storage.read(look)  # type: ignore[arg-type]


def acts(found: list[TrailEntry]) -> list[Act]:
    return [Act(*done) for entry in found for done in json.loads(entry.acts)]


async def test_each_change_is_kept_with_who_made_it_and_no_other_call_is(house: House) -> None:
    us, underwriter = await house.client_of(house.ours), await house.client_of(house.theirs, Role.UNDERWRITER)
    jane = await us.contractor(first_name="Canary")
    session = await us.session(jane.id)
    await us.get_session(session.id)
    reviewed = await us.apply(session.id, "Canary Doe", losses_last_3_years=True)
    decide = sessions.ReviewApplicationSessionRequest(
        id=reviewed.id, decision=pb.REVIEW_DECISION_APPROVE, request_id="r1", note="Canary"
    )
    await underwriter.sessions.ReviewApplicationSession(decide)
    await underwriter.sessions.ReviewApplicationSession(decide)  # a repeat changes nothing
    found = await entries(house, house.ours)
    assert [(done.action.rpartition("/")[2], done.resource) for done in acts(found)] == [
        ("platform create", house.ours),
        ("key create", acts(found)[1].resource),
        ("CreateContractor", jane.id),
        ("CreateApplicationSession", session.id),
        *[("SubmitApplicationStep", session.id)] * 4,
        ("ReviewApplicationSession", session.id),
    ]
    ours, theirs = acts(found)[1].resource, acts(await entries(house, house.theirs))[1].resource
    assert [done.actor for done in acts(found)] == ["operator", "operator", *[ours] * 6, theirs]
    assert "Canary" not in "".join(entry.acts for entry in found)
    assert list(broken_links(found)) == []
    assert [entry.number for entry in found] == list(range(1, len(found) + 1))


def chain(count: int) -> list[TrailEntry]:
    last, made = FIRST, []
    for number in range(count):
        entry = TrailEntry(f"tr_{number}", "pf_1", NOW + timedelta(seconds=number), "[]")
        last = following(last, entry)
        made.append(TrailEntry(entry.id, entry.platform, entry.create_time, entry.acts, *last))
    return made


def test_what_is_changed_put_in_or_taken_out_breaks_the_chain() -> None:
    good = chain(5)
    assert list(broken_links(good)) == []
    changed = TrailEntry("tr_2", "pf_1", good[2].create_time, '[["x"]]', good[2].number, good[2].hash)
    assert [finding.ids for finding in broken_links([*good[:2], changed, *good[3:]])] == [("pf_1", "3", "tr_2")]
    assert [finding.ids for finding in broken_links([*good[:2], *good[3:]])] == [("pf_1", "4", "tr_3")]
    unplaced = TrailEntry("tr_x", "pf_1", NOW, "[]")
    assert ("pf_1", "None", "tr_x") in [finding.ids for finding in broken_links([*good[:2], unplaced, *good[2:]])]
    elsewhere = [TrailEntry(e.id, "pf_2", e.create_time, e.acts, e.number, e.hash) for e in good]
    assert len(list(broken_links([*good, *elsewhere]))) == 5


def test_an_entry_that_waits_too_long_is_found_and_one_just_recorded_is_not() -> None:
    terms = Terms(NOW, timedelta(seconds=10))
    old, young = (TrailEntry(f"tr_{age}", "pf_1", NOW - timedelta(seconds=age), "[]") for age in (61, 59))
    assert [finding.ids for finding in left_waiting([old, young], terms)] == [("pf_1", "tr_61")]
