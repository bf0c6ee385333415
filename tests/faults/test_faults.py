"""Faults that are survived, in short; `make chaos` runs the same with many more rounds and calls."""

from pathlib import Path

import pytest

from server.carrier.fake import Fault
from tests.chaos import cancel, carrier_faults, disk_full, fuzzing, race, stopped_postgres
from tests.chaos.kill import BACKEND_KILLED, Killing
from tests.chaos.result import Result, table
from tests.conftest import sqlite_copy
from tests.support.postgres import PostgresCluster

SEED = "test"


def survived(result: Result) -> None:
    assert not result.broken, table([result])
    assert result.promises > 0, table([result])


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    return sqlite_copy(sqlite_template, tmp_path)


@pytest.mark.parametrize("remote", [False, True], ids=["in-house", "carrier"])
async def test_kill_9(tmp_path: Path, sqlite_url: str, remote: bool) -> None:
    ends = ("carrier.before", "carrier.after") if remote else ("commit.before", "commit.after")
    killing = Killing(folder=tmp_path, url=sqlite_url, ends=ends, seed=SEED, remote=remote, contractors=5)
    survived(await killing.run("kill"))


async def test_kill_9_on_postgresql(tmp_path: Path, postgres: PostgresCluster, postgres_template: str) -> None:
    """The server, and a backend of its database."""
    url = postgres.create_database(postgres_template)
    ends = ("commit.after", BACKEND_KILLED)
    killing = Killing(folder=tmp_path, url=url, ends=ends, seed=SEED, remote=True, contractors=5, cluster=postgres)
    survived(await killing.run("kill"))


@pytest.mark.parametrize("remote", [False, True], ids=["in-house", "carrier"])
async def test_cancelled_calls(tmp_path: Path, sqlite_url: str, remote: bool) -> None:
    locks = cancel.sqlite_locks(tmp_path / "optin.db")
    survived(await cancel.run(tmp_path, sqlite_url, SEED, calls=150, remote=remote, locks=locks))


async def test_cancelled_calls_on_postgresql(tmp_path: Path, postgres: PostgresCluster, postgres_template: str) -> None:
    url = postgres.create_database(postgres_template)
    locks = cancel.postgres_locks(url)
    survived(await cancel.run(tmp_path, url, SEED, calls=150, remote=False, locks=locks))


async def test_two_servers_over_one_database(tmp_path: Path, postgres: PostgresCluster, postgres_template: str) -> None:
    url = postgres.create_database(postgres_template)
    survived(await race.run(tmp_path, url, SEED, servers=2, workers=1, assignments=300, contractors=5))


@pytest.mark.parametrize("fault", [Fault.ERRORS_AFTER, Fault.DONE_LATE, Fault.DIES_AFTER])
async def test_faults_of_a_carrier(tmp_path: Path, sqlite_url: str, fault: Fault) -> None:
    survived(await carrier_faults.run(tmp_path, sqlite_url, SEED, [fault], 30, breaker=False))


async def test_postgresql_stopped(tmp_path: Path, postgres: PostgresCluster, postgres_template: str) -> None:
    url = postgres.create_database(postgres_template)
    try:
        survived(await stopped_postgres.run(tmp_path, postgres, url, SEED, rounds=1))
    finally:
        postgres.start()


async def test_disk_full(tmp_path: Path) -> None:
    survived(await disk_full.run(tmp_path, SEED, rounds=1, tmpfs=False))


async def test_hostile_requests(tmp_path: Path, sqlite_url: str) -> None:
    survived(await fuzzing.run(tmp_path, sqlite_url, SEED, requests=500, health_deadline=10.0))
