"""The command `optin`: first lines, settings, what it says when it cannot start, and how it stops."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer
from optin.v1 import contractor_service_pb2 as contractors_pb
from sqlalchemy import make_url
from typer.testing import CliRunner

from server import __version__
from server.app import EVENT_OF
from server.cli import app
from server.commands.explained import settings_from
from server.config import Environment, LogFormat, LogLevel, Settings
from server.domain.ports import Page
from server.storage import open_storage, schema
from tests.server.process import OPTIN, Server, environment, optin, served
from tests.support.client import Client, refused
from tests.support.keys import made_keys
from tests.support.memory import resident_bytes
from tests.support.ports import free_port
from tests.support.postgres import PostgresCluster

IDLE_MEGABYTES = 150


@asynccontextmanager
async def client_of(target: str, *interceptors: grpc.aio.ClientInterceptor) -> AsyncIterator[Client]:
    async with grpc.aio.insecure_channel(target, interceptors=interceptors) as channel:
        yield Client(channel)


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """On standard error, and nothing else; exit code 1."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert re.fullmatch(r"[^\n]+\.\n", done.stderr), done.stderr
    for word in words:
        assert word in done.stderr


# First lines.


async def test_the_first_lines_say_what_an_operator_needs(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        assert server.stdout == (
            f"optin {__version__} listens on {server.target}\n"
            "  database     sqlite+aiosqlite:///data/optin.db\n"
            "  environment  sandbox, open: calls need no key\n"
            f"  try          grpcurl -plaintext {server.target} list\n"
        )
        assert server.target.startswith("127.0.0.1:")
        assert not server.target.endswith(":0")
        async with client_of(server.target) as client:
            await client.contractor()
        assert (tmp_path / "data" / "optin.db").exists()
        assert resident_bytes(server.process.pid) < IDLE_MEGABYTES * 1024 * 1024
        assert server.end() == 0
        assert server.stderr == ""


async def test_a_password_is_masked(tmp_path: Path, postgres: PostgresCluster, postgres_template: str) -> None:
    url = postgres.create_database(template=postgres_template)
    with_password = make_url(url).set(password="canary").render_as_string(hide_password=False)
    with served(tmp_path, *BEHIND_PROXY, env={"OPTIN_DATABASE_URL": with_password}) as server:
        assert f"  database     {url.replace('optin@', 'optin:***@')}\n" in server.stdout
        assert "  environment  production, closed: calls need a key\n" in server.stdout
        assert "  try          grpcurl -plaintext -H 'authorization: Bearer KEY' " in server.stdout
        assert server.end() == 0
        assert "canary" not in server.stdout + server.stderr
    postgres.drop_database(url)


BEHIND_PROXY = ("--environment", "production", "--insecure-behind-proxy")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
async def test_an_ipv6_address_is_served_and_written_in_brackets(tmp_path: Path) -> None:
    with served(tmp_path, "--host", "::1") as server:
        assert re.fullmatch(r"\[::1\]:[0-9]+", server.target)
        async with client_of(server.target) as client:
            await client.contractor()


async def test_settings_reach_the_server(tmp_path: Path) -> None:
    flags = (*BEHIND_PROXY, "--no-withhold-premium", "--session-ttl", "1h")
    keys = await made_keys(f"sqlite+aiosqlite:///{tmp_path}/data/optin.db")
    with served(tmp_path, *flags, env={"OPTIN_SESSION_TTL": "2h"}) as server:
        async with client_of(server.target, *keys) as client:
            jane, joe = await client.contractor(), await client.contractor(withhold_premium=True)
            assert (await refused(client.session(jane.id))).reason == "PREMIUM_WITHHOLDING_REQUIRED"
            session = await client.session(joe.id)
            assert session.expire_time.seconds - session.create_time.seconds == 3600
            assert (await refused(client.assign(joe.id, (await client.job()).id))).reason == "INVALID_FIELD"


# Settings: judged by the command in this process.


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OPTIN_")]:
        monkeypatch.delenv(name)


def invoked(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command up to the point where it would serve; it must not get further."""
    result = CliRunner().invoke(app, arguments, env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


BAD = [
    ("host", ""),
    ("port", "abc"),
    ("port", "-1"),
    ("port", "65536"),
    ("port", ""),
    ("environment", "staging"),
    ("session_ttl", "5x"),
    ("session_ttl", "0"),
    ("session_ttl", "-1h"),
    ("session_ttl", "999999999d"),
    ("request_id_ttl", "1.5h"),
    ("request_id_ttl", ""),
    ("log_format", "xml"),
    ("log_level", "loud"),
    ("group_commit_max", "0"),
    ("group_commit_max", "1001"),
    ("group_commit_max", "many"),
    ("calls_in_flight", "0"),
    ("carrier", "http://canary"),
    ("carrier_timeout", "soon"),
    ("database_url", ""),
    ("database_url", "canary"),
    ("database_url", "mysql://canary@host/optin"),
    ("database_url", "postgresql://canary@host/optin"),
    ("database_url", "postgresql+asyncpg://canary@host"),
    ("database_url", "postgresql+asyncpg://canary@host:port/optin"),
    ("database_url", "postgresql+asyncpg://host/optin?password=canary"),
    ("database_url", "postgresql+asyncpg://host/optin?sslmode=canary"),
    ("database_url", "sqlite+aiosqlite://"),
    ("database_url", "sqlite+aiosqlite:///:memory:"),
    ("database_url", "sqlite+aiosqlite:///optin.db?mode=ro"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_setting_is_one_sentence_by_flag_and_by_variable(name: str, value: str) -> None:
    flag, variable = f"--{name.replace('_', '-')}", f"OPTIN_{name.upper()}"
    by_flag = invoked("serve", flag, value)
    assert_one_sentence(by_flag, f"{flag} ({variable}): ")
    assert "canary" not in by_flag.stderr
    assert invoked("serve", env={variable: value}).stderr == by_flag.stderr


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--environment", "production"), "Calls in production need TLS"),
        (("--host", "0.0.0.0"), "Calls on 0.0.0.0 need TLS"),
        (("--host", "::"), "Calls on :: need TLS"),
        (("--tls-cert", "a.pem"), "--tls-cert and --tls-key go together"),
        (("--tls-key", "a.pem"), "--tls-cert and --tls-key go together"),
        (("--tls-client-ca", "a.pem"), "--tls-client-ca asks clients for certificates"),
    ],
)
def test_what_would_be_unsafe_is_refused_in_one_sentence(flags: tuple[str, ...], says: str) -> None:
    assert_one_sentence(invoked("serve", *flags), says)


@pytest.mark.parametrize(
    ("values", "is_open"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "::1"}, True),
        ({"host": "127.8.0.1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"environment": "production"}, False),
        ({"insecure_behind_proxy": True}, False),
    ],
)
def test_only_a_sandbox_on_this_machine_is_open(values: dict[str, Any], is_open: bool) -> None:
    assert Settings(**values).open_to_all is is_open
    behind_proxy = Settings(**values | {"insecure_behind_proxy": True})
    assert behind_proxy.refusal == ""
    assert not behind_proxy.open_to_all
    assert bool(Settings(**values).refusal) is not (is_open or "insecure_behind_proxy" in values)


def test_a_bad_switch_is_one_sentence() -> None:
    done = invoked("serve", env={"OPTIN_WITHHOLD_PREMIUM": "maybe"})
    assert_one_sentence(done, "--withhold-premium (OPTIN_WITHHOLD_PREMIUM): ")


def test_a_bad_setting_stops_every_command_that_reads_it() -> None:
    assert_one_sentence(invoked("migrate", "--database-url", "canary"), "--database-url (OPTIN_DATABASE_URL): ")


def test_the_defaults_are_those_of_the_specification() -> None:
    settings = Settings()
    assert settings.model_dump() | {"log_level": LogLevel.INFO} == settings.model_dump()
    assert (settings.host, settings.port) == ("127.0.0.1", 50051)
    assert settings.database_url == "sqlite+aiosqlite:///data/optin.db"
    assert settings.environment is Environment.SANDBOX
    assert settings.withhold_premium is True
    assert settings.session_ttl == timedelta(days=30)
    assert settings.request_id_ttl == timedelta(hours=24)
    assert settings.log_format is None


GOOD: dict[str, tuple[str, str, object, object]] = {  # as a variable, as a flag; what each gives
    "host": ("0.0.0.0", "::1", "0.0.0.0", "::1"),
    "port": ("0", "65535", 0, 65535),
    "database_url": ("sqlite:///a.db", "sqlite+aiosqlite:///b.db", "sqlite:///a.db", "sqlite+aiosqlite:///b.db"),
    "environment": ("production", "sandbox", Environment.PRODUCTION, Environment.SANDBOX),
    "session_ttl": ("15m", "90", timedelta(minutes=15), timedelta(seconds=90)),
    "request_id_ttl": ("36h", "3650d", timedelta(hours=36), timedelta(days=3650)),
    "log_format": ("json", "console", LogFormat.JSON, LogFormat.CONSOLE),
    "log_level": ("debug", "error", LogLevel.DEBUG, LogLevel.ERROR),
    "group_commit_max": ("1", "1000", 1, 1000),
    "calls_in_flight": ("1", "100000", 1, 100_000),
    "carrier": ("grpc://127.0.0.1:1", "in-house", "grpc://127.0.0.1:1", "in-house"),
    "carrier_timeout": ("5s", "1m", timedelta(seconds=5), timedelta(minutes=1)),
    "tls_cert": ("a.pem", "b.pem", Path("a.pem"), Path("b.pem")),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_flag_is_over_the_environment_which_is_over_the_default(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    variable, flag, of_variable, of_flag = GOOD[name]
    monkeypatch.setenv(f"OPTIN_{name.upper()}", variable)
    assert getattr(settings_from({}), name) == of_variable
    assert getattr(settings_from({name: None}), name) == of_variable
    assert getattr(settings_from({name: flag}), name) == of_flag


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://u:p%40ss@db.example.com:5433/optin?ssl=verify-full",
        "postgresql+asyncpg:///optin?host=/var/run/postgresql",
        "postgresql+asyncpg://u@/optin?host=a:5432&host=b:5432&target_session_attrs=read-write",
        "sqlite:////var/lib/optin/optin.db",
    ],
)
def test_a_database_may_be_named_in_each_of_its_ways(url: str) -> None:
    assert settings_from({"database_url": url}).url == make_url(url)


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_switch_may_be_written_in_each_usual_way(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("OPTIN_WITHHOLD_PREMIUM", value)
    assert settings_from({}).withhold_premium is expected
    assert settings_from({"withhold_premium": not expected}).withhold_premium is not expected


def test_every_setting_is_a_flag_of_serve_and_no_other_is() -> None:
    serve = typer.main.get_group(app).commands["serve"]
    flags = {flag for parameter in serve.params for flag in parameter.opts}
    secret = {"link_secret"}  # on a command line anybody on the machine could read it
    assert flags == {f"--{name.replace('_', '-')}" for name in Settings.model_fields.keys() - secret}
    assert invoked("serve", "--help").returncode == 0


# What cannot start.


@contextmanager
def changed(path: Path, statement: str) -> Iterator[str]:
    """A migrated file that was then changed by someone; its URL."""
    asyncio.run(schema.migrate(make_url(f"sqlite:///{path}")))
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    yield f"sqlite:///{path}"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = optin("serve", "--port", port, cwd=tmp_path)
    assert_one_sentence(done, f"127.0.0.1:{port} ", "is taken by another process", "--port")


def test_an_address_that_is_not_this_machine_s(tmp_path: Path) -> None:
    assert_one_sentence(
        optin("serve", "--insecure-behind-proxy", "--host", "192.0.2.1", cwd=tmp_path), "192.0.2.1:50051 ", "--host"
    )


def test_a_second_server_on_one_file(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("data/optin.db")
    with served(tmp_path) as server:
        for name in ("data/optin.db", "link.db"):
            done = optin("serve", "--port", "0", "--database-url", f"sqlite:///{name}", cwd=tmp_path)
            assert_one_sentence(done, "Another server uses ", str(tmp_path / "data/optin.db"), "--database-url")
        assert_one_sentence(optin("migrate", cwd=tmp_path), "Another server uses ")
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    with served(tmp_path):
        """A server that was killed leaves no lock behind."""


def test_a_newer_schema(tmp_path: Path) -> None:
    with changed(tmp_path / "optin.db", "UPDATE alembic_version SET version_num = '9999'") as url:
        for command in (("serve", "--port", "0"), ("migrate",)):
            done = invoked(*command, "--database-url", url)
            assert_one_sentence(done, url, "newer schema", __version__, "install the newer version")


def test_a_database_of_another_program(tmp_path: Path) -> None:
    database = tmp_path / "theirs.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE jobs (id)")
    url = f"sqlite:///{database}"
    for command in (("serve", "--port", "0"), ("migrate",)):
        assert_one_sentence(invoked(*command, "--database-url", url), url, "another program", "--database-url")


def test_postgresql_that_was_not_migrated_and_then_is(tmp_path: Path, postgres: PostgresCluster) -> None:
    url = postgres.create_database()
    arguments = ("--database-url", make_url(url).set(password="canary").render_as_string(hide_password=False))
    done = invoked("serve", "--port", "0", *arguments)
    assert_one_sentence(done, "`optin migrate`", ":***@")
    for _ in range(2):
        migrated = invoked("migrate", *arguments)
        assert (migrated.returncode, migrated.stderr) == (0, "")
        assert re.fullmatch(rf"postgresql\S+:\*\*\*@\S+ has the schema of version {__version__}\.\n", migrated.stdout)
    with served(tmp_path, *arguments) as server:
        assert server.end() == 0
    postgres.drop_database(url)


def test_a_newer_schema_on_postgresql(postgres: PostgresCluster) -> None:
    url = postgres.create_database()
    asyncio.run(schema.migrate(make_url(url)))
    subprocess.run(
        ["psql", "-q", "-c", "UPDATE alembic_version SET version_num = '9999'", url.replace("+asyncpg", "")],
        check=True,
        timeout=20,
    )
    for command in (("serve", "--port", "0"), ("migrate",)):
        assert_one_sentence(invoked(*command, "--database-url", url), "newer schema")
    postgres.drop_database(url)


UNREACHABLE = {
    "nobody listens": "postgresql+asyncpg://optin:canary@127.0.0.1:1/optin",
    "no such option": "postgresql+asyncpg://optin:canary@127.0.0.1:1/optin?ssl=canary",
    "a folder": "sqlite:///{folder}",
    "below a file": "sqlite:///{folder}/file/optin.db",
    "not a database": "sqlite:///{folder}/file",
    "no permission": "sqlite:////proc/optin/optin.db",
}


@pytest.mark.parametrize("what", UNREACHABLE)
@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_that_cannot_be_reached(tmp_path: Path, what: str, command: str) -> None:
    (tmp_path / "file").write_text("Not a database, but long enough to have the header of one; and then some more.")
    url = UNREACHABLE[what].format(folder=tmp_path)
    done = invoked(command, "--database-url", url, env={"OPTIN_PORT": "0"})
    assert_one_sentence(done, "cannot be reached", "OPTIN_DATABASE_URL")
    assert "canary@" not in done.stderr


def test_a_database_or_user_that_is_not_there(postgres: PostgresCluster) -> None:
    url = make_url(postgres.create_database())
    for wrong in (url.set(database="none"), url.set(username="nobody")):
        done = invoked("serve", "--port", "0", "--database-url", wrong.render_as_string())
        assert_one_sentence(done, "cannot be reached")
    postgres.drop_database(url.render_as_string())


# Small commands.


def test_the_version_is_printed() -> None:
    done = optin("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


def test_sqlite_is_migrated_by_the_command_too(tmp_path: Path) -> None:
    done = optin("migrate", env={"OPTIN_DATABASE_URL": "sqlite:///some/where/optin.db"}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"sqlite:///some/where/optin.db has the schema of version {__version__}.\n"
    asyncio.run(schema.check(make_url(f"sqlite:///{tmp_path}/some/where/optin.db")))


def test_what_a_start_on_a_current_database_does_without_is_not_imported() -> None:
    """A cold start to the first answered call takes under 2 seconds; each of these is a good part of one."""
    code = "import sys, server.cli, server.app; print(*sys.modules)"
    done = subprocess.run(
        [OPTIN.with_name("python"), "-c", code], env=environment({}), capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())
    assert not imported & {"alembic", "mako", "asyncpg", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql"}


# The end.


class Load:
    """Callers that create contractors one after the other, and remember what became of each."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.acknowledged: list[str] = []
        self.failed: list[tuple[float, grpc.aio.AioRpcError]] = []

    async def caller(self) -> None:
        while not self.failed:
            started = time.monotonic()
            try:
                self.acknowledged.append((await self._client.contractor()).id)
            except grpc.aio.AioRpcError as error:
                self.failed.append((started, error))

    @asynccontextmanager
    async def running(self, callers: int) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.caller()) for _ in range(callers)]
        while len(self.acknowledged) < 3 * callers:
            assert not self.failed, self.failed
            await asyncio.sleep(0.01)
        yield
        await asyncio.gather(*tasks)


