"""Logs, as `optin serve` writes them: one line a call, for machines or for a person, and never a personal value."""

import asyncio
import json
import logging
import os
import pty
import re
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import resources_pb2 as pb
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from server import logs
from tests.server.process import LISTENS, OPTIN, Server, environment, served
from tests.support.client import Client, Refusal, questions, refused
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
        assert entry.keys() <= {"method", "code", "ms", "call_id", "outcome", "reason", "event", "level", "time"}
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

CANARIES = {
    "first_name": "Canaryfirst",
    "middle_name": "Canarymiddle",
    "last_name": "Canarylast",
    "email": "canary@example.com",
    "phone": "+12025550143",
    "company_name": "Canary Ltd",
    "line1": "1 Canary Wharf",
    "line2": "Canary flat",
    "locality": "Canaryville",
    "postalcode": "987654321",
    "metadata": "canary-meta",
    "url": "https://canary.example.com/?ssn=canary",
    "legal_name": "Canaryfirst Canarylast",
    "ip_address": "203.0.113.77",
    "user_agent": "Canary/1.0",
    "note": "canary note",
    "changed": "Canarychanged",
}
WORDS = sorted({*CANARIES.values(), "anary", "2025550143", "202-555-0143", "(202)"})


def canary(**changes: Any) -> pb.Contractor:
    fields: dict[str, Any] = {
        name: CANARIES[name] for name in ("first_name", "middle_name", "last_name", "email", "phone", "company_name")
    }
    address = pb.Address(region="CA", **{name: CANARIES[name] for name in ("line1", "line2", "locality", "postalcode")})
    metadata = {CANARIES["metadata"]: CANARIES["metadata"]}
    return pb.Contractor(**fields | {"address": address, "metadata": metadata} | changes)


async def opt_in(client: Client, contractor: str) -> pb.ApplicationSession:
    """Through review, with a personal value wherever one fits."""
    session = pb.ApplicationSession(
        contractor=contractor,
        success_url=CANARIES["url"],
        cancel_url=CANARIES["url"],
        is_general_opt_in=True,
        work_state="CA",
    )
    create = sessions_pb.CreateApplicationSessionRequest(application_session=session)
    id_ = (await client.sessions.CreateApplicationSession(create)).application_session.id
    await client.submit(id_, verify_info=sessions_pb.VerifyInfo(middle_name=CANARIES["changed"]))
    await client.submit(id_, application_questions=questions(losses_last_3_years=True))
    documents = ("fraud_notice", "premium_withholding", "esign_consent")
    signatures = [
        sessions_pb.Signature(document=document, version="1", legal_name=CANARIES["legal_name"])
        for document in documents
    ]
    wrong = [sessions_pb.Signature(document="canary", version="canary", legal_name="Canary Impostor")]
    esignature = sessions_pb.EsignatureDocument(
        signatures=signatures, ip_address=CANARIES["ip_address"], user_agent=CANARIES["user_agent"]
    )
    await refused(client.submit(id_, esignature_document=sessions_pb.EsignatureDocument(signatures=wrong)))
    await client.submit(id_, esignature_document=esignature)
    await client.submit(id_, final_review=sessions_pb.FinalReview())
    review = sessions_pb.ReviewApplicationSessionRequest(
        id=id_, decision=pb.REVIEW_DECISION_APPROVE, note=CANARIES["note"]
    )
    return (await client.sessions.ReviewApplicationSession(review)).application_session


async def refusals(client: Client, contractor: pb.Contractor) -> list[Refusal]:
    """Errors of many kinds, about requests full of personal values."""
    create, get = client.contractors.CreateContractor, client.contractors.GetContractor
    bad = canary(email="canary at example", phone="Canary", first_name="Canary" * 100, last_name="\0Canary")
    bad.address.region = "Canary"
    same_id = contractors_pb.CreateContractorRequest(contractor=canary(email="canary2@example.com"), request_id="r")
    await create(same_id)
    other_contents = contractors_pb.CreateContractorRequest(
        contractor=canary(email="canary3@example.com"), request_id="r"
    )
    malformed = client.channel.unary_unary("/optin.v1.ContractorService/CreateContractor")
    attempts = [
        create(contractors_pb.CreateContractorRequest(contractor=bad)),
        create(contractors_pb.CreateContractorRequest(contractor=canary(email=CANARIES["email"].upper()))),
        create(other_contents),
        get(contractors_pb.GetContractorRequest(id=CANARIES["email"])),
        get(contractors_pb.GetContractorRequest(id="Canary\0")),
        client.contractors.ListContractors(contractors_pb.ListContractorsRequest(page_token="canary@example.com")),
        client.session("canary@example.com"),
        client.assign(contractor.id, CANARIES["email"]),
        client.policies.CancelPolicy(policies_pb.CancelPolicyRequest(id="canary", reason=CANARIES["note"])),
        malformed(b"\xff\xff canary@example.com"),
    ]
    return [await refused(attempt) for attempt in attempts]


async def walk(client: Client) -> None:
    created = await client.contractors.CreateContractor(contractors_pb.CreateContractorRequest(contractor=canary()))
    contractor = created.contractor
    assert contractor.phone == CANARIES["phone"]
    update = contractors_pb.UpdateContractorRequest(
        contractor=canary(id=contractor.id, company_name=CANARIES["changed"])
    )
    await client.contractors.UpdateContractor(update)
    await client.contractors.ListContractors(contractors_pb.ListContractorsRequest(email=CANARIES["email"]))
    await opt_in(client, contractor.id)
    job = await client.job(description=CANARIES["note"])
    bound = await client.assign(contractor.id, job.id)
    assert bound.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
    reasons = {refusal.reason for refusal in await refusals(client, contractor)}
    assert reasons >= {
        "INVALID_FIELD",
        "DUPLICATE_EMAIL",
        "REQUEST_ID_REUSED",
        "RESOURCE_NOT_FOUND",
        "MALFORMED_REQUEST",
    }
    cancel = policies_pb.CancelPolicyRequest(id=bound.assignment.policy, reason=CANARIES["note"])
    await client.policies.CancelPolicy(cancel)
    await client.contractors.DeleteContractor(contractors_pb.DeleteContractorRequest(id=contractor.id))


def assert_no_personal_data(written: str) -> None:
    found = [word for word in WORDS if word.casefold() in written.casefold()]
    assert not found, [line for line in written.splitlines() if any(word in line for word in found)]


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_personal_value_is_ever_logged(tmp_path: Path, database_url: str, log_format: str) -> None:
    if database_url.startswith("postgresql") and log_format == "console":
        return  # the format does not depend on the database
    flags = ("--log-level", "debug", "--log-format", log_format, "--database-url", database_url)
    with served(tmp_path, *flags) as server:
        async with client_of(server) as (client, named):
            await walk(client)
        assert server.end() == 0
    assert_no_personal_data(server.stdout + server.stderr)
    assert len(re.findall(r"optin\.v1\.\w+/\w+", server.stdout)) == len(named.methods)
    assert server.stderr == ""


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
