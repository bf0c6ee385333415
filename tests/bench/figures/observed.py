"""What those who operate the server pay for seeing what it does."""

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
