"""Metrics: what a server that is used tells Prometheus, alone and as several workers; and the dashboard."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import event_service_pb2 as events_pb
from optin.v1 import resources_pb2 as pb
from prometheus_client import CollectorRegistry

from server import observed, scraping
from server.api.server import PortTaken
from server.app import Running, running
from server.carrier.fake import FakeCarrier, Fault, Method
from server.config import Settings
from server.metrics import Metrics
from server.scraping import scraped
from tests.server.scrape import scrape, scraped_until
from tests.server.test_workers import assert_refused, clients_of, served_by_workers, workers_of
from tests.support.client import WORKERS_COMP, Client, refused
from tests.support.postgres import PostgresCluster

CREATE = "optin.v1.AssignmentService/CreateAssignment"
DASHBOARD = Path(observed.__file__).parent / "dashboards" / "optin.json"


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "SAMPLE_SECONDS", 0.02)


@asynccontextmanager
async def counted(url: str, **settings: Any) -> AsyncIterator[tuple[Client, Running]]:
    """A server with metrics, and a client of it."""
    async with (
        running(Settings(port=0, metrics_port=0, database_url=url, **settings)) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield Client(channel), server


async def test_what_was_called_and_what_became_of_it_is_counted(database_url: str) -> None:
    async with counted(database_url) as (client, server):
        jane, job = await client.opted_in(), await client.job()
        await client.assign(jane.id, job.id, request_id="r1")
        await client.assign(jane.id, job.id, request_id="r1")
        await client.assign(jane.id, job.id, validate_only=True)
        await client.assign(jane.id, (await client.job(region="NY")).id)
        creation = assignments_pb.CreateAssignmentRequest(
            assignment=pb.Assignment(contractor=jane.id, job=job.id, coverage_types=[WORKERS_COMP])
        )
        await client.assignments.BatchCreateAssignments(
            assignments_pb.BatchCreateAssignmentsRequest(requests=[creation] * 3)
        )
        await refused(client.assign("cn_none", job.id))
        found = await asyncio.to_thread(scrape, server.metrics_port)
    assert found("optin_calls_total", method=CREATE, code="OK") == 4
    assert found("optin_calls_total", method=CREATE, code="NOT_FOUND") == 1
    assert found("optin_call_duration_seconds_count", method=CREATE) == 5
    assert found("optin_call_duration_seconds_bucket", method=CREATE, le="+Inf") == 5
    assert 0 < (found("optin_call_duration_seconds_sum", method=CREATE) or 0) < 60
    # Nothing is created by a repeat or a look ahead; three were in the batch.
    outcomes = {"COVERAGE_BOUND": 2, "COVERAGE_REUSED": 2, "STANDARD_WORKFLOW": 1}
    assert found.all("optin_binding_outcomes_total", "outcome") == outcomes
    reasons = ("WORK_STATE_MISMATCH",)
    assert found.all("optin_binding_reasons_total", "reason") == dict.fromkeys(reasons, 1)
    assert (found("optin_commit_calls_sum") or 0) >= 17, "each change was in a unit"
    assert found("optin_commit_calls_count") == found("optin_commit_duration_seconds_count")
    assert found("optin_commit_failures_total") == 0
    limits = {"reader": 4, "writer": 1} if "sqlite" in database_url else {"reader": 8, "writer": 2, "sequencer": 1}
    assert found.all("optin_storage_connections_limit", "pool") == limits
    assert jane.id not in found.text
    assert "_created" not in found.text


async def test_how_things_are_is_seen_while_they_are_so(database_url: str) -> None:
    async with counted(database_url) as (client, server):
        await client.contractor()
        stream = client.events.WatchEvents(events_pb.WatchEventsRequest())
        await scraped_until(server.metrics_port, lambda now: now("optin_watchers") == 1)
        jane = await client.opted_in()
        async for message in stream:
            if message.event.resource == jane.id or message.event.type == "application_session.completed":
                break
        told = await scraped_until(
            server.metrics_port, lambda now: (now("optin_event_lag_seconds_count", step="told") or 0) > 0
        )
        placed = told("optin_event_lag_seconds_count", step="placed") or 0
        assert (placed > 0) == ("postgresql" in database_url), "on SQLite the unit itself places them"
        stream.cancel()
        await scraped_until(server.metrics_port, lambda now: now("optin_watchers") == 0)
        after = await asyncio.to_thread(scrape, server.metrics_port)
    watched = "optin.v1.EventService/WatchEvents"
    assert after("optin_calls_total", method=watched, code="CANCELLED") == 1
    assert after("optin_call_duration_seconds_count", method=watched) is None, "a stream lasts as long as its caller"


async def test_what_waits_is_seen_and_a_unit_that_fails(tmp_path: Path, sqlite_url: str) -> None:
    async with counted(sqlite_url, group_commit_max=1) as (client, server):
        await client.category()
        with closing(sqlite3.connect(tmp_path / "optin.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # so that nothing can be written
            calls = [asyncio.ensure_future(client.category()) for _ in range(3)]
            # Both at one moment: until the third call has come, two may stand in the queue as well.
            now = await scraped_until(
                server.metrics_port,
                lambda now: now("optin_commit_queue_calls") == 2 and now("optin_calls_in_flight") == 3,
            )
            assert now("optin_calls_in_flight") == 3
            assert now("optin_storage_connections_used", pool="writer") == 1
            other.execute("ROLLBACK")
        await asyncio.gather(*calls)
        await scraped_until(server.metrics_port, lambda now: now("optin_calls_in_flight") == 0)
        with closing(sqlite3.connect(tmp_path / "optin.db", isolation_level=None)) as other:
            other.execute("ALTER TABLE job_categories RENAME TO gone")
        await refused(client.category())
        after = await asyncio.to_thread(scrape, server.metrics_port)
    assert (after("optin_commit_failures_total") or 0) >= 1
    assert after("optin_commit_queue_calls") == 0


@pytest.fixture
async def fake() -> AsyncIterator[FakeCarrier]:
    carrier = FakeCarrier(methods=Method)
    yield carrier
    await carrier.stop()


async def test_a_carrier_s_calls_and_its_breaker_are_seen(sqlite_url: str, fake: FakeCarrier) -> None:
    port = await fake.start()
    async with counted(sqlite_url, carrier=f"grpc://127.0.0.1:{port}") as (client, server):
        jane, job = await client.opted_in(), await client.job()
        await client.assign(jane.id, job.id)
        now = await asyncio.to_thread(scrape, server.metrics_port)
        assert now("optin_carrier_calls_total", method="BindPolicy", code="OK") == 1
        assert now("optin_carrier_call_duration_seconds_count", method="BindPolicy") == 1
        assert now.all("optin_carrier_breaker_state", "state") == {"closed": 1}
        fake.fault = Fault.ERRORS_BEFORE
        failures = 0
        while now.all("optin_carrier_breaker_state", "state") != {"open": 1}:
            failures += 1
            assert failures <= 5, "voids fail too: they may bring it on sooner"
            await client.assign((await client.opted_in()).id, job.id)
            now = await asyncio.to_thread(scrape, server.metrics_port)
        failed = [now("optin_carrier_calls_total", method=name, code="INTERNAL") for name in Method]
        assert sum(filter(None, failed)) >= 5, "voids may have been on their way when the fifth failed"
        reasons = {"outcome": "BINDING_FAILED", "reason": "CARRIER_UNAVAILABLE"}
        assert now("optin_binding_reasons_total", **reasons) == failures


async def test_nobody_counts_unless_a_port_is_given(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    def counts(*_: object) -> None:
        raise AssertionError("metrics were made")

    monkeypatch.setattr(Metrics, "__init__", counts)
    async with running(Settings(port=0, database_url=sqlite_url)) as server:
        assert server.metrics_port is None


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    (tmp_path / "optin.db").write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{tmp_path}/optin.db"


# The port.


async def test_only_so_many_are_taken_and_one_that_takes_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scraped(CollectorRegistry(), "127.0.0.1", 0) as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(scraping.MOST_READERS)]
        with pytest.raises(OSError, match=r".*"):  # closed without an answer
            await asyncio.to_thread(scrape, port)
        with monkeypatch.context() as patch:
            patch.setattr(scraping, "LONGEST_SECONDS", 0.0)
            assert await asyncio.gather(*(reader.read() for reader, _ in slow)) == [b""] * len(slow)
        for _, writer in slow:
            writer.close()
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(answers, port):
                await asyncio.sleep(0.01)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


def answers(port: int) -> bool:
    with suppress(OSError):
        scrape(port)
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid", "192.0.2.1"])
async def test_an_address_that_cannot_be_had(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"{host}:{port}") as taken:
            await scraped(CollectorRegistry(), host, port).__aenter__()
        assert taken.value.flag == "--metrics-port"


def test_a_port_that_is_taken_is_told_in_a_sentence(sqlite_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        arguments = ("serve", "--port", "0", "--database-url", sqlite_url, "--metrics-port", port)
        assert_refused(*arguments, words=[f"127.0.0.1:{port} is taken by another process", "with --metrics-port and"])


# Several workers.


@pytest.fixture
def postgres_url(postgres: PostgresCluster, postgres_template: str) -> Iterator[str]:
    url = postgres.create_database(template=postgres_template)
    yield url
    postgres.drop_database(url)


async def test_workers_are_counted_together_those_that_died_too(tmp_path: Path, postgres_url: str) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary)}
    with served_by_workers(tmp_path, postgres_url, "--metrics-port", "0", env=environment) as server:
        (port,) = map(
            int, re.findall(r"^  metrics      http://127\.0\.0\.1:(\d+)/metrics$", server.stdout, re.MULTILINE)
        )
        created = {"method": "optin.v1.ContractorService/CreateContractor", "code": "OK"}
        async with clients_of(server.target, 16) as clients:
            await asyncio.gather(*(client.contractor() for client in clients))
            now = await scraped_until(port, lambda now: now("optin_storage_connections_limit", pool="reader") == 16)
            assert now("optin_calls_total", **created) == 16
            assert now("optin_call_duration_seconds_count", method=created["method"]) == 16
            assert (now("optin_commit_calls_sum") or 0) >= 16, "and what each worker does by itself"
            os.kill(min(workers_of(server)), signal.SIGKILL)
            await scraped_until(port, lambda now: now("optin_storage_connections_limit", pool="reader") == 8)
            await scraped_until(port, lambda now: now("optin_storage_connections_limit", pool="reader") == 16)
        async with clients_of(server.target, 16) as clients:
            await asyncio.gather(*(client.contractor() for client in clients))
            now = await asyncio.to_thread(scrape, port)
            assert now("optin_calls_total", **created) == 32
        (folder,) = temporary.iterdir()
        assert len(list(folder.iterdir())) <= 6, "a worker that is replaced leaves nothing more behind"
        assert await asyncio.to_thread(server.end) == 0
        assert list(temporary.iterdir()) == []
        assert server.stderr == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


# The dashboard.


def declared() -> dict[str, set[str]]:
    """Each metric, and the names that its series have."""
    registry = CollectorRegistry()
    Metrics(lambda: datetime.now(UTC), registry)
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {family.name: {family.name + end for end in suffixes[family.type]} for family in registry.collect()}


def shown() -> set[str]:
    """The names of all series in the dashboard's queries."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert queries
    return {name for query in queries for name in re.findall(r"\boptin_\w+", query)}


def test_the_dashboard_shows_what_there_is_and_all_of_it() -> None:
    series = declared()
    assert shown() <= set().union(*series.values())
    assert [metric for metric, names in series.items() if not names & shown()] == []


def test_the_readme_has_each_metric() -> None:
    named = set(re.findall(r"`(optin_\w+)`", (Path(__file__).parents[2] / "README.md").read_text()))
    assert named == {name if name + "_total" not in names else name + "_total" for name, names in declared().items()}


def test_each_metric_has_its_unit_and_says_what_it_is() -> None:
    registry = CollectorRegistry()
    Metrics(lambda: datetime.now(UTC), registry)
    for family in registry.collect():
        assert family.name.startswith("optin_")
        assert family.documentation.endswith(".")
        if "duration" in family.name or "lag" in family.name:
            assert family.name.endswith("_seconds")
