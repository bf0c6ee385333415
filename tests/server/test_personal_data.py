"""Personal values leave a server in the answers that they belong in, and nowhere else."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from optin.v1 import contractor_service_pb2 as contractors_pb
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.server.process import Server, served
from tests.server.scrape import scrape
from tests.support.canaries import CANARIES, canary, found_in, walk
from tests.support.client import Client, refused


def metrics(server: Server) -> str:
    found = re.search(r"^  metrics      http://127\.0\.0\.1:(\d+)/metrics$", server.stdout, re.MULTILINE)
    assert found
    return scrape(int(found[1])).text


def outputs(server: Server) -> dict[str, str]:
    """What a server has written beside its answers; traces have a test of their own, in test_traces.py."""
    return {"stdout": server.stdout, "stderr": server.stderr}


async def break_the_contractors(url: str) -> None:
    """So that reading one raises what nobody expects, about a personal value."""
    broken = """UPDATE contractors SET address = '"Canary Wharf"'"""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(url).database or "")) as connection, connection:
            connection.execute(broken)
        return
    engine = create_async_engine(make_url(url), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text(broken))


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_none_is_logged_or_told_in_an_error(tmp_path: Path, database_url: str, log_format: str) -> None:
    if database_url.startswith("postgresql") and log_format == "console":
        return  # the format does not depend on the database
    flags = ("--log-level", "debug", "--log-format", log_format, "--database-url", database_url, "--metrics-port", "0")
    with served(tmp_path, *flags) as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            client = Client(channel)
            walked = await walk(client)
            await break_the_contractors(database_url)
            get = contractors_pb.GetContractorRequest(id=walked.contractor)
            broken = await refused(client.contractors.GetContractor(get))
        measured = metrics(server)
        assert server.end() == 0
        given_out = outputs(server)
    refusals = [*walked.refusals, broken]
    assert {refusal.reason for refusal in refusals} >= {
        "DUPLICATE_EMAIL",
        "INTERNAL",
        "INVALID_FIELD",
        "INVALID_PAGE_TOKEN",
        "MALFORMED_REQUEST",
        "REQUEST_ID_REUSED",
        "RESOURCE_NOT_FOUND",
    }
    assert [str(refusal) for refusal in refusals if found_in(str(refusal))] == []
    assert {name: found_in(written) for name, written in given_out.items()} == {"stdout": [], "stderr": []}
    assert "CreateContractor" in measured
    assert found_in(measured) == []
    assert "request" in given_out["stdout"]
    assert "[redacted]" in given_out["stdout"]
    assert given_out["stderr"] == ""


async def test_at_level_debug_each_request_is_a_line_that_tells_what_is_not_personal(tmp_path: Path) -> None:
    with served(tmp_path, "--log-level", "debug") as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            request = contractors_pb.CreateContractorRequest(contractor=canary(withhold_premium=True))
            await Client(channel).contractors.CreateContractor(request, metadata=(("x-call-id", "call-1"),))
        line = next(json.loads(line) for line in server.stdout.splitlines() if '"event":"request"' in line)
    assert line["call_id"] == "call-1"
    assert line["method"] == "optin.v1.ContractorService/CreateContractor"
    assert 'email: "[redacted]"' in line["request"]
    assert 'region: "CA"' in line["request"]
    assert "withhold_premium: true" in line["request"]


async def test_at_other_levels_no_request_is_logged(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            await Client(channel).contractor(email=CANARIES["email"])
        assert server.end() == 0
        assert '"event":"request"' not in server.stdout
        assert '"event":"call"' in server.stdout
