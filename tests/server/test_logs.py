"""Logs, as `optin serve` writes them: one line a call, for machines or for a person, and never a personal value."""

import asyncio
import json
import logging
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import resources_pb2 as pb
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from server import logs
from tests.server.process import LISTENS, OPTIN, Server, environment, served
from tests.support.canaries import canary, found_in
from tests.support.client import Client, refused
from tests.support.postgres import PostgresCluster

FIRST_LINES = 4


class Named(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives each call an id of its own, and remembers which it was."""

    def __init__(self) -> None:
        self.methods: dict[str, str] = {}

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        method = client_call_details.method
        name = (method.decode() if isinstance(method, bytes) else method).removeprefix("/")
        call_id = f"call-{len(self.methods)}"
        self.methods[call_id] = name
        details = client_call_details._replace(metadata=grpc.aio.Metadata(("x-call-id", call_id)))
        return await continuation(details, request)


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[tuple[Client, Named]]:
    named = Named()
    async with grpc.aio.insecure_channel(server.target, interceptors=[named]) as channel:
        yield Client(channel), named


def entries(server: Server) -> list[dict[str, Any]]:
    """All lines after the first, which are for a person."""
    found = [json.loads(line) for line in server.stdout.splitlines()[FIRST_LINES:]]
    assert all(isinstance(entry, dict) for entry in found)
    return found


def calls(server: Server) -> list[dict[str, Any]]:
    return [entry for entry in entries(server) if entry["event"] == "call"]


async def statement(url: str, *statements: str) -> None:
    engine = create_async_engine(make_url(url), poolclass=NullPool)
    async with engine.begin() as connection:
        for sql in statements:
            await connection.execute(text(sql))


# One line a call.


async def test_each_call_is_one_line_of_json(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with client_of(server) as (client, named):
            jane = await client.opted_in()
            job = await client.job()
            await client.assign(jane.id, job.id, request_id="r1")
            await client.assign(jane.id, job.id, request_id="r1")
            await client.assign(jane.id, job.id)
            await client.assign(jane.id, (await client.job(region="NY")).id)
            await client.assign(jane.id, job.id, validate_only=True)
            await refused(client.assign("cn_none", job.id))
            await refused(client.contractor(first_name=""))
        assert server.end() == 0
        assert server.stderr == ""
    logged = calls(server)
    assert {entry["call_id"]: entry["method"] for entry in logged} == named.methods
    assert len(logged) == len(named.methods)
    for entry in logged:
        assert 0 < entry["ms"] < 60_000
        assert entry["level"] == "info"
        assert datetime.fromisoformat(entry["time"]).utcoffset() == timedelta(0)
        told = {"method", "code", "ms", "call_id", "caller", "outcome", "reason", "event", "level", "time"}
        assert entry.keys() <= told
        assert entry["caller"] == "sandbox"
        assert ("reason" in entry) == (entry["code"] != "OK")
    assignments = [entry for entry in logged if entry["method"] == "optin.v1.AssignmentService/CreateAssignment"]
    assert [entry.get("outcome") for entry in assignments if entry["code"] == "OK"][:4] == [
        "COVERAGE_BOUND",
        "REPLAYED",
        "COVERAGE_REUSED",
        "STANDARD_WORKFLOW",
    ]
    assert [(entry["code"], entry["reason"]) for entry in logged if entry["code"] != "OK"] == [
        ("NOT_FOUND", "RESOURCE_NOT_FOUND"),
        ("INVALID_ARGUMENT", "INVALID_FIELD"),
    ]
    assert entries(server)[-1]["event"] == "stopping"


async def test_a_call_without_an_id_gets_one_which_its_caller_is_told(tmp_path: Path) -> None:
    with served(tmp_path) as server, suppress(asyncio.CancelledError):
        async with grpc.aio.insecure_channel(server.target) as channel:
            request = contractors_pb.GetContractorRequest(id="cn_none")
            refusal = await refused(Client(channel).contractors.GetContractor(request))
        (entry,) = calls(server)
        assert entry["call_id"] == refusal.metadata["x-call-id"] != ""


async def test_a_call_whose_caller_went_away_is_a_line_too(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with client_of(server) as (client, named):
            await client.category()
            other = sqlite3.connect(tmp_path / "data/optin.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")  # so that nothing can be written
            contractor = pb.Contractor(
                first_name="A",
                last_name="B",
                email="a@example.com",
                phone="5551234567",
                address=pb.Address(region="CA"),
            )
            request = contractors_pb.CreateContractorRequest(contractor=contractor)
            with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
                await client.contractors.CreateContractor(request, timeout=0.3)
            other.execute("ROLLBACK")
            other.close()
            await client.category()
        assert server.end() == 0
    logged = {entry["call_id"]: entry for entry in calls(server)}
    assert logged.keys() == named.methods.keys()
    (lost,) = [entry for entry in logged.values() if entry["method"].endswith("/CreateContractor")]
    assert lost["code"] == "CANCELLED"


# Personal data.


def assert_no_personal_data(written: str) -> None:
    words = found_in(written)
    assert not words, [line for line in written.splitlines() if any(word in line for word in words)]


async def test_not_even_by_an_error_that_repeats_it(
    tmp_path: Path, postgres: PostgresCluster, postgres_template: str
) -> None:
    """The database says the whole row in its message, which is then the exception's."""
    url = postgres.create_database(template=postgres_template)
    await statement(
        url,
        "CREATE FUNCTION shout() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no: %', NEW; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER shout BEFORE INSERT ON contractors FOR EACH ROW EXECUTE FUNCTION shout()",
    )
    for log_format in ("json", "console"):
        with served(tmp_path, "--log-format", log_format, "--database-url", url) as server:
            async with client_of(server) as (client, _):
                request = contractors_pb.CreateContractorRequest(contractor=canary())
                refusal = await refused(client.contractors.CreateContractor(request))
            assert server.end() == 0
        assert refusal.reason == "INTERNAL"
        assert "call-0" in refusal.message
        assert_no_personal_data(server.stdout + server.stderr + refusal.message)
        assert "server/service/contractors.py" in server.stdout, "but where it was, for support to find"
        assert "RaiseError" in server.stdout, "and what it was"
        if log_format == "json":
            (entry,) = calls(server)
            assert (entry["code"], entry["level"], entry["call_id"]) == ("INTERNAL", "error", "call-0")
            assert "exception" in entry
    postgres.drop_database(url)


def test_a_library_may_log_an_exception_where_there_is_none() -> None:
    """As gRPC does of a task that failed earlier."""
    record = logging.LogRecord("a.library", logging.ERROR, "", 1, "it failed", None, (None, None, None))
    assert logs._Formatter("%(message)s").format(record) == "it failed"


SAYS = """
import asyncio, logging
from server import logs
logs.configure(console=False, level="info", worker=2)
uvicorn = logging.getLogger("uvicorn.error")
uvicorn.error("Cancel %s running task(s)", 1)
for error in (asyncio.CancelledError("Canary"), RuntimeError("Canary")):
    uvicorn.error("Exception in ASGI application\\n", exc_info=error)
"""


def test_what_the_http_server_says_is_lines_of_ours() -> None:
    said = subprocess.run([sys.executable, "-c", SAYS], capture_output=True, text=True, timeout=60, check=True)
    assert said.stderr == ""
    stop, fault = [json.loads(line) for line in said.stdout.splitlines()]
    assert stop.items() >= {"event": "Cancel 1 running task(s)", "level": "error", "worker": 2}.items()
    assert (fault["event"], fault["exception"]) == ("Exception in ASGI application", "RuntimeError")
    assert "Canary" not in said.stdout, "a call that is cut off has a line of its own"


# Levels and formats.


async def test_at_level_error_only_what_is_wrong_with_the_server_is_logged(
    tmp_path: Path, postgres: PostgresCluster, postgres_template: str
) -> None:
    url = postgres.create_database(template=postgres_template)
    with served(tmp_path, "--database-url", url, env={"OPTIN_LOG_LEVEL": "error"}) as server:
        async with client_of(server) as (client, _):
            await client.contractor()
            await refused(client.contractor(first_name=""))
            await statement(url, "ALTER TABLE job_categories RENAME COLUMN name TO title")
            assert (await refused(client.category())).reason == "INTERNAL"
        assert server.end() == 0
    (entry,) = entries(server)
    assert entry["code"] == "INTERNAL"
    assert entry["method"] == "optin.v1.JobService/CreateJobCategory"
    postgres.drop_database(url)


@pytest.mark.parametrize(("level", "lines"), [("debug", 2), ("info", 2), ("warning", 0)])
async def test_calls_are_logged_at_level_info(tmp_path: Path, level: str, lines: int) -> None:
    with served(tmp_path, "--log-level", level) as server:
        async with client_of(server) as (client, _):
            await client.contractor()
            await refused(client.contractor(first_name=""))
        assert len(calls(server)) == lines


async def test_the_console_s_format_is_columns_and_plain_where_there_is_no_terminal(tmp_path: Path) -> None:
    with served(tmp_path, "--log-format", "console") as server:
        async with client_of(server) as (client, _):
            await client.contractor()
            await refused(client.contractor(first_name=""))
        assert server.end() == 0
    good, bad, stopping = server.stdout.splitlines()[FIRST_LINES:]
    for column in ("[info", "call_id=call-0", "code=OK", "method=optin.v1.ContractorService/CreateContractor", "ms="):
        assert column in good
    assert "code=INVALID_ARGUMENT" in bad
    assert "reason=INVALID_FIELD" in bad
    assert "stopping" in stopping
    assert "\x1b" not in server.stdout


@pytest.mark.parametrize(("told", "is_json"), [(None, False), ("json", True)])
def test_a_terminal_gets_the_console_s_format_unless_told_otherwise(
    tmp_path: Path, told: str | None, is_json: bool
) -> None:
    ours, theirs = pty.openpty()
    arguments = [OPTIN, "serve", "--port", "0", *(("--log-format", told) if told else ())]
    process = subprocess.Popen(
        arguments, cwd=tmp_path, env=environment({}), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = ""
    with suppress(OSError):  # the terminal's other end is closed
        while piece := os.read(ours, 4096).decode():
            written += piece
            if "\n  try " in written.replace("\r", "") and LISTENS.search(written.replace("\r", "")):
                process.terminate()
    os.close(ours)
    assert process.wait(20) == 0
    last = written.replace("\r", "").splitlines()[-1]
    assert "stopping" in last
    assert ("\x1b" in last, last.startswith("{")) == (not is_json, is_json)
