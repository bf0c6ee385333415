"""Events: recorded with their change, in one order, listed and watched; on each kind of database."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from optin.v1 import event_service_pb2 as pb
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import resources_pb2 as resources
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from server.api.servicers.events import told
from server.app import EVENT_OF, running
from server.config import Settings
from server.domain.events import Event, EventType
from server.domain.ports import Unit
from server.service import expiry, feed
from server.storage import open_storage
from tests.conftest import NOW, Clock, Serving, sqlite_copy
from tests.storage import records
from tests.support.client import WORKERS_COMP, Client, Refusal, refused

NONE = "ev_00000000000000000000000000"
NEVER = "ev_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"


async def listed(client: Client, **request: Any) -> list[resources.Event]:
    """Over all pages."""
    events: list[resources.Event] = []
    token = ""
    while True:
        answer = await client.events.ListEvents(pb.ListEventsRequest(page_token=token, **request))
        events += answer.events
        token = answer.next_page_token
        if not token:
            return events


async def listed_when(client: Client, type_: str, **request: Any) -> list[resources.Event]:
    """All of them, once one of the type is out."""
    async with asyncio.timeout(10):
        while True:
            events = await listed(client, **request)
            if any(event.type == type_ for event in events):
                return events
            await asyncio.sleep(0.02)


async def watched(client: Client, **request: Any) -> AsyncIterator[resources.Event]:
    async for message in client.events.WatchEvents(pb.WatchEventsRequest(**request)):
        assert message.HasField("event") != bool(message.events)
        assert request.get("batched", False) == bool(message.events)
        for event in message.events or [message.event]:
            yield event


async def taken(events: AsyncIterator[resources.Event], count: int) -> list[resources.Event]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def test_the_life_of_an_opt_in_is_told_in_order_with_the_resource_as_it_was(any_client: Client) -> None:
    contractor = await any_client.opted_in()
    job = await any_client.job()
    first = (await any_client.assign(contractor.id, job.id, start=None, end=None)).assignment
    second = (await any_client.assign(contractor.id, job.id, start=None, end=None)).assignment
    deleted = await any_client.delete(contractor.id)
    events = await listed_when(any_client, "contractor.deleted")
    assert [event.type for event in events] == [
        "application_session.started",
        "application_session.completed",
        "job_category.approved",
        "policy.active",
        "assignment.created",
        "assignment.created",
        "policy.cancelled",
        "assignment.uncovered",
        "assignment.uncovered",
        "contractor.deleted",
    ]
    approved, active, *created = events[2:6]
    assert approved.resource == approved.job_category.code == job.category_code
    assert (active.resource, active.policy.status) == (first.policy, resources.POLICY_STATUS_ACTIVE)
    assert [event.assignment for event in created] == [first, second]
    assert events[-4].policy.status == resources.POLICY_STATUS_CANCELLED
    assert events[-1].contractor == deleted
    assert [e.type for e in await listed(any_client, resource=first.policy)] == ["policy.active", "policy.cancelled"]
    assert await listed(any_client, types=["assignment.created"], page_size=1) == created
    assert await listed(any_client, after=active.id) == events[4:]
    assert await listed(any_client, after=NONE) == events


async def test_a_refused_change_tells_nothing(any_client: Client) -> None:
    category = await any_client.category("CA")
    job = await any_client.job(category.code)
    await any_client.delete((await any_client.contractor()).id)
    request = jobs_pb.RevokeJobCategoryApprovalRequest(
        category_code=category.code, coverage_type=WORKERS_COMP, states=["NY"]
    )
    await any_client.jobs.RevokeJobCategoryApproval(request)  # is not there
    await refused(any_client.assign("cn_none", job.id))
    assert [e.type for e in await listed_when(any_client, "contractor.deleted")] == [
        "job_category.approved",
        "contractor.deleted",
    ]


async def test_a_watcher_gets_what_it_missed_then_what_comes_and_resumes(any_client: Client) -> None:
    contractor, job = await any_client.opted_in(), await any_client.job()
    everything = watched(any_client)
    missed = await taken(everything, 3)
    created = watched(any_client, types=["assignment.created"])
    made = [(await any_client.assign(contractor.id, job.id)).assignment for _ in range(3)]
    live = await taken(everything, 4)
    assert [event.assignment.id for event in live[1:]] == [assignment.id for assignment in made]
    assert await taken(created, 3) == live[1:]
    assert await taken(watched(any_client, after=missed[-1].id), 4) == live
    assert await taken(watched(any_client, after=live[1].id, types=["assignment.created"]), 2) == live[2:]


@pytest.mark.parametrize("method", ["list", "watch"])
async def test_what_cannot_be_asked_for_is_named(client: Client, method: str) -> None:
    async def ask(**request: Any) -> Refusal:
        if method == "list":
            return await refused(client.events.ListEvents(pb.ListEventsRequest(**request)))
        return await refused(anext(watched(client, **request)))

    bad = await ask(types=["policy.active", "policy.bought"])
    assert (bad.code, bad.fields) == (grpc.StatusCode.INVALID_ARGUMENT, {"types"})
    for after, name in ((NEVER, NEVER), ("ev_x", "ev_x"), (" ", ""), ("x" * 10_000, ""), ("ev_\0", "")):
        unknown = await ask(after=after)
        assert (unknown.code, unknown.told) == (
            grpc.StatusCode.NOT_FOUND,
            {"resource_type": "event", "resource_name": name},
        )


async def test_batched_messages_have_the_same_events(any_client: Client) -> None:
    for _ in range(3):
        await any_client.category()
    missed = await taken(watched(any_client), 3)
    batched = watched(any_client, batched=True)
    assert await taken(batched, 3) == missed
    category = await any_client.category()
    [live] = await taken(batched, 1)
    assert live.resource == category.code


async def test_watchers_have_a_bound_and_their_place_is_free_when_they_leave(serve: Serving) -> None:
    async with serve(watchers=1, calls_in_flight=1) as client:
        await client.category()
        first = client.events.WatchEvents(pb.WatchEventsRequest())
        await first.read()
        assert (await refused(anext(watched(client)))).reason == "OVERLOADED"
        first.cancel()
        async with asyncio.timeout(10):
            while True:
                try:
                    await taken(watched(client), 1)
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.01)


async def test_a_stop_ends_the_streams_and_says_when_to_come_again(tmp_path: Path) -> None:
    settings = Settings(port=0, database_url=f"sqlite+aiosqlite:///{tmp_path}/optin.db")
    async with AsyncExitStack() as until_stopped:
        server = await until_stopped.enter_async_context(running(settings))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            client = Client(channel)
            await client.category()
            events = watched(client)
            await taken(events, 1)
            refusal, _ = await asyncio.gather(refused(anext(events)), until_stopped.aclose())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
    assert refusal.of(RetryInfo)


@pytest.fixture
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of servers that start after it."""
    monkeypatch.setattr(expiry, "ROUND_SECONDS", 0.05)


