"""The private PostgreSQL cluster that other tests stand on."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.support import postgres
from tests.support.postgres import PostgresCluster, PostgresError, PostgresMissing, StopMode

ROOT = Path(__file__).parents[1]
OWNER = """
import time
from tests.support.postgres import PostgresCluster
with PostgresCluster():
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresCluster]:
    with PostgresCluster() as cluster:
        yield cluster


async def run(url: str, *statements: str) -> list[Row[tuple[object, ...]]]:
    """Run statements in one transaction and return the rows of the last one."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        results = [await connection.execute(text(statement)) for statement in statements]
        return list(results[-1]) if results[-1].returns_rows else []


def processes(place: Path) -> list[bytes]:
    """Return the command lines that name a place: a keeper's, an initdb's, a postmaster's."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended just now
            found.append(file.read_bytes())
    return [line for line in found if bytes(place) in line]


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


async def test_a_database_is_a_copy_of_its_template(cluster: PostgresCluster) -> None:
    template = cluster.create_database()
    await run(template, "CREATE TABLE words (word text)", "INSERT INTO words VALUES ('kept')")

    copy = cluster.create_database(template)
    await run(copy, "INSERT INTO words VALUES ('added')")

    assert await run(copy, "SELECT word FROM words ORDER BY 1") == [("added",), ("kept",)]
    assert await run(template, "SELECT word FROM words") == [("kept",)]


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
async def test_committed_data_survives_a_restart(cluster: PostgresCluster, mode: StopMode) -> None:
    url = cluster.create_database()
    await run(url, "CREATE TABLE words (word text)", "INSERT INTO words VALUES ('kept')")
    before = cluster.pid

    cluster.restart(mode)

    assert cluster.pid != before
    assert await run(url, "SELECT word FROM words") == [("kept",)]


async def test_the_server_is_durable_and_takes_many_connections(cluster: PostgresCluster) -> None:
    url = cluster.create_database()
    assert await run(url, "SHOW fsync") == [("on",)]
    assert await run(url, "SHOW max_connections") == [("200",)]


async def test_a_stopped_server_is_not_there_until_it_starts(cluster: PostgresCluster) -> None:
    url = cluster.create_database()
    cluster.stop()
    assert cluster.pid is None
    with pytest.raises(OSError, match="Connect call failed"):
        await run(url, "SELECT 1")
    cluster.start()
    assert await run(url, "SELECT 1") == [(1,)]


async def test_killing_the_backends_cuts_connections(cluster: PostgresCluster) -> None:
    engine = create_async_engine(cluster.create_database(), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        assert cluster.kill_backends() == 1
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1"))
    assert cluster.kill_backends() == 0


async def test_a_dropped_database_is_gone_though_in_use(cluster: PostgresCluster) -> None:
    engine = create_async_engine(cluster.create_database(), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        cluster.drop_database(engine.url.render_as_string())
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1"))
    with pytest.raises(PostgresError, match="does not exist"):
        cluster.drop_database(engine.url.render_as_string())


def test_the_end_of_the_block_leaves_nothing_behind() -> None:
    with PostgresCluster(fsync="off") as cluster:
        assert cluster.folder.exists()
        assert processes(cluster.folder), "the keeper and the postmaster"
    assert processes(cluster.folder) == []
    assert not cluster.folder.exists()


def test_a_server_that_does_not_start_says_why_and_leaves_nothing_behind() -> None:
    cluster = PostgresCluster(no_such_setting="1")
    with pytest.raises(PostgresError, match="no_such_setting"), cluster:
        pytest.fail("it started")
    assert cluster.pid is None
    assert not cluster.folder.exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["data/base", ".s.PGSQL.*"], ids=["initdb", "running"])
def test_an_owner_that_is_killed_leaves_nothing_behind(moment: str, end: signal.Signals) -> None:
    with tempfile.TemporaryDirectory(prefix="optin-") as name:
        place = Path(name)
        place.chmod(0o777)  # as /tmp is: root's PostgreSQL runs in another account
        with subprocess.Popen(
            [sys.executable, "-c", OWNER],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": name},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as owner:
            wait_until(lambda: any(place.glob(f"*/{moment}")), f"{moment} is there")
            assert processes(place)
            os.killpg(owner.pid, end)  # as a terminal does: the whole group
        wait_until(lambda: not processes(place), "every process is gone")
        wait_until(lambda: not any(place.iterdir()), "the folder is gone")


def test_a_machine_without_postgresql_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PostgresMissing, match=r"^PostgreSQL 15 or newer is needed: install .+\.$"):
        postgres.find_binaries(debian_home=tmp_path)


def test_the_newest_complete_installation_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, names in {
        "9": "initdb pg_ctl postgres psql",
        "15": "initdb pg_ctl postgres psql",
        "100": "initdb pg_ctl postgres psql",
        "101": "psql",
    }.items():
        binaries = tmp_path / version / "bin"
        binaries.mkdir(parents=True)
        for name in names.split():
            program = binaries / name
            program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.4'\n")
            program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert postgres.find_binaries(debian_home=tmp_path) == tmp_path / "100/bin"
