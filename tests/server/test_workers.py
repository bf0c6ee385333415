"""`optin serve --workers N`: several processes on one port, as an operator sees them."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import resources_pb2 as pb
from structlog.testing import LogCapture
from typer.testing import CliRunner

from server import __version__, supervisor
from server.api.server import PortTaken
from server.cli import app
from server.config import Settings
from server.supervisor import Worker, WorkersFailed, held, supervised
from tests.server.process import OPTIN, PATIENCE_SECONDS, Server, served
from tests.support.client import Client
from tests.support.ports import free_port
from tests.support.postgres import PostgresCluster

WORKERS = 2
FIRST_LINES = 5


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OPTIN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def postgres_url(postgres: PostgresCluster, postgres_template: str) -> Iterator[str]:
    """A migrated database on PostgreSQL."""
    url = postgres.create_database(template=postgres_template)
    yield url
    postgres.drop_database(url)


@contextmanager
def served_by_workers(
    folder: Path, url: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server of some workers; however it ended, none of them is left afterwards."""
    pids: set[int] = set()
    try:
        with served(folder, "--workers", str(WORKERS), "--database-url", url, *arguments, env=env) as server:
            pids = workers_of(server)
            yield server
            pids |= workers_of(server)
    finally:
        until(lambda: not any(runs(pid) for pid in pids))


def workers_of(server: Server) -> set[int]:
    """The processes that it has started and that run."""
    pids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return {pid for pid in pids if state(pid)[1:] == [str(server.process.pid)] and runs(pid)}


def runs(pid: int) -> bool:
    return state(pid)[:1] not in ([], ["Z"])


def state(pid: int) -> list[str]:
    """A process's state and parent; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return []


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@asynccontextmanager
async def clients_of(target: str, count: int) -> AsyncIterator[list[Client]]:
    """Each over a connection of its own, which the kernel gives to one of the workers."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as stack:
        channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(count)]
        yield [Client(await stack.enter_async_context(channel)) for channel in channels]


def logged(server: Server) -> list[dict[str, object]]:
    """Its lines after the first ones; each is whole."""
    return [json.loads(line) for line in server.stdout.splitlines()[FIRST_LINES:]]


def events(server: Server) -> list[object]:
    return [line["event"] for line in logged(server)]


def assert_refused(*arguments: str, words: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    """The command, in this process, says one sentence on standard error and ends with exit code 1."""
    done = CliRunner().invoke(app, arguments, env=env)
    assert (done.exit_code, done.stdout) == (1, ""), done
    assert re.fullmatch(r"[^\n]+\.\n", done.stderr), done.stderr
    for word in words:
        assert word in done.stderr


# Together.


async def test_several_workers_answer_on_one_port(tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "server.py").write_text("raise SystemExit('workers import nothing from the folder of the start')")
    with served_by_workers(tmp_path, postgres_url, "--session-ttl", "1h") as server:
        assert len(workers_of(server)) == WORKERS
        async with clients_of(server.target, 24) as clients:
            people = await asyncio.gather(*(client.contractor() for client in clients))
            session = await clients[0].session((await clients[0].contractor(withhold_premium=True)).id)
        assert len({person.id for person in people}) == len(clients)
        assert session.expire_time.seconds - session.create_time.seconds == 3600, "a setting reaches the workers"
        assert await asyncio.to_thread(server.end, signal.SIGINT) == 0
        assert server.stderr == ""
        assert server.stdout.startswith(
            f"optin {__version__} listens on {server.target}\n"
            f"  database     {postgres_url}\n"
            "  environment  sandbox, open: calls need no key\n"
            f"  workers      {WORKERS}\n"
            f"  try          grpcurl -plaintext {server.target} list\n"
        )
        assert not server.target.endswith(":0")
        assert {line["worker"] for line in logged(server) if "method" in line} == {1, 2}
        assert events(server).count("stopping") == 1


async def test_a_worker_that_is_killed_is_replaced_and_the_service_goes_on(tmp_path: Path, postgres_url: str) -> None:
    with served_by_workers(tmp_path, postgres_url) as server:
        before = workers_of(server)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: "a worker ended, and is started again" in events(server))
        async with clients_of(server.target, 8) as clients:
            await asyncio.gather(*(client.contractor() for client in clients))
            await asyncio.to_thread(until, lambda: "a worker was started again" in events(server))
            await asyncio.gather(*(client.contractor() for client in clients))
        after = workers_of(server)
        assert len(after) == WORKERS
        assert before - after == {min(before)}
        (ended,) = [line for line in logged(server) if "ended" in str(line["event"])]
        (again,) = [line for line in logged(server) if line["event"] == "a worker was started again"]
        assert (ended["code"], ended["worker"], again["pid"]) == (-9, again["worker"], *(after - before))
        assert await asyncio.to_thread(server.end) == 0
        assert server.stderr == ""


