"""What calls pay for what runs beside them: metrics and the access log, and an HTTP port that nobody uses."""

from contextlib import ExitStack

from tests.bench.bench import Bench, Figure, Measured, compared, in_turns, reuse, sending
from tests.bench.clients import h2load

CALLERS = 50
SEEN = ("--log-level", "info", "--metrics-port", "0")
UNSEEN = ("--log-level", "error")


def observed(bench: Bench) -> Figure:
    """A line for each call, which goes nowhere, and metrics; against neither."""
    return compared(
        _reused(bench, unseen=UNSEEN, seen=SEEN),
        "seen",
        "unseen",
        name="observed",
        title="create-assignment (reuse) with metrics and access log, against neither",
        at_least=0.92,
        aim=0.95,
    )


def beside_http(bench: Bench) -> Figure:
    """With the HTTP port open and idle; against none."""
    return compared(
        _reused(bench, alone=(), beside=("--http-port", "0")),
        "beside",
        "alone",
        name="beside_http",
        title="create-assignment (reuse) with the HTTP port open and idle, against without it",
        at_least=0.97,
        aim=1.0,
    )


def _reused(bench: Bench, **flags: tuple[str, ...]) -> dict[str, list[Measured]]:
    """Of servers with these flags, by their names."""
    _, world = bench.world()
    request = reuse(world, request_ids=False)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(bench.server(*own)) for name, own in flags.items()}
        runs = {name: sending(h2load, server, request) for name, server in servers.items()}
        return in_turns(runs, bench, CALLERS)
