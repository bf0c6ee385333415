"""What every figure stands on: a prepared database, servers over copies of it, and runs that take turns."""

import os
import shutil
import sqlite3
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, cast

from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import resources_pb2 as pb

from tests.bench.clients import Measured, Request, RunFailed
from tests.bench.seed import World, seed
from tests.load.serving import Served, serving
from tests.support.client import GUIDE_END, GUIDE_START, WORKERS_COMP, at

T = TypeVar("T")

CREATE = "optin.v1.AssignmentService/CreateAssignment"
HEALTH = Request(method="grpc.health.v1.Health/Check", bodies=[b""])
COVERED = 1_000
LONGEST_BIND_RUN = 5_000  # contractors
WARM_UP_CALLS = 200

Run = Callable[[int, int], Measured]
"""Takes callers and calls."""


@dataclass(kw_only=True)
class Figure:
    """A measured number, beside the least that it should be and what it is hoped to be."""

    name: str
    title: str
    value: float
    at_least: float  # at most, where lower is better
    aim: float
    lower_is_better: bool = False
    unit: str = ""
    note: str = ""
    broken: list[str] = field(default_factory=list)  # what else had to hold and did not
    numbers: dict[str, object] = field(default_factory=dict)

    def reaches(self, bound: float) -> bool:
        return self.value <= bound if self.lower_is_better else self.value >= bound

    @property
    def verdict(self) -> str:
        if self.broken or not self.reaches(self.at_least):
            return "MISSED"
        return "aim" if self.reaches(self.aim) else "reached"


class Bench:
    """One run of the benchmarks. `quick` is for a look: everything is smaller and shorter, and no figure counts."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.rounds = 1 if quick else 3
        self.seconds = 1.0 if quick else 4.0  # of a run
        self._kept: dict[str, object] = {}
        self._servers = 0

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What several figures share is made for the first of them."""
        if name not in self._kept:
            self._kept[name] = make()
        return cast("T", self._kept[name])

    def world(self, name: str = "world", opted_in: int = 0) -> tuple[Path, World]:
        """A database with covered contractors for reuse, and so many opted-in ones for one binding each."""

        def make() -> tuple[Path, World]:
            file = self.folder / f"{name}.db"
            return file, seed(file, covered=COVERED, assignments_each=1, opted_in=opted_in)

        return self.once(name, make)

    @contextmanager
    def server(self, *flags: str, database: Path | None = None) -> Iterator[Served]:
        """Over a copy of a database, of the world's unless it is given another."""
        self._servers += 1
        folder = self.folder / f"server-{self._servers}"
        folder.mkdir()
        shutil.copy(database or self.world()[0], folder / "optin.db")
        os.sync()  # or the disk would still be busy with the copy while the server asks it to sync
        try:
            with serving(*flags, folder=folder) as served:
                yield served
        finally:
            shutil.rmtree(folder)


def creation(contractor: str, job: str) -> bytes:
    """The guide's assignment, without a request id."""
    assignment = pb.Assignment(
        contractor=contractor,
        job=job,
        coverage_types=[WORKERS_COMP],
        effective_time=at(GUIDE_START),
        end_time=at(GUIDE_END),
    )
    return assignments_pb.CreateAssignmentRequest(assignment=assignment).SerializeToString()


def reuse(world: World, *, request_ids: bool) -> Request:
    """The covered contractors by turns."""
    return Request(
        method=CREATE,
        bodies=[creation(contractor, world.job) for contractor in world.covered],
        request_ids=request_ids,
        tables=("assignments", "decisions", *(("requests",) if request_ids else ())),
    )


class Binds:
    """Another contractor in each call, over all runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken = 0

    def take(self, calls: int) -> Request:
        contractors = self._world.opted_in[self._taken : self._taken + calls]
        if len(contractors) < calls:
            raise RunFailed("there are no contractors left to bind")
        self._taken += calls
        bodies = [creation(contractor, self._world.job) for contractor in contractors]
        return Request(method=CREATE, bodies=bodies, request_ids=True, tables=("assignments", "policies", "requests"))


Generator = Callable[[str, Request, int, int], Measured]


def sending(generator: Generator, served: Served, request: Request) -> Run:
    return lambda callers, calls: _counted(generator, served, request, callers, calls)


def binding(generator: Generator, served: Served, world: World) -> Run:
    binds = Binds(world)

    def run(callers: int, calls: int) -> Measured:
        calls = min(calls, LONGEST_BIND_RUN)
        return _counted(generator, served, binds.take(calls), callers, calls)

    return run


def _counted(generator: Generator, served: Served, request: Request, callers: int, calls: int) -> Measured:
    """The run, if what it created is there: in the database itself."""
    before = rows(served.database, request.tables)
    measured = generator(served.target, request, callers, calls)
    for table, count in rows(served.database, request.tables).items():
        if count - before[table] != measured.calls:
            raise RunFailed(f"{measured.calls} calls ended well, but {count - before[table]} {table} are there")
    return measured


def rows(database: Path, tables: Sequence[str]) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def in_turns(runs: Mapping[str, Run], bench: Bench, callers: int) -> dict[str, list[Measured]]:
    """A B C, A B C, A B C: whatever else the machine does hits all of them. Each run is warmed up, and then so long."""
    calls: dict[str, int] = {}
    for name, run in runs.items():
        first = run(callers, max(WARM_UP_CALLS, callers * 5))
        calls[name] = max(int(first.rate * bench.seconds), callers * 5)
    measured: dict[str, list[Measured]] = {name: [] for name in runs}
    for _ in range(bench.rounds):
        for name, run in runs.items():
            measured[name].append(run(callers, calls[name]))
    return measured


def compared(
    measured: Mapping[str, Sequence[Measured]],
    one: str,
    other: str,
    *,
    name: str,
    title: str,
    at_least: float,
    aim: float,
) -> Figure:
    """The rate of one of two that took turns, as a share of the other's."""
    return Figure(
        name=name,
        title=title,
        value=ratio(rates(measured[one]), rates(measured[other])),
        at_least=at_least,
        aim=aim,
        note=f"{middle(measured[one]).rate:,.0f} against {middle(measured[other]).rate:,.0f} calls/s",
        numbers={name: rates(runs) for name, runs in measured.items()},
    )


def middle(runs: Sequence[Measured]) -> Measured:
    """Medians, each by itself."""
    return replace(
        runs[0],
        rate=statistics.median(run.rate for run in runs),
        p50_ms=statistics.median(run.p50_ms for run in runs),
        p99_ms=statistics.median(run.p99_ms for run in runs),
    )


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the rounds' ratios: those of one round were measured side by side."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def rates(runs: Sequence[Measured]) -> list[float]:
    return [run.rate for run in runs]
