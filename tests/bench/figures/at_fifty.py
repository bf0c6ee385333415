"""At 50 callers, h2load: the empty call, and create-assignment with and without group commit."""

from tests.bench.bench import HEALTH, Bench, Figure, in_turns, middle, rates, ratio, reuse, sending
from tests.bench.clients import Measured, h2load

CALLERS = 50


def share(bench: Bench) -> Figure:
    runs = _runs(bench)
    return Figure(
        name="share",
        title="create-assignment (reuse), 50 callers, as a share of health-check throughput",
        value=ratio(rates(runs["group"]), rates(runs["health"])),
        at_least=0.40,
        aim=0.60,
        note=f"{_rate(runs['group'])} of {_rate(runs['health'])} calls/s",
        numbers=_numbers(runs),
    )


def grouping(bench: Bench) -> Figure:
    runs = _runs(bench)
    return Figure(
        name="grouping",
        title="the same against --group-commit-max 1",
        value=ratio(rates(runs["group"]), rates(runs["one"])),
        at_least=3.5,
        aim=5.0,
        unit="times",
        note=f"{_rate(runs['group'])} against {_rate(runs['one'])} calls/s",
        numbers=_numbers(runs),
    )


def tail(bench: Bench) -> Figure:
    runs = _runs(bench)
    group, one = middle(runs["group"]), middle(runs["one"])
    return Figure(
        name="tail",
        title="p99 at 50 callers, against --group-commit-max 1",
        value=ratio([run.p99_ms for run in runs["group"]], [run.p99_ms for run in runs["one"]]),
        at_least=0.6,
        aim=0.3,
        lower_is_better=True,
        note=f"{group.p99_ms:.0f} against {one.p99_ms:.0f} ms",
        numbers=_numbers(runs),
    )


def _runs(bench: Bench) -> dict[str, list[Measured]]:
    def make() -> dict[str, list[Measured]]:
        _, world = bench.world()
        request = reuse(world, request_ids=False)
        with bench.server() as group, bench.server("--group-commit-max", "1") as one:
            targets = {
                "health": sending(h2load, group, HEALTH),
                "group": sending(h2load, group, request),
                "one": sending(h2load, one, request),
            }
            return in_turns(targets, bench, CALLERS)

    return bench.once("at fifty", make)


def _rate(runs: list[Measured]) -> str:
    return f"{middle(runs).rate:,.0f}"


def _numbers(runs: dict[str, list[Measured]]) -> dict[str, object]:
    return {
        f"{name}, calls/s and p99 ms": [(run.rate, run.p99_ms) for run in measured] for name, measured in runs.items()
    }
