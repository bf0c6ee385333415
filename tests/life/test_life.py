"""The whole life of cover, by hypothesis, against the real app on both databases; each run ends in `optin audit`.

Always the same few runs; for more, and others each time:

    OPTIN_LIFE_EXAMPLES=500 .venv/bin/python -m pytest tests/life --timeout 0
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import DATABASES, sqlite_copy
from tests.life.machine import Life
from tests.life.world import Database, World
from tests.support.postgres import PostgresCluster

MORE = int(os.environ.get("OPTIN_LIFE_EXAMPLES", "0"))
EXAMPLES, STEPS = 6, 40


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Database:
    """Each time another one, migrated and empty, for as long as the block lasts."""
    if request.param == "sqlite":
        numbers = count()

        @contextmanager
        def on_sqlite() -> Iterator[str]:
            folder = tmp_path / str(next(numbers))
            folder.mkdir()
            yield sqlite_copy(sqlite_template, folder)

        return on_sqlite

    cluster: PostgresCluster = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("postgres_template")

    @contextmanager
    def on_postgresql() -> Iterator[str]:
        url = cluster.create_database(template=template)
        yield url
        cluster.drop_database(url)

    return on_postgresql


def test_the_whole_life_of_cover(database: Database) -> None:
    run_state_machine_as_test(
        lambda: Life(World(database)),
        settings=settings(
            max_examples=MORE or EXAMPLES,
            derandomize=not MORE,
            database=None,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