class Load:
    """Callers that create assignments one after the other until a call fails, and remember what became of each."""

    def __init__(self, contractor: str, job: str) -> None:
        self._contractor, self._job = contractor, job
        self.acknowledged: set[str] = set()
        self.failed: list[tuple[float, grpc.aio.AioRpcError]] = []

    async def caller(self, client: Client) -> None:
        while True:
            started = time.monotonic()
            try:
                answer = await client.assign(self._contractor, self._job, request_id=str(uuid4()))
            except grpc.aio.AioRpcError as error:
                self.failed.append((started, error))
                return
            self.acknowledged.add(answer.assignment.id)
            assert answer.outcome in (pb.BINDING_OUTCOME_COVERAGE_BOUND, pb.BINDING_OUTCOME_COVERAGE_REUSED)


async def stored(client: Client, contractor: str) -> set[str]:
    found: set[str] = set()
    request = assignments_pb.ListAssignmentsRequest(contractor=contractor, page_size=200)
    while True:
        page = await client.assignments.ListAssignments(request)
        found.update(assignment.id for assignment in page.assignments)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_a_stop_under_load_loses_no_acknowledged_assignment(tmp_path: Path, postgres_url: str) -> None:
    with served_by_workers(tmp_path, postgres_url) as server:
        async with clients_of(server.target, 32) as clients:
            jane, job = await clients[0].opted_in(), await clients[0].job()
            load = Load(jane.id, job.id)
            callers = [asyncio.create_task(load.caller(client)) for client in clients]
            while len(load.acknowledged) < 100:
                assert not load.failed
                await asyncio.sleep(0.01)
            stopped = time.monotonic()
            server.send(signal.SIGTERM)
            assert await asyncio.to_thread(server.process.wait, 30) == 0
            assert time.monotonic() - stopped < 10, "it does not wait for its grace to pass"
            await asyncio.gather(*callers)
        assert server.stderr == ""
        assert "stopping" in events(server)
    for started, error in load.failed:
        assert error.code() is grpc.StatusCode.UNAVAILABLE, error
        assert started > stopped - 0.01, "it was in flight, and was not answered"
    with served(tmp_path / "after", "--database-url", postgres_url) as server:
        async with clients_of(server.target, 1) as (client,):
            assert load.acknowledged <= await stored(client, jane.id)
            assert [policy.number for policy in await client.policies_of(jane.id)] == [1]
        server.end()


async def test_a_supervisor_that_is_killed_leaves_no_worker_and_its_port_free(
    tmp_path: Path, postgres_url: str
) -> None:
    port = free_port()
    with served_by_workers(tmp_path / "one", postgres_url, "--port", str(port)) as server:
        async with clients_of(server.target, 8) as clients:
            await asyncio.gather(*(client.contractor() for client in clients))
            assert await asyncio.to_thread(server.end, signal.SIGKILL) == -signal.SIGKILL
    with served_by_workers(tmp_path / "two", postgres_url, "--port", str(port)) as server:
        assert server.target == f"127.0.0.1:{port}", "although connections of the first linger in TIME_WAIT"
        assert await asyncio.to_thread(server.end) == 0


def test_a_signal_during_the_start_leaves_nothing(tmp_path: Path, postgres_url: str) -> None:
    server = Server(tmp_path, "--workers", "2", "--port", "0", "--database-url", postgres_url)
    until(lambda: workers_of(server))
    pids = workers_of(server)
    assert server.end(signal.SIGTERM) == 0
    assert server.stderr == ""
    assert not any(runs(pid) for pid in pids)


# What cannot start.


def test_a_port_that_is_taken(tmp_path: Path, postgres_url: str) -> None:
    on = ("serve", "--database-url", postgres_url, "--port")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert_refused(*on, port, "--workers", "2", words=[f"127.0.0.1:{port} is taken by another process", "--port"])
    port = str(free_port())
    with served_by_workers(tmp_path, postgres_url, "--port", port):
        for workers in ("1", "2"):
            assert_refused(*on, port, "--workers", workers, words=[f"127.0.0.1:{port} is taken by another process"])


