"""Databases with a conversation in them, to be copied and corrupted."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest

from server.commands.audit import audit
from server.domain.invariants.books import Report
from tests.audit.conversation import LEASE, Names, converse
from tests.conftest import NOW
from tests.support.postgres import SUPERUSER, PostgresCluster

SOON = NOW + LEASE  # nothing of the conversation is older


@dataclass(frozen=True)
class Kept:
    """A database, and the ids in it by name."""

    url: str
    names: Names

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def path(self) -> Path:
        return Path(self.url.partition("///")[2])

    async def corrupt(self, statements: Sequence[str]) -> None:
        """Past every check that the database would make. `{name}` is an id."""
        statements = [statement.format_map(self.names) for statement in statements]
        if self.is_sqlite:
            with sqlite3.connect(self.path) as connection:
                for statement in statements:
                    assert connection.execute(statement).rowcount, statement
            connection.close()
            return
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""), user=SUPERUSER)
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            assert not (await connection.execute(statement)).endswith(" 0"), statement
        await connection.close()

    async def audit(self, now: datetime = SOON) -> Report:
        return await audit(self.url, now=now)


@pytest.fixture(scope="session")
def sqlite_conversation(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('conversation')}/optin.db"
    return Kept(url, converse(url))


@pytest.fixture(scope="session")
def postgres_conversation(postgres: PostgresCluster, postgres_template: str) -> Kept:
    url = postgres.create_database(template=postgres_template)
    return Kept(url, converse(url))


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    """A copy of the conversation, once in each kind of database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_kept")
        return
    conversation: Kept = request.getfixturevalue("postgres_conversation")
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    url = cluster.create_database(template=conversation.url)
    yield Kept(url, conversation.names)
    cluster.drop_database(url)


@pytest.fixture
def sqlite_kept(sqlite_conversation: Kept, tmp_path: Path) -> Kept:
    path = shutil.copy(sqlite_conversation.path, tmp_path / "kept.db")
    return Kept(f"sqlite+aiosqlite:///{path}", sqlite_conversation.names)


def few_at_a_time(monkeypatch: pytest.MonkeyPatch, rows: int = 3) -> None:
    """So few rows at a time that a small database has many pages."""
    monkeypatch.setattr("server.storage.books.ROWS", rows)
    monkeypatch.setattr("server.storage.audit.ROWS", rows)
    monkeypatch.setattr("server.storage.audit.CONTRACTORS", rows)


@pytest.fixture(params=[1, 3])
def pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    few_at_a_time(monkeypatch, request.param)
