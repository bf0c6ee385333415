"""What was once: the audit tells it from what is now and from the events that are kept, and else leaves it open."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from optin.v1 import resources_pb2 as pb

from server.commands.contractor import print_erasure
from server.config import Settings
from server.storage.tables import metadata
from tests.audit.conftest import Kept
from tests.audit.conversation import DAY, Carrier, Clock, client_of, leave_one_pending
from tests.support.client import Client, refused

START = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())


@dataclass
class Talk:
    """With a server, of one contractor who opted in."""

    client: Client
    clock: Clock
    contractor: str
    job: str
    names: dict[str, str] = field(default_factory=dict)

    async def assign(self, first: int = 0, days: int = 30) -> pb.Assignment:
        start = START + first * DAY
        return (await self.client.assign(self.contractor, self.job, start=start, end=start + days * DAY)).assignment

    async def bind(self, first: int = 0) -> str:
        made = await self.assign(first)
        assert made.binding.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
        return made.policy

    async def cancel(self, policy: str, day: int | None = None) -> None:
        await self.client.cancel_policy(policy, time=None if day is None else START + day * DAY)

    async def session(self) -> str:
        """The opt-in that is complete."""
        sessions = await self.client.sessions_of(self.contractor)
        complete, *_ = [s.id for s in sessions if s.status == pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE]
        return complete

    async def opt_in(self) -> None:
        await self.client.apply((await self.client.session(self.contractor)).id)

    async def later(self) -> None:
        """Hours pass, in which something else is told."""
        self.clock.now += timedelta(hours=1)
        await self.client.category()
        self.clock.now += timedelta(hours=1)


Story = Callable[[Talk], Awaitable[None]]


async def told(url: str, story: Story) -> Kept:
    """The database when the story is over, and the ids that it gave names to."""
    clock = Clock()
    async with client_of(url, clock) as client:
        talk = Talk(client, clock, (await client.opted_in()).id, (await client.job()).id)
        await story(talk)
    return Kept(url, talk.names | {"contractor": talk.contractor})


async def sweep_all(kept: Kept) -> None:
    await kept.corrupt(["DELETE FROM events"])


async def sweep_to(kept: Kept, last: str, of: str) -> None:
    """The events up to the first one of that type about what has that name."""
    position = f"SELECT min(position) FROM events WHERE type = '{last}' AND resource = '{{{of}}}'"
    await kept.corrupt([f"DELETE FROM events WHERE position <= ({position})"])


async def found(kept: Kept, rule: str) -> set[tuple[str, ...]]:
    """Names and ids."""
    names = {id_: name for name, id_ in kept.names.items()}
    findings = (await kept.audit()).findings
    return {tuple(names.get(id_, id_) for id_ in finding.ids) for finding in findings if finding.rule == rule}


# What servers do is never a finding, whatever was swept.


async def one_and_another(talk: Talk) -> None:
    """The first is back when the second has ended."""
    first = talk.names["first"] = await talk.bind()
    await talk.cancel(first)
    second = talk.names["second"] = await talk.bind(10)
    assert (await refused(talk.client.reinstate(first))).reason == "MATCHING_POLICY_EXISTS"
    await talk.cancel(second)
    await talk.client.reinstate(first)


async def in_turn(talk: Talk) -> None:
    await one_and_another(talk)
    for ended, back in (("first", "second"), ("second", "first")):
        await talk.cancel(talk.names[ended])
        await talk.client.reinstate(talk.names[back])
    assert (await talk.assign()).policy == talk.names["first"]
    await talk.cancel(talk.names["first"])
    await talk.bind()


async def both_back(talk: Talk) -> None:
    """The second in the days that it goes on for when the first has expired."""
    await one_and_another(talk)
    talk.clock.now = datetime.fromtimestamp(START + 367 * DAY, UTC)
    await talk.client.reinstate(talk.names["second"])


async def ended_later(talk: Talk) -> None:
    """What lies behind the end of one has another; the end is taken back, brought forward and put off."""
    first = await talk.bind()
    await talk.cancel(first, day=100)
    assert (await talk.assign(10)).policy == first
    await talk.cancel(await talk.bind(90))
    await talk.client.reinstate(first)
    assert (await talk.assign(90)).policy == first
    await talk.cancel(first, day=50)
    await talk.bind(90)
    await talk.cancel(first, day=80)
    assert (await talk.assign(30)).policy == first


async def never_began(talk: Talk) -> None:
    """It is to end before its term, which makes room, and no more can be put off."""
    first = await talk.bind(200)
    await talk.cancel(first)
    second = await talk.bind(200)
    await talk.cancel(second, day=100)
    await talk.client.reinstate(first)
    put_off = await refused(talk.cancel(second, day=200 + 366))  # the end of its term
    assert (put_off.reason, put_off.told) == ("MATCHING_POLICY_EXISTS", {"policy": first})


async def overtaken(talk: Talk) -> None:
    """Whose calls came first waited for the others."""
    await talk.later()
    session = await talk.session()
    talk.clock.step = -timedelta(seconds=5)
    await one_and_another(talk)
    await talk.client.cancel_session(session)
    talk.clock.step = timedelta(minutes=2)


async def withdrawn(talk: Talk) -> None:
    first = await talk.bind()
    await talk.client.cancel_session(await talk.session())
    await talk.cancel(first)
    assert not (await talk.assign()).policy
    await talk.opt_in()
    await talk.bind()
    await talk.client.cancel_session(await talk.session())


async def all_at_once(talk: Talk) -> None:
    """In an order of their own, and at one time; most are refused."""
    first = await talk.bind()
    for _ in range(5):
        await talk.later()
        step, talk.clock.step = talk.clock.step, timedelta(0)
        session = await talk.session()
        calls = [talk.assign(), talk.cancel(first), talk.client.reinstate(first), talk.assign(300), talk.cancel(first)]
        await asyncio.gather(*calls, talk.client.cancel_session(session), return_exceptions=True)
        talk.clock.step = step
        await talk.opt_in()


STORIES = [one_and_another, in_turn, both_back, ended_later, never_began, overtaken, withdrawn, all_at_once]


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.__name__)
async def test_what_servers_did_is_no_finding_whatever_is_swept(database_url: str, story: Story) -> None:
    kept = await told(database_url, story)
    for upto in range((await kept.audit()).rows["events"]):
        assert (await kept.audit()).findings == [], f"{upto} events are swept"
        await kept.corrupt([f"DELETE FROM events WHERE position = {upto + 1}"])
    assert (await kept.audit()).findings == []


async def test_a_withdrawal_while_a_carrier_is_asked_is_no_finding(database_url: str) -> None:
    """A server died; hours later another one has the answer."""
    clock = Clock()
    async with client_of(database_url, clock) as client:
        names = {"dot": (await client.opted_in()).id, "job": (await client.job()).id}
    await leave_one_pending(database_url, names, clock())
    async with client_of(database_url, clock) as client:
        (session,) = await client.sessions_of(names["dot"])
        await client.cancel_session(session.id)
    clock.now += timedelta(hours=1)
    async with client_of(database_url, clock, Carrier()) as client:
        await client.told(names["pending-assignment"], "assignment.covered")
    kept = Kept(database_url, names)
    assert (await kept.audit()).findings == []
    await sweep_all(kept)
    assert (await kept.audit()).findings == []


async def test_what_was_erased_is_no_finding(database_url: str) -> None:
    async def and_deleted(talk: Talk) -> None:
        await in_turn(talk)
        await talk.client.cancel_session(await talk.session())
        await talk.client.delete(talk.contractor)

    kept = await told(database_url, and_deleted)
    await print_erasure(Settings(database_url=database_url), kept.names["contractor"])
    assert (await kept.audit()).findings == []
    await sweep_all(kept)
    assert (await kept.audit()).findings == []


# Two policies where one would do.

NEEDED = "opt-in-policy-was-needed"
DOUBLE = {("double", "first", "its-assignment")}
ENDED_AT_ONCE = {"status": "3", "cancel_time": "create_time", "revision": "1"}  # so that it kept none out


async def ends_beyond_it(talk: Talk) -> None:
    made = await talk.assign()
    talk.names |= {"assignment": made.id, "first": made.policy}
    await talk.later()
    await talk.cancel(made.policy, day=100)


async def ends_within_it(talk: Talk) -> None:
    await ends_beyond_it(talk)
    await talk.cancel(talk.names["first"], day=10)


async def is_back(talk: Talk) -> None:
    await ends_beyond_it(talk)
    await talk.later()
    await talk.client.reinstate(talk.names["first"])
    await talk.later()
    talk.names["since"] = (await talk.assign()).id


async def has_ended_again(talk: Talk) -> None:
    await is_back(talk)
    await talk.later()
    await talk.cancel(talk.names["first"])


def copied(table: str, where: str, **changed: str) -> str:
    """Those rows once more, with other values in some columns."""
    columns = [column.name for column in metadata.tables[table].columns]
    values = ", ".join(changed.get(name, name) for name in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE {where}"


def double(**changed: str) -> list[str]:
    """The first policy once more, bound for an assignment like its own."""
    return [
        copied("policies", "id = '{first}'", **{"id": "'double'", "number": "number + 1"} | changed),
        copied("assignments", "id = '{assignment}'", id="'its-assignment'"),
        copied("decisions", "assignment = '{assignment}'", assignment="'its-assignment'", policies="'double'"),
    ]


@pytest.mark.parametrize("story", [ends_beyond_it, is_back], ids=lambda s: s.__name__)
@pytest.mark.parametrize("changed", [{}, {"revision": "0", "cancel_time": "NULL"}], ids=["as-it-is", "as-it-was"])
async def test_a_double_is_found_without_any_event(database_url: str, story: Story, changed: dict[str, str]) -> None:
    """What was to end late enough has always done; what is back could not be beside a double."""
    kept = await told(database_url, story)
    await kept.corrupt(double(**changed))
    assert await found(kept, NEEDED) == DOUBLE
    await sweep_all(kept)
    assert await found(kept, NEEDED) == DOUBLE


@pytest.mark.parametrize("story", [ends_within_it, is_back, has_ended_again], ids=lambda s: s.__name__)
async def test_a_double_from_before_the_first_end_is_found_as_long_as_that_is_told(
    database_url: str, story: Story
) -> None:
    kept = await told(database_url, story)
    await kept.corrupt(double(**ENDED_AT_ONCE))
    assert await found(kept, NEEDED) == DOUBLE
    await sweep_to(kept, "policy.cancelled", of="first")
    assert await found(kept, NEEDED) == set()


@pytest.mark.parametrize(("story", "still"), [(is_back, DOUBLE), (has_ended_again, set())])
async def test_a_double_from_after_the_return_is_found_as_long_as_its_own_time_is_told(
    database_url: str, story: Story, still: set[tuple[str, ...]]
) -> None:
    """Once the return is swept, only if nothing is told of the policy since."""
    kept = await told(database_url, story)
    time = "(SELECT create_time FROM assignments WHERE id = '{since}')"
    await kept.corrupt(double(**ENDED_AT_ONCE, create_time=time))
    assert await found(kept, NEEDED) == DOUBLE
    await sweep_to(kept, "policy.reinstated", of="first")
    assert await found(kept, NEEDED) == still
    await sweep_all(kept)
    assert await found(kept, NEEDED) == set()


# Opt-ins that were withdrawn before.


async def bound_by_another(talk: Talk) -> None:
    talk.names["session"] = await talk.session()
    await talk.client.cancel_session(talk.names["session"])
    await talk.later()
    await talk.opt_in()
    made = await talk.assign()
    talk.names |= {"assignment": made.id, "policy": made.policy}


async def test_an_opt_in_that_was_withdrawn_before_is_found_as_long_as_its_use_is_told(database_url: str) -> None:
    kept = await told(database_url, bound_by_another)
    await kept.corrupt(
        [
            "UPDATE policies SET application_session = '{session}'",
            "UPDATE decisions SET application_session = '{session}'",
        ]
    )
    rules = {
        "opt-in-policy-has-a-complete-opt-in": {("policy", "session")},
        "decision-rests-on-a-complete-opt-in": {("assignment", "session")},
    }
    assert {rule: await found(kept, rule) for rule in rules} == rules
    await sweep_to(kept, "application_session.cancelled", of="session")
    assert {rule: await found(kept, rule) for rule in rules} == rules
    await sweep_all(kept)
    assert (await kept.audit()).findings == []
