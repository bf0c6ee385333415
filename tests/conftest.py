"""Fixtures: the real app on an ephemeral port, on SQLite files and on a private PostgreSQL."""

import asyncio
import gc
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from sqlalchemy import make_url

from server.app import Running, running
from server.cli import NEW_OBJECTS
from server.config import Settings
from server.service import gate
from server.storage import schema
from tests.support.client import Client
from tests.support.keys import made_keys
from tests.support.pki import Pki
from tests.support.postgres import PostgresCluster, PostgresMissing

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DATABASES = ("sqlite", "postgresql")

Serving = Callable[..., AbstractAsyncContextManager[Client]]


class Clock:
    """The server's clock, which tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def pytest_collection_finish() -> None:
    """As `optin serve` does: what is there by now stays, thousands of tests too, and is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    made = Pki(tmp_path, trustme.CA())
    made.write()
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session", autouse=True)
def quick_stops() -> Iterator[None]:
    """Servers of these tests are not stopped while a call is on its way: real processes are, in tests/server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "RECENT_SECONDS", 0.0)
        yield


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "optin.db"
    asyncio.run(schema.migrate(make_url(f"sqlite:///{path}")))
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    try:
        # Processes end here in every way, the machine does not: PostgreSQL need not wait for the disk.
        cluster = PostgresCluster(fsync="off", full_page_writes="off")
    except PostgresMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(f"POSTGRESQL IS NOT TESTED: {missing}")
    with cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresCluster) -> str:
    """A migrated database, to be copied."""
    url = postgres.create_database()
    asyncio.run(schema.migrate(make_url(url)))
    return url


def sqlite_copy(template: Path, folder: Path) -> str:
    """The folder's database: made from the template unless it is there."""
    database = folder / "optin.db"
    if not database.exists():
        shutil.copy(template, database)
    return f"sqlite+aiosqlite:///{database}"


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[str]:
    """A migrated, empty database, once of each kind."""
    if request.param == "sqlite":
        yield sqlite_copy(sqlite_template, tmp_path)
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    url = cluster.create_database(template=request.getfixturevalue("postgres_template"))
    yield url
    cluster.drop_database(url)


@asynccontextmanager
async def reached(
    settings: Settings, clock: Clock, carrier: Any = None
) -> AsyncIterator[tuple[Running, grpc.aio.Channel]]:
    """The app with these settings, and a channel to it, with keys where it asks for them."""
    keys = [] if settings.open_to_all else await made_keys(settings.database_url)
    async with (
        running(settings, carrier=carrier, clock=clock) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", interceptors=keys) as channel,
    ):
        yield server, channel


@pytest.fixture
def serve(tmp_path: Path, clock: Clock, sqlite_template: Path) -> Serving:
    """Serves the app, on SQLite unless told otherwise, for as long as the block lasts."""

    @asynccontextmanager
    async def serving(*, carrier: Any = None, **settings: Any) -> AsyncIterator[Client]:
        if "database_url" not in settings:
            settings["database_url"] = sqlite_copy(sqlite_template, tmp_path)
        async with reached(Settings(port=0, **settings), clock, carrier) as (_, channel):
            yield Client(channel)

    return serving


@pytest.fixture
async def client(serve: Serving) -> AsyncIterator[Client]:
    """A client of a server on SQLite."""
    async with serve() as client:
        yield client


@pytest.fixture
async def any_client(serve: Serving, database_url: str) -> AsyncIterator[Client]:
    """A client of a server, once on each kind of database."""
    async with serve(database_url=database_url) as client:
        yield client
