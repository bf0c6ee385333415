"""PostgreSQL's row-level security: the second wall, where a statement forgets its platform."""

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import ProgrammingError

from server.domain.ports import Unit
from server.storage.postgres import PostgresStorage
from server.storage.tables import contractors, metadata
from server.storage.unit import SqlUnit
from tests.conftest import Serving
from tests.storage.opened import opened
from tests.support.postgres import SUPERUSER, USER, PostgresCluster

WITHOUT = {"alembic_version", "event_sequence", "keys", "platforms", "writers"}
"""Tables of no platform's data, and those that say who may call."""


def careless(unit: Unit) -> list[str]:
    """A statement that forgot its platform."""
    assert isinstance(unit, SqlUnit)
    return list(unit._connection.scalars(select(contractors.c.id)))


@pytest.fixture
async def url(postgres: PostgresCluster, postgres_template: str, serve: Serving) -> str:
    """A database with a contractor of the default platform."""
    url = postgres.create_database(template=postgres_template)
    async with serve(database_url=url) as client:
        await client.contractor()
    return url


async def test_a_careless_statement_reaches_its_own_platform_only(url: str) -> None:
    def change(unit: Unit) -> None:
        assert isinstance(unit, SqlUnit)
        with unit.within("pf_other"):
            changed = unit._connection.execute(update(contractors).values(first_name="X"))
            assert changed.rowcount == 0
        assert careless(unit) != []

    async with opened(url) as storage:
        assert isinstance(storage, PostgresStorage)
        assert await storage.has_walls()
        assert await storage.read(careless, "pf_other") == []
        assert len(await storage.read(careless, "pf_default")) == 1
        assert len(await storage.read(careless)) == 1
        await storage.write(change)


async def test_a_row_cannot_be_put_behind_anothers_wall(url: str) -> None:
    def plant(unit: Unit) -> None:
        assert isinstance(unit, SqlUnit)
        row = dict(unit._connection.execute(select(contractors)).mappings().one())
        with unit.within("pf_other"):
            unit._connection.execute(contractors.insert(), row | {"id": "cn_planted"})

    async with opened(url) as storage:
        with pytest.raises(ProgrammingError, match="row-level security"):
            await storage.write(plant)


async def test_every_table_of_a_platforms_data_has_its_wall(url: str) -> None:
    def walls(unit: Unit) -> set[str]:
        assert isinstance(unit, SqlUnit)
        found = "SELECT tablename FROM pg_policies WHERE qual LIKE '%optin.platform%'"
        return set(unit._connection.exec_driver_sql(found).scalars())

    async with opened(url) as storage:
        assert await storage.read(walls) == set(metadata.tables) - WITHOUT


async def test_a_superuser_is_bound_by_none_and_the_server_says_so(
    url: str, serve: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    above = url.replace(f"//{USER}@", f"//{SUPERUSER}@")
    async with opened(above) as storage:
        assert isinstance(storage, PostgresStorage)
        assert not await storage.has_walls()
        assert len(await storage.read(careless, "pf_other")) == 1
    async with serve(database_url=above):
        pass
    assert "row-level security does not bind this user" in capsys.readouterr().out
