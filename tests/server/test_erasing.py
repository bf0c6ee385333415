"""`optin contractor erase`: beside a server or without one, nothing personal of the contractor is left."""

import asyncio
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
import typer
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import event_service_pb2 as events_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import resources_pb2 as pb
from sqlalchemy import make_url

from server.api.redact import redacted
from server.commands.audit import audit
from server.commands.contractor import REMAINS, print_erasure
from server.config import Settings
from server.storage.tables import metadata
from tests.api.methods import METHODS
from tests.conftest import NOW, Serving
from tests.server.process import optin
from tests.support.canaries import OF_A_CONTRACTOR, Walk, found_in, walk
from tests.support.client import Client

SOON = NOW + timedelta(minutes=1)


async def seen(client: Client, walked: Walk) -> dict[str, Message]:
    """All that the server says of the contractor, and says again of what was asked before."""
    contractor = walked.contractor
    listed = await client.events.ListEvents(events_pb.ListEventsRequest(page_size=200))
    found: dict[str, Message] = {
        "contractor": await client.contractors.GetContractor(contractors_pb.GetContractorRequest(id=contractor)),
        "assignments": await client.assignments.ListAssignments(
            assignments_pb.ListAssignmentsRequest(contractor=contractor)
        ),
        "policies": await client.policies.ListPolicies(policies_pb.ListPoliciesRequest(contractor=contractor)),
        "events": listed,
    }
    for method, request in walked.kept.items():
        answer = await client.raw(f"optin.v1.{method}", request)
        assert answer.replayed, method
        found[method] = GetMessageClass(METHODS[f"optin.v1.{method}"].output_type).FromString(answer.body)
    return found


async def stored(url: str) -> bytes:
    """Every byte that the database holds: of SQLite all its files, of PostgreSQL all its rows.

    When no server of this process is running: closing the file here would let go of SQLite's locks on it.
    """
    if url.startswith("sqlite"):
        folder = Path(make_url(url).database or "").parent
        return b"".join(file.read_bytes() for file in sorted(folder.glob("optin.db*")))
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    rows = [row for table in metadata.tables for row in await connection.fetch(f"SELECT * FROM {table}")]
    await connection.close()
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)


async def erase(url: str, contractor: str) -> None:
    await print_erasure(Settings(database_url=url), contractor)


async def test_nothing_personal_is_left_anywhere(
    serve: Serving, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(database_url=database_url) as client:
        walked = await walk(client)
        other = await client.opted_in()
        for contractor in walked.contractors[1:]:
            await client.delete(contractor)
        for contractor in walked.contractors:
            await client.told(contractor, "contractor.deleted")
        before = await seen(client, walked)
        assert len([name for name, message in before.items() if found_in(str(message), OF_A_CONTRACTOR)]) >= 10

        done = await asyncio.to_thread(optin, "contractor", "erase", walked.contractor, "--database-url", database_url)
        assert done.returncode == 0, done
        assert done.stderr == ""
        assert done.stdout.startswith(f"Contractor {walked.contractor} is erased: ")
        assert " 0 " not in done.stdout
        assert done.stdout.endswith(f"{REMAINS[None if database_url.startswith('postgresql') else False]}\n")
        for contractor in walked.contractors[1:]:
            await erase(database_url, contractor)

        after = await seen(client, walked)
        events = before["events"]
        assert isinstance(events, events_pb.ListEventsResponse)
        # Of another contractor's events nothing is taken, although they have the same fields.
        for event in events.events:
            if other.id not in str(event):
                event.CopyFrom(redacted(event))
        assert after == {name: message if name == "events" else redacted(message) for name, message in before.items()}
        assert {name for name, message in after.items() if found_in(str(message), OF_A_CONTRACTOR)} == set()

        capsys.readouterr()
        await erase(database_url, walked.contractor)
        assert "0 records, 0 events, 0 responses changed" in capsys.readouterr().out
        assert await seen(client, walked) == after
        again = await client.contractor(email="canary@example.com")
        await client.delete(again.id)
        await erase(database_url, again.id)
        assert (await audit(database_url, now=SOON)).findings == []
        request = contractors_pb.GetContractorRequest(id=other.id)
        assert (await client.contractors.GetContractor(request)).contractor == other
        after = await seen(client, walked)
    if database_url.startswith("sqlite"):
        await erase(database_url, walked.contractor)
        assert capsys.readouterr().out.endswith(f"{REMAINS[True]}\n")
        async with serve(database_url=database_url) as client:
            assert await seen(client, walked) == after
    assert found_in(await stored(database_url), OF_A_CONTRACTOR) == []


async def test_who_is_live_keeps_its_cover_and_is_not_erased(any_client: Client, database_url: str) -> None:
    jane = await any_client.opted_in()
    done = await asyncio.to_thread(optin, "contractor", "erase", jane.id, "--database-url", database_url)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"Contractor {jane.id} is live; end its cover with DeleteContractor first, then erase it.\n"
    request = contractors_pb.GetContractorRequest(id=jane.id)
    assert (await any_client.contractors.GetContractor(request)).contractor == jane


@pytest.mark.parametrize("contractor", ["cn_none", "", "\0", "Jane Doe"])
async def test_who_is_not_there_is_told_of_in_one_sentence(
    any_client: Client, database_url: str, contractor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        await erase(database_url, contractor)
    assert capsys.readouterr().err == f"There is no contractor {contractor}.\n"


async def test_more_than_one_step_has(
    serve: Serving, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("server.service.erasing.STEP_ROWS", 2)
    monkeypatch.setattr("server.service.erasing.LOOK_ROWS", 3)
    async with serve(database_url=database_url) as client:
        jane, job = await client.contractor(), await client.job()
        for number in range(5):
            made = await client.assign(jane.id, job.id, start=None, end=None, request_id=f"make-{number}")
            await client.cancel_assignment(made.assignment.id, "for Canary", request_id=f"drop-{number}")
        await client.delete(jane.id)
        await erase(database_url, jane.id)
        assert "6 records, 6 events, 5 responses changed" in capsys.readouterr().out
        left = await client.assignments_of(jane.id)
        assert [assignment.cancel_reason for assignment in left] == ["[redacted]"] * 5
        assert all(assignment.status == pb.ASSIGNMENT_STATUS_CANCELLED for assignment in left)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    done = optin("contractor", "erase", "cn_1", cwd=tmp_path)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert list(tmp_path.iterdir()) == []
