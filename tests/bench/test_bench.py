"""What benchmarks stand on: the seeded database, our own client, and that no generator is believed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.bench import HEALTH, Figure, creation, ratio, reuse, rows, sending
from tests.bench.clients import Request, RunFailed, wire, wire_calls
from tests.bench.seed import World, seed
from tests.bench.wire import Phase
from tests.load.serving import Served, serving
from tests.server.process import optin

pytestmark = pytest.mark.xdist_group("bench")  # one server for all

NOT_FOUND, OK = "5", "0"
LIST_JOBS = Request(method="optin.v1.JobService/ListJobs", bodies=[b""])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    folder = tmp_path_factory.mktemp("bench")
    return folder, seed(folder / "optin.db", covered=20, assignments_each=3, opted_in=5)


@pytest.fixture(scope="module")
def served(world: tuple[Path, World]) -> Iterator[Served]:
    with serving(folder=world[0]) as served:
        yield served


def test_what_is_seeded_is_as_what_the_server_writes(world: tuple[Path, World]) -> None:
    folder, seeded = world
    counts = rows(folder / "optin.db", ["contractors", "policies", "assignments", "decisions", "requests"])
    assert counts == {"contractors": 26, "policies": 21, "assignments": 63, "decisions": 63, "requests": 63}
    assert len(set(seeded.covered) | set(seeded.opted_in)) == 25
    audit = optin("audit", "--database-url", f"sqlite:///{folder}/optin.db")
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_our_client_makes_the_calls_it_says(served: Served, world: tuple[Path, World]) -> None:
    before = rows(served.database, ["assignments", "policies", "requests"])
    measured = wire_calls(served.target, reuse(world[1], request_ids=True), callers=10, calls=200)
    after = rows(served.database, ["assignments", "policies", "requests"])
    assert {table: after[table] - before[table] for table in after} == {
        "assignments": 200,
        "policies": 0,
        "requests": 200,
    }
    assert measured.calls == 200
    assert 0 < measured.p50_ms <= measured.p99_ms


def test_our_client_sees_which_calls_failed(served: Served, world: tuple[Path, World]) -> None:
    job = world[1].job
    bodies = [creation(world[1].covered[0], job), creation("cn_00000000000000000000000000", job)]
    request = Request(method=reuse(world[1], request_ids=False).method, bodies=bodies)
    [outcome] = wire(served.target, request, [Phase(connections=1, callers=1, calls=10)])
    assert outcome.codes == {OK: 5, NOT_FOUND: 5}
    with pytest.raises(RunFailed, match="not all of 10 calls"):
        wire_calls(served.target, request, callers=1, calls=10)


def test_our_client_holds_a_rate_and_then_has_callers(served: Served) -> None:
    phases = [Phase(connections=3, rate=100, seconds=0.5), Phase(connections=2, callers=4, seconds=0.2)]
    at_a_rate, by_callers = wire(served.target, HEALTH, phases, timeout=5)
    assert 40 <= at_a_rate.due <= 50
    assert at_a_rate.codes == {OK: at_a_rate.due}
    assert by_callers.codes == {OK: by_callers.due}
    assert at_a_rate.end <= by_callers.start


def test_a_generator_that_did_less_than_it_says_is_found(served: Served) -> None:
    run = sending(wire_calls, served, replace(LIST_JOBS, tables=("assignments",)))
    with pytest.raises(RunFailed, match="10 calls ended well, but 0 assignments are there"):
        run(1, 10)
    assert sending(wire_calls, served, LIST_JOBS)(1, 10).calls == 10


def test_a_server_that_is_gone_is_found() -> None:
    with pytest.raises(RunFailed, match="wire"):
        wire_calls("127.0.0.1:1", HEALTH, callers=1, calls=1)


@pytest.mark.parametrize(
    ("value", "lower", "broken", "verdict"),
    [
        (0.39, False, [], "MISSED"),
        (0.40, False, [], "reached"),
        (0.60, False, [], "aim"),
        (0.60, False, ["health took 2 s"], "MISSED"),
        (0.61, True, [], "MISSED"),
        (0.60, True, [], "reached"),
        (0.40, True, [], "aim"),
    ],
)
def test_a_figure_is_judged(value: float, lower: bool, broken: list[str], verdict: str) -> None:
    least, aim = (0.6, 0.4) if lower else (0.4, 0.6)
    figure = Figure(name="x", title="x", value=value, at_least=least, aim=aim, lower_is_better=lower, broken=broken)
    assert figure.verdict == verdict


def test_rounds_are_compared_side_by_side() -> None:
    assert ratio([10, 1, 9], [20, 2, 9]) == 0.5
