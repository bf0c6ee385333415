"""What those who watch events cost those who create assignments."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.bench.bench import Bench, Figure, in_turns, middle, rates, ratio, reuse, sending
from tests.bench.clients import RunFailed, h2load
from tests.load.prepare import ROOT
from tests.load.serving import Served

CALLERS = 50
WATCHERS = 20
ENDED_SECONDS = 120.0


def watchers(bench: Bench) -> Figure:
    """Each of them has to have had every event exactly once when the runs are over."""
    _, world = bench.world()
    request = reuse(world, request_ids=False)
    with bench.server() as alone, bench.server() as watched, watching(watched) as had:
        runs = {"alone": sending(h2load, alone, request), "watched": sending(h2load, watched, request)}
        measured = in_turns(runs, bench, CALLERS)
        counts, told = had(), _told(watched.database)
    figure = Figure(
        name="watchers",
        title=f"create-assignment (reuse) with {WATCHERS} watchers of its events, against none",
        value=ratio(rates(measured["watched"]), rates(measured["alone"])),
        at_least=0.85,
        aim=0.95,
        note=f"{middle(measured['watched']).rate:,.0f} against {middle(measured['alone']).rate:,.0f} calls/s; "
        f"streams begun again: {sum(resumed for _, resumed in counts)}",
        numbers={name: rates(runs) for name, runs in measured.items()} | {"events, resumed": counts},
    )
    if {events for events, _ in counts} != {told}:
        figure.broken.append(f"there are {told} events, and the watchers had {counts}")
    return figure


def _told(database: Path) -> int:
    """Events of assignments' creation."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        count: int
        (count,) = connection.execute("SELECT count(*) FROM events WHERE type = 'assignment.created'").fetchone()
        return count


@contextmanager
def watching(served: Served) -> Iterator["Counts"]:
    """Batched watchers, from the first event on; what is given tells, once, what each has had."""
    command = [sys.executable, "-m", "tests.bench.watch", served.target, str(WATCHERS), "batched"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RunFailed("the watchers did not come")
            yield Counts(process)
        finally:
            process.kill()


class Counts:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self) -> list[tuple[int, int]]:
        """Events and streams begun again, by watcher, once all events have come."""
        said, _ = self._process.communicate(timeout=ENDED_SECONDS)
        if self._process.returncode != 0:
            raise RunFailed("the watchers ended with an error")
        return [(events, resumed) for events, resumed in json.loads(said)]
