"""Does what is stored slow down what comes?"""

import random
from dataclasses import replace

from tests.bench.bench import Bench, Figure, compared, in_turns, reuse, sending
from tests.bench.clients import wire_calls
from tests.bench.seed import seed

CALLERS = 50
SENT = 20_000  # of the contractors


def stored(bench: Bench) -> Figure:
    """Another contractor and another request id in each call, so that no page is always at hand."""
    contractors, each = (5_000, 10) if bench.quick else (100_000, 10)
    _, few = bench.world()
    full = bench.folder / "full.db"
    many = seed(full, covered=contractors, assignments_each=each, opted_in=0)
    many = replace(many, covered=random.Random(1).sample(many.covered, min(SENT, len(many.covered))))
    with bench.server() as light, bench.server(database=full) as heavy:
        runs = {
            "empty": sending(wire_calls, light, reuse(few, request_ids=True)),
            "full": sending(wire_calls, heavy, reuse(many, request_ids=True)),
        }
        measured = in_turns(runs, bench, CALLERS)
    full.unlink()
    return compared(
        measured,
        "full",
        "empty",
        name="stored",
        title=f"throughput with {contractors * each:,} assignments and {contractors:,} contractors, against none",
        at_least=0.85,
        aim=0.95,
    )
