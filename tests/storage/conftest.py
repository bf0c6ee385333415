"""Storage on each database, open, migrated and empty."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.domain.ports import Unit
from server.storage.tables import metadata
from server.storage.unit import SqlUnit
from tests.conftest import sqlite_copy
from tests.storage.opened import AnyStorage, opened
from tests.support.postgres import PostgresCluster

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def shared_postgres_url(postgres: PostgresCluster, postgres_template: str) -> str:
    """A migrated database, emptied before each test: making one for each takes ten times as long."""
    return postgres.create_database(template=postgres_template)


def empty(unit: Unit) -> None:
    assert isinstance(unit, SqlUnit)
    for table in reversed(metadata.sorted_tables):
        unit._connection.execute(table.delete())


@pytest.fixture
async def postgres_url(shared_postgres_url: str) -> str:
    """A migrated, empty PostgreSQL database."""
    async with opened(shared_postgres_url) as storage:
        await storage.write(empty)
    return shared_postgres_url


@pytest.fixture(params=DATABASES)
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated, empty database, once of each kind."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return sqlite_copy(request.getfixturevalue("sqlite_template"), tmp_path)


@pytest.fixture(params=[False, True], ids=["long", "brief"])
def brief(request: pytest.FixtureRequest) -> bool:
    """Both ways in which a unit is run."""
    return bool(request.param)


@pytest.fixture
async def storage(migrated_url: str) -> AsyncIterator[AnyStorage]:
    async with opened(migrated_url) as storage:
        yield storage


@pytest.fixture
async def sqlite_storage(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[AnyStorage]:
    async with opened(sqlite_copy(sqlite_template, tmp_path)) as storage:
        yield storage


@pytest.fixture
async def postgres_storage(postgres_url: str) -> AsyncIterator[AnyStorage]:
    async with opened(postgres_url) as storage:
        yield storage
