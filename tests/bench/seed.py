"""Fills a SQLite database with as many contractors and assignments as one wants, past the API.

    python -m tests.bench.seed FILE [--contractors 100000] [--assignments 1000000]

One contractor goes through the API of a server, with all its assignments; its rows are then copied under new ids, table
by table. So whatever the schema, the copies are as consistent as what the server wrote itself, and `optin audit` has
nothing to say about them. Assignments are written in rounds over all contractors, as time would have done it.
"""

import argparse
import asyncio
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc

from server.service.context import new_id
from server.storage.tables import contractors as contractors_table
from server.storage.tables import events as events_table
from server.storage.tables import metadata
from server.storage.tables import requests as requests_table
from tests.load.serving import serving
from tests.support.client import Client

ID = re.compile(r"([a-z]{2,3})_[0-9A-Z]{26}")
HEX = re.compile(r"[0-9a-f]{32}")
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What a seeded database holds."""

    job: str
    covered: Sequence[str]  # contractors with a policy, and so many assignments each
    opted_in: Sequence[str]  # contractors with a complete opt-in and nothing else


Token = str
Part = Token | str | bytes


class Column:
    """A value of the template's, cut where tokens stand in it."""

    def __init__(self, name: str, value: Any, tokens: Sequence[Token]) -> None:
        self.name = name
        self._bytes = isinstance(value, bytes)
        self.value = value
        self._parts: list[str] = []
        if isinstance(value, str | bytes) and value:
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            self._parts = re.split(f"({'|'.join(map(re.escape, tokens))})", text)
        self.tokens = set(self._parts[1::2])

    def copied(self, new: dict[Token, str]) -> Any:
        if not self.tokens:
            return self.value
        text = "".join([new.get(part, part) for part in self._parts])
        return text.encode("latin-1") if self._bytes else text


@dataclass(frozen=True, slots=True)
class Row:
    table: str
    columns: Sequence[Column]

    @property
    def tokens(self) -> set[Token]:
        return set().union(*(column.tokens for column in self.columns))


class Template:
    """The rows of one contractor: those it has from the start, and those that each assignment brought."""

    def __init__(self, connection: sqlite3.Connection, contractor: str, assignments: Sequence[str]) -> None:
        raw = list(_rows_of(connection, contractor, assignments))
        shared = {row["code"] for row in connection.execute("SELECT code FROM job_categories")}
        shared |= {row["id"] for row in connection.execute("SELECT id FROM jobs")}
        tokens = sorted({token for _, row in raw for value in row.values() for token in _tokens(value)} - shared)
        rows = [Row(table, [Column(*named, tokens) for named in row.items()]) for table, row in raw]
        owned = {a: {a} | self._brought_by(rows, a) for a in assignments}
        self.rounds = [[row for row in rows if row.tokens & owned[a]] for a in assignments]
        started = {id(row) for round_ in self.rounds for row in round_}
        rest = [row for row in rows if id(row) not in started]
        of_policy = [row for row in rest if any(token.startswith("pl_") for token in row.tokens)]
        self.start = [row for row in rest if row not in of_policy]
        if self.rounds:  # the first assignment brought the policy
            self.rounds[0] = of_policy + self.rounds[0]
        self.contractor = contractor
        self.lasting = sorted(set(tokens) - set().union(*owned.values()))
        self.passing = [sorted(owned[a]) for a in assignments]

    @staticmethod
    def _brought_by(rows: Sequence[Row], assignment: str) -> set[Token]:
        """The request id under which the assignment was created, and the ids of the events that tell of it."""
        found: set[Token] = set()
        for row in rows:
            if assignment in row.tokens and row.table in ("requests", "events"):
                found |= {token for token in row.tokens if HEX.fullmatch(token) or token.startswith("ev_")}
        return found


