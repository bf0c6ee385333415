"""Resident memory while a million calls go by."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from optin.v1 import assignment_service_pb2 as assignments_pb

from tests.bench.bench import Bench, Figure, reuse, sending
from tests.bench.clients import Request, h2load
from tests.load.serving import Served

CALLERS = 50
BLOCKS = 20  # of calls, each about another contractor
READS = 10  # one call in so many lists assignments
FLAT = 1.05
SAMPLE_SECONDS = 0.2
MEGABYTE = 1_000_000


@contextmanager
def sampled(served: Served) -> Iterator[list[tuple[float, float]]]:
    """Time and resident megabytes, from now on."""
    samples: list[tuple[float, float]] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            samples.append((time.monotonic(), served.resident_bytes / MEGABYTE))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def memory(bench: Bench) -> Figure:
    calls = 20_000 if bench.quick else 1_000_000
    _, world = bench.world()
    created = reuse(world, request_ids=False)
    with bench.server() as served, sampled(served) as samples:
        at_start = served.resident_bytes / MEGABYTE
        after = []
        for number in range(BLOCKS):
            block = calls // BLOCKS
            mine = replace(created, bodies=[created.bodies[number]])
            sending(h2load, served, mine)(CALLERS, block - block // READS)
            sending(h2load, served, _list(world.covered[number]))(CALLERS, block // READS)
            after.append((time.monotonic(), served.resident_bytes / MEGABYTE))
    half, at_half = after[BLOCKS // 2 - 1]
    most, later = max(mb for _, mb in samples), max(mb for at, mb in samples if at > half)
    figure = Figure(
        name="memory",
        title=f"resident memory after {calls:,} calls",
        value=after[-1][1],
        at_least=250,
        aim=180,
        lower_is_better=True,
        unit="MB",
        note=f"{at_start:.0f} at the start, {at_half:.0f} at half, then at most {later:.0f}; at most {most:.0f}",
        numbers={"at the start": at_start, "after each block": [mb for _, mb in after], "most": most},
    )
    if later > at_half * FLAT:
        figure.broken.append(f"not flat: {at_half:.0f} MB at half, {later:.0f} MB later")
    return figure


def _list(contractor: str) -> Request:
    request = assignments_pb.ListAssignmentsRequest(contractor=contractor, page_size=5)
    return Request(method="optin.v1.AssignmentService/ListAssignments", bodies=[request.SerializeToString()])