async def test_expiry_is_told_once_by_whichever_server_does_it(
    quick_rounds: None, servers: list[Client], clock: Clock
) -> None:
    client = servers[0]
    contractor, job = await client.opted_in(), await client.job()
    policy = (await client.assign(contractor.id, job.id, start=None, end=None)).assignment.policy
    left = await client.session(contractor.id, "NY")
    elsewhere = await client.job(region="NY")
    quote = await client.quote(contractor.id, elsewhere.id)
    clock.now += timedelta(days=400)
    events = await listed_when(client, "policy.expired")
    await client.category()  # another event: what is told twice would be before it
    events = [
        event
        for event in await listed_when(client, "job_category.approved", after=events[-1].id)
        if event.type.endswith(".expired")
    ] + [event for event in events if event.type.endswith(".expired")]
    assert sorted((event.type, event.resource) for event in events) == [
        ("application_session.expired", left.id),
        ("policy.expired", policy),
        ("quote.expired", quote.id),
    ]
    assert {event.policy.status for event in events if event.policy.id} == {resources.POLICY_STATUS_EXPIRED}


async def test_a_slow_transaction_delays_its_own_events_only(serve: Serving, postgres_url: str) -> None:
    engine = create_async_engine(make_url(postgres_url))
    async with serve(database_url=postgres_url) as client, serve(database_url=postgres_url) as other:
        await client.category()
        events = watched(client)
        await taken(events, 1)
        async with engine.connect() as connection:
            slow = (
                "INSERT INTO events (id, platform, type, resource, create_time, data) "
                f"VALUES ('{NONE}', 'pf_default', '{EventType.POLICY_ACTIVE}', 'pl_slow', now(), '')"
            )
            await connection.execute(text(slow))  # an id before all others, and not committed
            for who in (client, other, client, other):
                await who.category()
            assert NONE not in {event.id for event in await taken(events, 4)}
            await connection.commit()
        (late,) = await taken(events, 1)
        assert (late.id, late.resource) == (NONE, "pl_slow")
        seen = await listed(client)
        assert seen[-1] == late
        async with engine.connect() as connection:
            positions = await connection.scalars(text("SELECT position FROM events ORDER BY position"))
            assert list(positions) == list(range(1, len(seen) + 1))
    await engine.dispose()


async def test_two_servers_tell_all_watchers_the_same_order(serve: Serving, postgres_url: str) -> None:
    async with serve(database_url=postgres_url) as one, serve(database_url=postgres_url) as two:
        watchers = [watched(client) for client in (one, two)]
        await asyncio.gather(*(client.category() for client in (one, two) for _ in range(20)))
        orders = [[event.id for event in await taken(events, 40)] for events in watchers]
        assert orders[0] == orders[1]
        assert len(set(orders[0])) == 40


class NewsOf:
    count = 1

    def __init__(self, platform: str) -> None:
        self._platform = platform

    def of(self, wanted: feed.Wanted, _: int) -> list[bytes]:
        return [b"news"] if wanted.platform == self._platform else []


