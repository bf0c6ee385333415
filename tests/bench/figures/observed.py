"""What calls pay for what runs beside them: metrics and the access log, and an HTTP port that nobody uses."""

from tests.bench.bench import Bench, Figure, compared, in_turns, reuse, sending
from tests.bench.clients import h2load

CALLERS = 50
SEEN = ("--log-level", "info", "--metrics-port", "0")
UNSEEN = ("--log-level", "error")


def observed(bench: Bench) -> Figure:
    """A line for each call, which goes nowhere, and metrics; against neither."""
    _, world = bench.world()
    request = reuse(world, request_ids=False)
    with bench.server(*UNSEEN) as unseen, bench.server(*SEEN) as seen:
        runs = {"unseen": sending(h2load, unseen, request), "seen": sending(h2load, seen, request)}
        measured = in_turns(runs, bench, CALLERS)
    return compared(
        measured,
        "seen",
        "unseen",
        name="observed",
        title="create-assignment (reuse) with metrics and access log, against neither",
        at_least=0.92,
        aim=0.95,
    )


def beside_http(bench: Bench) -> Figure:
    """With the HTTP port open and idle; against none."""
    _, world = bench.world()
    request = reuse(world, request_ids=False)
    with bench.server() as alone, bench.server("--http-port", "0") as beside:
        runs = {"alone": sending(h2load, alone, request), "beside": sending(h2load, beside, request)}
        measured = in_turns(runs, bench, CALLERS)
    return compared(
        measured,
        "beside",
        "alone",
        name="beside_http",
        title="create-assignment (reuse) with the HTTP port open and idle, against without it",
        at_least=0.97,
        aim=1.0,
    )
