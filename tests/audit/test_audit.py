"""The audit at rest: databases that are as they should be, files that are damaged, and what it leaves alone."""

import asyncio
import hashlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from server.app import running
from server.commands import audit as command
from server.commands.audit import audit
from server.config import Settings
from server.domain.errors import StorageUnavailable
from server.domain.invariants import books
from server.domain.invariants.books import Finding, Report
from server.storage import schema
from tests.audit.conftest import SOON, Kept
from tests.support.client import Client
from tests.support.postgres import PostgresCluster

ROWS = {"contractors": 9, "policies": 16, "assignments": 19, "requests": 5}


def but_events(rows: Counter[str]) -> Counter[str]:
    """How many policies were told as expired depends on when somebody looked, and entries on what shared a unit."""
    assert rows["events"] > rows["assignments"]
    assert rows["trail entries"] > rows["assignments"]
    return Counter({kind: count for kind, count in rows.items() if kind not in ("events", "trail entries")})


async def test_a_conversation_leaves_nothing_to_find(kept: Kept) -> None:
    report = await kept.audit()
    assert report.findings == []
    assert report.total == 0
    assert but_events(report.rows) == ROWS


async def test_pages_of_any_size_have_every_row_once(kept: Kept, pages: None) -> None:
    report = await kept.audit()
    assert report.findings == []
    assert but_events(report.rows) == ROWS


async def test_swept_events_are_not_missed(kept: Kept) -> None:
    """Whatever the position up to which they are swept, and when none is left."""
    for upto in (1, 20, 100_000):
        await kept.corrupt([f"DELETE FROM events WHERE position <= {upto}"])
        assert (await kept.audit()).findings == []


async def test_what_is_wrong_is_found_on_any_page(kept: Kept, pages: None) -> None:
    await kept.corrupt(
        [
            "UPDATE assignments SET decision = 9",
            "DELETE FROM decisions WHERE assignment = '{uncovered}'",
            "UPDATE policies SET status = 9 WHERE id = '{rebound}'",
            "INSERT INTO emails (platform, email_folded, contractor) VALUES ('zz', 'zz', '{sue}')",
            "UPDATE requests SET response = substr(digest, 1, 0), awaits = ''",
        ]
    )
    report = await kept.audit()
    found = [finding.rule for finding in report.findings]
    joes = 2
    assert found.count("assignment-shows-its-last-decision") == ROWS["assignments"] - joes - 1
    assert found.count("decisions-have-no-gaps") == 1
    assert found.count("request-has-its-response") == ROWS["requests"]
    assert Finding("rows-can-be-read", (kept.names["joe"],)) in report.findings
    assert Finding("email-is-held-by-a-live-contractor", (kept.names["sue"],)) in report.findings


async def test_what_follows_the_last_contractor_is_read_too(kept: Kept, pages: None) -> None:
    await kept.corrupt(["UPDATE assignments SET contractor = 'zz' WHERE id = '{uncovered}'"])
    report = await kept.audit()
    assert Finding("contractor-exists", ("zz",)) in report.findings
    await kept.corrupt(["UPDATE assignments SET outcome = 9 WHERE contractor = 'zz'"])
    assert [f.ids for f in (await kept.audit()).findings if f.rule == "rows-can-be-read"] == [
        (f"after {max(kept.names[name] for name in ('jane', 'joe', 'sue', 'ann', 'ben', 'dot'))}",)
    ]