def test_sqlite_takes_one_server_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--workers (OPTIN_WORKERS): must be 1 on SQLite", "PostgreSQL"]
    assert_refused("serve", "--workers", "2", words=words)
    assert_refused("serve", words=words, env={"OPTIN_WORKERS": "2"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", ["0", "65", "two", ""])
def test_a_number_of_workers_that_is_none(value: str) -> None:
    url = "postgresql+asyncpg://canary@127.0.0.1:1/optin"
    assert_refused("serve", "--workers", value, "--database-url", url, words=["--workers (OPTIN_WORKERS): "])


def test_a_database_that_is_not_ready_is_told_once(postgres: PostgresCluster) -> None:
    url = postgres.create_database()
    serve = ("serve", "--workers", "3", "--port", "0", "--database-url", url)
    assert_refused(*serve, words=["run `optin migrate` first"])
    postgres.drop_database(url)
    assert_refused(*serve, words=["cannot be reached"])


def test_a_worker_is_not_started_by_hand() -> None:
    done = subprocess.run([OPTIN, "worker"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "A worker is started by `optin serve --workers`.\n")
    assert " worker " not in CliRunner().invoke(app, ["--help"]).stdout


# The supervisor, with other programs in the place of workers.


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    return Settings(port=0, database_url=postgres_url, workers=2, carrier_timeout="1s")


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the supervisor logs, when it is in this process."""
    capture = LogCapture()
    monkeypatch.setattr(supervisor, "log", structlog.wrap_logger(None, processors=[capture]))
    return capture.entries


def program(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", f"import os, signal, time\n{code}")


SERVES = "os.write(0, b'\\n'); "


async def test_a_worker_that_never_starts_is_tried_again_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch, logs: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(supervisor, "COMMAND", ("false",))
    monkeypatch.setattr(supervisor, "SHORTEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_SECONDS", 0.3)
    worker = Worker(1, Settings())
    task = asyncio.create_task(worker.keep())
    assert not await worker.came_up
    while len(logs) < 4:
        await asyncio.sleep(0.01)
    worker.stop()
    assert await asyncio.wait_for(task, 5) in (0, 1)
    assert [(line["code"], line["in_seconds"]) for line in logs[:4]] == [(1, 0.1), (1, 0.2), (1, 0.3), (1, 0.3)]


async def test_a_worker_that_lived_long_is_replaced_at_once(
    monkeypatch: pytest.MonkeyPatch, logs: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(supervisor, "COMMAND", program(f"{SERVES}time.sleep(0.2)"))
    monkeypatch.setattr(supervisor, "LIVED_SECONDS", 0.1)
    worker = Worker(1, Settings())
    task = asyncio.create_task(worker.keep())
    while len(logs) < 4:
        await asyncio.sleep(0.01)
    worker.stop()
    await task
    assert [line.get("in_seconds", "up") for line in logs[:4]] == [0.0, "up", 0.0, "up"]


async def test_a_program_that_is_gone_ends_no_supervisor(
    monkeypatch: pytest.MonkeyPatch, logs: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(supervisor, "COMMAND", ("/nowhere/python",))
    worker = Worker(1, Settings())
    task = asyncio.create_task(worker.keep())
    assert not await worker.came_up
    worker.stop()
    assert await task in (0, 1)
    assert logs[0]["event"] == "a worker cannot be started"


async def test_a_start_at_which_no_worker_comes_up_fails(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(supervisor, "COMMAND", ("false",))
    with pytest.raises(WorkersFailed):
        async with supervised(settings):
            pytest.fail("it serves")


async def test_a_worker_that_does_not_stop_is_killed_and_told(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, logs: list[dict[str, Any]]
) -> None:
    stubborn = program(f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVES}time.sleep(600)")
    monkeypatch.setattr(supervisor, "COMMAND", stubborn)
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0)
    monkeypatch.setattr(supervisor, "STOP_MARGIN_SECONDS", 0)
    with pytest.raises(WorkersFailed):
        async with supervised(settings):
            pass
    assert [line["codes"] for line in logs] == [[-signal.SIGKILL] * 2]


# The port.


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])
def test_a_held_port_is_for_those_who_share_it_and_takes_no_connection(host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 on this machine")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with held(host, 0) as port:
        with pytest.raises(PortTaken), held(host, port):
            pass
        for options in ({}, {"reuse_port": False}):
            with pytest.raises(OSError, match="in use"):
                socket.create_server((host, port), family=family, **options)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), timeout=5)
        with socket.create_server((host, port), family=family, reuse_port=True, backlog=100) as worker:
            for _ in range(50):
                with socket.create_connection((host, port), timeout=5):
                    worker.accept()[0].close()  # closed first, so that it lingers
    with held(host, port) as again:
        assert again == port
        with pytest.raises(OSError, match="in use"):
            socket.create_server((host, port), family=family)


async def test_health_is_on_its_port_whichever_worker_has_it(tmp_path: Path, postgres_url: str) -> None:
    with served_by_workers(tmp_path, postgres_url, "--health-port", "0") as server:
        (target,) = re.findall(r"^  health       (\S+)$", server.stdout, re.MULTILINE)
        async with clients_of(target, 8) as clients:
            stubs = [health_pb2_grpc.HealthStub(client.channel) for client in clients]
            answers = await asyncio.gather(*(stub.Check(health_pb2.HealthCheckRequest()) for stub in stubs))
        assert {answer.status for answer in answers} == {health_pb2.HealthCheckResponse.SERVING}
        assert await asyncio.to_thread(server.end) == 0


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "x" * 70])
def test_an_address_that_is_not_this_machine_s(host: str) -> None:
    with pytest.raises(PortTaken, match=f"{host}:50051"), held(host, 50051):
        pass