async def stored(url: str) -> set[str]:
    storage = open_storage(make_url(url), EVENT_OF)
    try:
        found: set[str] = set()
        before = ""
        while page := await storage.read(
            lambda unit, before=before: unit.contractors.page("pf_default", Page(200, before))
        ):
            found.update(contractor.id for contractor in page)
            before = page[-1].id
        return found
    finally:
        await storage.close()


Urls = Callable[[], Awaitable[str]]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=lambda signum: signum.name)
async def test_a_stop_under_load_answers_the_calls_in_flight_and_loses_none(
    tmp_path: Path, database_url: str, signum: signal.Signals
) -> None:
    with served(tmp_path, "--database-url", database_url) as server:
        async with client_of(server.target) as client:
            load = Load(client)
            async with load.running(callers=20):
                stopped = time.monotonic()
                server.send(signum)
            assert await asyncio.to_thread(server.process.wait, 30) == 0
            assert time.monotonic() - stopped < 8, "it does not wait for its grace to pass"
        assert server.stderr == ""
        assert "stopping" in [json.loads(line)["event"] for line in server.stdout.splitlines()[4:]]
    assert [error for started, error in load.failed if started < stopped] == [], "in flight, and not answered"
    # gRPC itself cancels what reaches it in its very last moment, which the server makes a rare one.
    codes = [error.code() for _, error in load.failed]
    assert set(codes) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert set(load.acknowledged) <= await stored(database_url)


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with client_of(server.target) as client:
            load = Load(client)
            async with load.running(callers=20):
                assert await asyncio.to_thread(server.end, signal.SIGKILL) == -signal.SIGKILL
    assert set(load.acknowledged) <= await stored(f"sqlite:///{tmp_path}/data/optin.db")
    with served(tmp_path) as server:
        async with client_of(server.target) as client:
            get = contractors_pb.GetContractorRequest(id=load.acknowledged[-1])
            assert (await client.contractors.GetContractor(get)).contractor.id == load.acknowledged[-1]