async def test_an_empty_database_has_nothing_to_find(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        await schema.migrate(command.make_url(database_url))
    report = await audit(database_url)
    assert report == Report()


# SQLite's own checks.


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


async def test_a_damaged_page_is_found(sqlite_kept: Kept) -> None:
    with sqlite3.connect(sqlite_kept.path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'policies'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    overwrite(sqlite_kept.path, (page - 1) * size, bytes(100))
    report = await sqlite_kept.audit()
    assert report.total
    assert {finding.rule for finding in report.findings} == {"sqlite-integrity-check"}


async def test_pages_that_nothing_uses_are_found(sqlite_kept: Kept) -> None:
    with sqlite3.connect(sqlite_kept.path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'ix_jobs_platform_id'")
    connection.close()
    (finding,) = (await sqlite_kept.audit()).findings
    assert finding.rule == "sqlite-integrity-check"


@pytest.mark.parametrize("offset", [0, 100])
async def test_a_file_that_is_no_database_is_a_finding(sqlite_kept: Kept, offset: int) -> None:
    overwrite(sqlite_kept.path, offset, b"x" * 300)
    (finding,) = (await sqlite_kept.audit()).findings
    assert finding.rule == "sqlite-integrity-check"


async def test_a_reference_to_nothing_is_found(sqlite_kept: Kept) -> None:
    await sqlite_kept.corrupt(["UPDATE jobs SET category_code = 'nowhere' WHERE id = '{job}'"])
    assert set(map(str, (await sqlite_kept.audit()).findings)) == {
        f"sqlite-foreign-key-check: jobs {sqlite_kept.names['job']} has no job_categories"
    }


async def test_a_policy_of_nobody_is_found(sqlite_kept: Kept) -> None:
    await sqlite_kept.corrupt(["UPDATE policies SET contractor = 'cn_x' WHERE id = '{policy}'"])
    found = set(map(str, (await sqlite_kept.audit()).findings))
    assert f"sqlite-foreign-key-check: policies cn_x {sqlite_kept.names['policy']} has no contractors" in found


# What it cannot read.


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        await audit(f"sqlite:///{tmp_path}/none.db")
    assert digests(tmp_path) == {}


@pytest.fixture
def log_that_is_none(sqlite_kept: Kept) -> None:
    Path(f"{sqlite_kept.path}-wal").mkdir()


async def test_a_file_that_cannot_be_opened_is_no_finding(sqlite_kept: Kept, log_that_is_none: None) -> None:
    with pytest.raises(StorageUnavailable):
        await sqlite_kept.audit()


async def test_a_server_that_is_not_there(postgres: PostgresCluster) -> None:
    with pytest.raises(StorageUnavailable):
        await audit("postgresql+asyncpg://optin@127.0.0.1:1/optin")


async def test_another_schema_is_refused(kept: Kept, tmp_path: Path, postgres: PostgresCluster) -> None:
    await kept.corrupt(["UPDATE alembic_version SET version_num = '9999'"])
    with pytest.raises(schema.SchemaTooNew):
        await kept.audit()
    await kept.corrupt(["DELETE FROM alembic_version"])
    with pytest.raises(schema.SchemaTooOld):
        await kept.audit()


# What it leaves alone.


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


async def test_nothing_is_written(sqlite_kept: Kept) -> None:
    before = digests(sqlite_kept.path.parent)
    await sqlite_kept.audit()
    assert digests(sqlite_kept.path.parent) == before


async def test_beside_a_server_it_neither_waits_for_the_writer_nor_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "optin.db"
    async with running(Settings(port=0, database_url=f"sqlite:///{path}")) as server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            client = Client(channel)
            await client.assign((await client.opted_in()).id, (await client.job()).id)
        before = {file.name: file.read_bytes() for file in (path, tmp_path / "optin.db-wal")}
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        report = await audit(f"sqlite:///{path}")
        writer.execute("ROLLBACK")
        writer.close()
        assert report.findings == []
        assert report.rows["assignments"] == 1
        assert {file.name: file.read_bytes() for file in (path, tmp_path / "optin.db-wal")} == before


async def test_only_so_many_findings_are_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "MOST_KEPT", 3)
    await kept.corrupt(["UPDATE assignments SET decision = 9"])
    report = await kept.audit()
    assert len(report.findings) == 3
    assert report.total == ROWS["assignments"]


async def test_an_audit_that_nobody_waits_for_ends(
    sqlite_kept: Kept, pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    look: Callable[..., Report] = command._of_part
    looking, go_on, looked = threading.Event(), threading.Event(), []

    def slowly(*arguments: object) -> Report:
        looked.append(arguments)
        looking.set()
        assert go_on.wait(60)
        return look(*arguments)

    monkeypatch.setattr(command, "_of_part", slowly)
    auditing = asyncio.ensure_future(audit(sqlite_kept.url, now=SOON))
    assert await asyncio.to_thread(looking.wait, 60)
    auditing.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await auditing
    assert len(looked) == 1
