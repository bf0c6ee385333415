"""Fixtures for calls: a PostgreSQL database by itself, and servers that share one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from server import logs
from server.commands.audit import audit
from tests.conftest import Clock, Serving
from tests.support.client import Client
from tests.support.postgres import PostgresCluster


@pytest.fixture(autouse=True)
def log_as_served(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The log is what `optin serve` writes, on the output that pytest captures."""
    configure = structlog.configure

    def configure_for_a_test(**settings: Any) -> None:
        captured: dict[str, Any] = {
            "logger_factory": structlog.PrintLoggerFactory(),
            "cache_logger_on_first_use": False,
        }
        configure(**settings | captured)

    monkeypatch.setattr(structlog, "configure", configure_for_a_test)
    logs.configure(console=False, level="info")
    yield
    structlog.reset_defaults()


@pytest.fixture
def postgres_url(postgres: PostgresCluster, postgres_template: str) -> Iterator[str]:
    """A migrated database on PostgreSQL."""
    url = postgres.create_database(template=postgres_template)
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql", "two servers on postgresql"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, int]:
    """A database, and how many servers to run over it."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/optin.db", 1
    return request.getfixturevalue("postgres_url"), 2 if request.param.startswith("two") else 1


@pytest.fixture
async def servers(serve: Serving, setting: tuple[str, int]) -> AsyncIterator[list[Client]]:
    """A client of each server of one platform: one server on each kind of database, then two on one."""
    url, count = setting
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serve(database_url=url)) for _ in range(count)]


@pytest.fixture
async def audited(serve: Serving, database_url: str, clock: Clock) -> AsyncIterator[Client]:
    """A client of a server, once on each kind of database; what it leaves there is audited."""
    async with serve(database_url=database_url) as client:
        yield client
    report = await audit(database_url, now=clock.now)
    assert report.findings == []
