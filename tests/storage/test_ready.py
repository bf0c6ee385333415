"""Statements that go past SQLAlchemy to SQLite's driver: they find what SQLAlchemy finds, and fail as it fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, String, Table, bindparam, exc, select

from server.storage import ready, rows
from server.storage.rows import IDS
from server.storage.sqlite import writer_engine

things = Table(
    "things",
    MetaData(),
    Column("id", String, primary_key=True),
    Column("word", String),
    Column("number", Integer),
)
blobs = Table("blobs", MetaData(), Column("id", String, primary_key=True), Column("data", LargeBinary))

WORDS = ["", "it's", '"quoted"', "back\\slash", "a\nb\tc", "\x01\x1f\x7f", "Zoë 東京 🦺", "[1,null]", "null"]
LARGEST = 2**63 - 1


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = writer_engine(tmp_path / "some.db")
    with engine.begin() as connection:
        things.create(connection)
        blobs.create(connection)
        yield connection
    engine.dispose()


def test_what_is_read_is_what_was_stored(connection: Connection) -> None:
    stored = [{"id": f"th_{n}", "word": word, "number": LARGEST - n} for n, word in enumerate(WORDS)]
    stored.append({"id": "th_none", "word": None, "number": None})
    connection.execute(things.insert(), stored)
    found = rows.fetch(connection, select(things).where(things.c.id.in_(IDS)), [row["id"] for row in stored])
    assert sorted(found, key=lambda row: row["id"]) == sorted(stored, key=lambda row: str(row["id"]))


def test_nothing_found_is_no_rows(connection: Connection) -> None:
    assert list(rows.fetch(connection, select(things).where(things.c.id.in_(IDS)), ["th_1"])) == []


def test_bytes_are_read_too(connection: Connection) -> None:
    connection.execute(blobs.insert(), {"id": "bl_1", "data": b"\x00\xff"})
    assert rows.fetch(connection, select(blobs).where(blobs.c.id.in_(IDS)), ["bl_1"]) == [
        {"id": "bl_1", "data": b"\x00\xff"}
    ]


def test_parameters_are_told_apart_by_their_names(connection: Connection) -> None:
    connection.execute(things.insert(), [{"id": f"th_{n}", "word": "same", "number": n} for n in range(4)])
    wanted = select(things.c.id).where(
        things.c.word == bindparam("word"), things.c.id.in_(IDS), things.c.number > 1, things.c.number < 4
    )
    assert {row["id"] for row in rows.fetch(connection, wanted, ["th_1", "th_2", "th_3"], word="same")} == {
        "th_2",
        "th_3",
    }
    assert ready.values(connection, select(things.c.number).where(things.c.id == bindparam("id")), id="th_3") == [(3,)]


def test_errors_are_sqlalchemys_and_tell_no_values(connection: Connection) -> None:
    insert = "INSERT INTO things (id, word) VALUES (?, ?)"
    ready.run(connection, insert, ("th_1", "secret"))
    with pytest.raises(exc.IntegrityError) as twice:
        ready.run(connection, insert, ("th_1", "secret"))
    with pytest.raises(exc.OperationalError):
        ready.run(connection, "SELECT * FROM nowhere", ())
    assert "secret" not in str(twice.value)