def _rows_of(
    connection: sqlite3.Connection, contractor: str, assignments: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Table and values by column, parents first."""
    for table in metadata.sorted_tables:
        found = connection.execute(f"SELECT {', '.join(table.columns.keys())} FROM {table.name}")
        for row in found:
            if table is contractors_table:
                ours = row["id"] == contractor
            elif table is requests_table:
                ours = any(a.encode() in row["response"] for a in assignments)
            elif table is events_table:
                ours = contractor.encode() in row["data"]
            else:
                ours = "contractor" in table.columns and row["contractor"] == contractor
            if ours:
                yield table.name, dict(row)


def _tokens(value: Any) -> Iterator[Token]:
    if isinstance(value, str | bytes):
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        for pattern in (ID, HEX):
            yield from (match[0] for match in pattern.finditer(text))


def _new(token: Token) -> str:
    """Of the same length: in a stored response it stands behind its length."""
    found = ID.fullmatch(token)
    return new_id(found[1]) if found else uuid4().hex


class Copier:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._statements = {
            table.name: f"INSERT INTO {table.name} ({', '.join(table.columns.keys())})"
            f" VALUES ({', '.join('?' * len(table.columns))})"
            for table in metadata.sorted_tables
        }
        self._waiting: dict[str, list[tuple[Any, ...]]] = {name: [] for name in self._statements}
        self._count = 0
        (self._position,) = connection.execute("SELECT last FROM event_sequence").fetchone()

    def copies(self, template: Template, count: int, rounds: int) -> list[str]:
        """The new contractors, each with so many of the template's assignments."""
        lasting = [{token: _new(token) for token in template.lasting} for _ in range(count)]
        for new in lasting:
            self._add(template.start, new)
        for rows, passing in zip(template.rounds[:rounds], template.passing, strict=False):
            for new in lasting:
                self._add(rows, new | {token: _new(token) for token in passing})
        self._write()
        return [new[template.contractor] for new in lasting]

    def _add(self, rows: Sequence[Row], new: dict[Token, str]) -> None:
        for row in rows:
            self._waiting[row.table].append(tuple([self._copied(column, new) for column in row.columns]))
        self._count += len(rows)
        if self._count >= ROWS_AT_ONCE:
            self._write()

    def _copied(self, column: Column, new: dict[Token, str]) -> Any:
        if column.name != "position":
            return column.copied(new)
        self._position += 1
        return self._position

    def _write(self) -> None:
        self._connection.execute("UPDATE event_sequence SET last = ?", [self._position])
        for table, waiting in self._waiting.items():
            self._connection.executemany(self._statements[table], waiting)
            waiting.clear()
        self._connection.commit()
        self._count = 0


def seed(file: Path, *, covered: int, assignments_each: int, opted_in: int) -> World:
    """Makes the database, and fills it. Nobody else may have it open."""
    with tempfile.TemporaryDirectory() as folder:
        with serving(folder=Path(folder), database_url=f"sqlite:///{file}") as served:
            job, contractor, made = asyncio.run(_template(served.target, assignments_each))
        if made:  # whose policy is past its term: a server tells so when it starts, once, and not of each copy
            with serving(folder=Path(folder), database_url=f"sqlite:///{file}") as served:
                asyncio.run(_told_of_expiry(served.target, contractor))
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        for pragma in ("synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        template = Template(connection, contractor, made)
        copier = Copier(connection)
        with_assignments = copier.copies(template, covered, assignments_each)
        without = copier.copies(template, opted_in, 0)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return World(job=job, covered=with_assignments, opted_in=without)


async def _template(target: str, assignments: int) -> tuple[str, str, list[str]]:
    """A job, a contractor and its assignments, the first of which binds a policy."""
    async with grpc.aio.insecure_channel(target) as channel:
        client = Client(channel)
        job = (await client.job()).id
        contractor = (await client.opted_in()).id
        made = [await client.assign(contractor, job, request_id=uuid4().hex) for _ in range(assignments)]
        return job, contractor, [answer.assignment.id for answer in made]


async def _told_of_expiry(target: str, contractor: str) -> None:
    async with grpc.aio.insecure_channel(target) as channel:
        client = Client(channel)
        for policy in await client.policies_of(contractor):
            await client.told(policy.id, "policy.expired")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--contractors", type=int, default=100_000)
    parser.add_argument("--assignments", type=int, default=1_000_000)
    wanted = parser.parse_args()
    each = max(wanted.assignments // wanted.contractors, 1)
    world = seed(wanted.file.resolve(), covered=wanted.contractors, assignments_each=each, opted_in=0)
    print(f"{wanted.file}: {len(world.covered)} contractors with {each} assignments each, all of job {world.job}")


if __name__ == "__main__":
    main()