def test_a_batched_message_is_no_larger_than_clients_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_BYTES", 10)
    events = [
        Event(
            id=f"ev_{position}",
            platform="pf_1",
            type=EventType.POLICY_ACTIVE,
            resource="pl_1",
            create_time=NOW,
            data=b"x" * size,
            position=position,
        )
        for position, size in enumerate((4, 6, 1, 30, 9, 1), 1)
    ]
    news = feed.News(events, lambda event, **_: event.data)
    together = feed.Wanted(platform="pf_1", types=frozenset(), batched=True)
    assert [len(message) for message in news.of(together, 0)] == [10, 1, 30, 10]
    assert [len(message) for message in news.of(together, 4)] == [10]
    assert list(news.of(together, 6)) == []
    assert [len(message) for message in news.of(replace(together, batched=False), 0)] == [4, 6, 1, 30, 9, 1]


async def test_a_watcher_that_does_not_keep_up_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = feed.Wanted(platform="pf_1", types=frozenset(), batched=True)
    watcher = feed._Watcher(wanted, lambda: None)
    others, news = NewsOf("pf_2"), NewsOf("pf_1")
    watcher.tell(others)  # type: ignore[arg-type]
    monkeypatch.setattr(feed, "MOST_UNREAD", 1)
    watcher.tell(news)  # type: ignore[arg-type]
    assert await watcher.next() is news  # type: ignore[comparison-overlap]
    watcher.tell(news)  # type: ignore[arg-type]
    watcher.tell(news)  # type: ignore[arg-type]
    with pytest.raises(feed.Overloaded):
        await watcher.next()


async def test_a_backlog_is_not_held_against_a_watcher_that_reads(tmp_path: Path, sqlite_template: Path) -> None:
    """Of more pages than may wait for it."""
    storage = open_storage(make_url(sqlite_copy(sqlite_template, tmp_path)), EVENT_OF)
    many = feed.MOST_UNREAD + 10 * feed.MOST_EVENTS

    def record(unit: Unit, count: int) -> None:
        for _ in range(count):
            unit.events.record(EventType.CONTRACTOR_DELETED, records.contractor(), NOW)

    the_feed = feed.Feed(storage, told, most_watchers=1)
    everything = feed.Wanted(platform=records.PLATFORM, types=frozenset(), batched=False)
    stream = the_feed.watch(everything, "", lambda: None)
    await storage.write(partial(record, count=1))
    await anext(stream)  # a page that was missed; then it is told
    joined = asyncio.ensure_future(anext(stream))
    while not the_feed._watchers:
        await asyncio.sleep(0)
    await storage.write(partial(record, count=many))
    round_ = asyncio.create_task(the_feed._round())
    async with asyncio.timeout(30):
        await joined
        for _ in range(many - 1):
            await anext(stream)
        await round_
    await stream.aclose()
    await storage.close()


async def test_a_watcher_that_does_not_read_holds_up_nobody_and_resumes(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_UNREAD", 2)
    settings = Settings(port=0, database_url=sqlite_copy(sqlite_template, tmp_path))
    fixed_window = [("grpc.http2.bdp_probe", 0)]  # or the client would take in what it does not read yet
    async with (
        running(settings) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=fixed_window) as channel,
    ):
        await let_go_and_back(Client(channel))


async def let_go_and_back(client: Client) -> None:
    await client.category()
    stream = client.events.WatchEvents(pb.WatchEventsRequest())
    seen = [(await stream.read()).event.id]  # from here on it is told live, and reads no more for now
    large = {f"{number}": "x" * 500 for number in range(50)}
    for _ in range(60):
        await client.delete((await client.contractor(metadata=large)).id)

    async def read_to_the_end() -> None:
        while True:
            seen.append((await stream.read()).event.id)

    async with asyncio.timeout(10):
        refusal = await refused(read_to_the_end())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refusal.of(RetryInfo)
    assert len(seen) < 61
    rest = await taken(watched(client, after=seen[-1]), 61 - len(seen))
    assert [*seen, *(event.id for event in rest)] == [event.id for event in await listed(client)]


async def test_what_is_kept_long_enough_is_swept_and_the_rest_still_follows(serve: Serving, clock: Clock) -> None:
    async with serve() as client:
        await client.category()
        (old,) = await listed(client)
    clock.now += timedelta(days=31)
    async with serve() as client:
        await client.category()
        async with asyncio.timeout(10):
            while len(events := await listed(client)) != 1:
                await asyncio.sleep(0.02)
        assert events[0].id != old.id
        assert await listed(client, after=old.id) == events


async def test_the_follower_of_the_readme_follows(client: Client) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (sketch,) = re.findall(r"^```python\n(async def follow\(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    dealt_with: asyncio.Queue[resources.Event] = asyncio.Queue()
    names: dict[str, Any] = vars(pb) | {"asyncio": asyncio, "grpc": grpc, "deal_with": dealt_with.put_nowait}
    exec(f"from __future__ import annotations\n{sketch}", names)
    await client.category()
    following = asyncio.ensure_future(names["follow"](client.events, ""))
    async with asyncio.timeout(10):
        assert (await dealt_with.get()).type == "job_category.approved"
        await client.delete((await client.contractor()).id)
        assert (await dealt_with.get()).type == "contractor.deleted"
    following.cancel()
    await asyncio.wait([following])