async def test_an_idle_server_with_a_client_stops_at_once_and_twice_is_once(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with client_of(server.target) as client:
            await client.contractor()
            started = time.monotonic()
            server.send(signal.SIGINT)
            server.send(signal.SIGINT)
            assert await asyncio.to_thread(server.end, signal.SIGTERM) == 0
            assert time.monotonic() - started < 5
        assert server.stderr == ""


def test_a_signal_during_the_start_stops_it(tmp_path: Path) -> None:
    """Whatever it is at; no traceback."""
    server = Server(tmp_path, "--port", str(free_port()))
    time.sleep(0.3)
    code = server.end(signal.SIGTERM)
    assert code in (0, -signal.SIGTERM), "before or after it takes signals"
    assert "Traceback" not in server.stderr


def test_a_log_that_nobody_reads_any_more_fails_no_call(tmp_path: Path) -> None:
    port = free_port()

    async def calls() -> None:
        async with client_of(f"127.0.0.1:{port}") as client:
            for _ in range(3):
                await client.contractor()

    with subprocess.Popen(
        [OPTIN, "serve", "--port", str(port)],
        cwd=tmp_path,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert "listens on" in "".join(process.stdout.readline() for _ in range(4))
        process.stdout.close()
        asyncio.run(calls())
        process.terminate()
        assert process.wait(20) == 0


def test_logs_go_where_they_are_told(tmp_path: Path) -> None:
    """A file is no terminal."""
    with served(tmp_path) as server:
        server.end()
        assert json.loads(server.stdout.splitlines()[-1])["event"] == "stopping"
