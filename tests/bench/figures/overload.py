"""More calls than the server can take, in an open loop: each is due at its time, whatever became of those before."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.bench.bench import Bench, Figure, ratio, reuse, rows
from tests.bench.clients import Request, RunFailed, wire, wire_calls
from tests.bench.figures.memory import sampled
from tests.bench.wire import Outcome, Phase
from tests.load.serving import Served
from tests.support.ports import free_port

PEAK_CALLERS = (50, 200)
CALLERS = 50
WITHIN_SECONDS = 1.0  # for a caller, and so the deadline of each call
CONNECTIONS = 50  # a hundred calls each: what is too much reaches the server, and does not wait at the client
WINDOW_SECONDS = 0.5
BACK = 0.9  # of the peak
BOUNDED = 1.1  # times what it was in the first half of the flood
PROBE_SECONDS = 0.1


def peak(bench: Bench) -> Figure:
    """The peak is the better of 50 and 200 callers, measured right before each flood by the same client."""
    seconds = 4.0 if bench.quick else 10.0
    _, world = bench.world()
    request = reuse(world, request_ids=True)
    peaks, goodputs, codes = [], [], []
    with bench.server() as served:
        for _ in range(bench.rounds):
            peaks.append(_peak(bench, served, request))
            phase = Phase(rate=2 * peaks[-1], seconds=seconds, connections=CONNECTIONS)
            before = rows(served.database, ["assignments"])["assignments"]
            [outcome] = wire(served.target, request, [phase], timeout=WITHIN_SECONDS)
            added = rows(served.database, ["assignments"])["assignments"] - before
            if added < len(outcome.ok_times):
                raise RunFailed(f"{len(outcome.ok_times)} calls ended well, but {added} assignments are there")
            goodputs.append(_in_time(outcome) / (outcome.end - outcome.start))
            codes.append({"due": outcome.due} | outcome.codes)
    return Figure(
        name="peak",
        title="goodput (OK within 1 s) at twice the peak's offered load, open loop, as a share of the peak",
        value=ratio(goodputs, peaks),
        at_least=0.55,
        aim=0.80,
        note=f"{median(goodputs):,.0f} of {median(peaks):,.0f} calls/s",
        numbers={"peaks": peaks, "goodputs": goodputs, "codes": codes},
    )


def flood(bench: Bench) -> Figure:
    """Ten times the peak, and how long it takes afterwards until half a second brings nine tenths of the peak again."""
    calm, wild = (3.0, 4.0) if bench.quick else (5.0, 10.0)
    _, world = bench.world()
    request = reuse(world, request_ids=True)
    recoveries, probes, memories, offered, figures = [], [], [], [], []
    health_port = free_port()
    with bench.server("--health-port", str(health_port)) as served:
        for _ in range(bench.rounds):
            offer = 10 * _peak(bench, served, request)
            phases = [
                Phase(callers=CALLERS, seconds=calm, connections=5),
                Phase(rate=offer, seconds=wild, connections=CONNECTIONS),
                Phase(callers=CALLERS, seconds=2 * calm, connections=5),
            ]
            with sampled(served) as samples, probed(f"127.0.0.1:{health_port}") as answers:
                before, during, after = wire(served.target, request, phases, timeout=WITHIN_SECONDS)
            top = _in_time(before) / (before.end - before.start)
            recoveries.append(_recovery(after, top))
            probes.append(max(took for at, took in answers if during.start <= at <= during.end))
            memories.append(_halves(samples, during))
            offered.append(during.due / (during.end - during.start) / top)
            figures.append({"peak": top, "due": during.due} | during.codes)
    slowest, (first, second) = max(probes), max(memories, key=lambda halves: halves[1])
    figure = Figure(
        name="flood",
        title="after ten times the peak, back at the peak within",
        value=median(recoveries),
        at_least=5.0,
        aim=2.0,
        lower_is_better=True,
        unit="s",
        note=f"{median(offered):.1f} times the peak was offered; health, on its own port, within {slowest:.2f} s; "
        f"memory at most {max(first, second):.0f} MB",
        numbers={"recoveries": recoveries, "slowest health": probes, "memory by halves": memories, "floods": figures},
    )
    if slowest > WITHIN_SECONDS:
        figure.broken.append(f"health took {slowest:.2f} s")
    if any(late > early * BOUNDED for early, late in memories):
        figure.broken.append(f"memory is not bounded: {memories} MB in the halves of the floods")
    return figure


def _peak(bench: Bench, served: Served, request: Request) -> float:
    rates = []
    for callers in PEAK_CALLERS:
        first = wire_calls(served.target, request, callers, callers * 10)
        rates.append(wire_calls(served.target, request, callers, int(first.rate * bench.seconds) + callers).rate)
    return max(rates)


def _in_time(outcome: Outcome) -> int:
    return sum(took <= WITHIN_SECONDS for _, took in outcome.ok_times)


def _recovery(after: Outcome, top: float) -> float:
    """Seconds until a window begins that has nine tenths of the peak; infinite if there is none."""
    times = sorted(at - after.start for at, _ in after.ok_times)
    step = WINDOW_SECONDS / 5
    for number in range(int((after.end - after.start - WINDOW_SECONDS) / step)):
        begin = number * step
        if sum(begin <= at < begin + WINDOW_SECONDS for at in times) >= BACK * top * WINDOW_SECONDS:
            return begin
    return float("inf")


def _halves(samples: list[tuple[float, float]], during: Outcome) -> tuple[float, float]:
    """The most megabytes in each half of the flood."""
    middle = (during.start + during.end) / 2
    first = max(mb for at, mb in samples if during.start <= at < middle)
    return first, max(mb for at, mb in samples if middle <= at <= during.end)


@contextmanager
def probed(target: str) -> Iterator[list[tuple[float, float]]]:
    """When health was asked, and how many seconds it took to answer; an error takes for ever."""
    answers: list[tuple[float, float]] = []
    over = threading.Event()

    def probe() -> None:
        with grpc.insecure_channel(target) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            while not over.wait(PROBE_SECONDS):
                asked = time.monotonic()
                try:
                    health.Check(health_pb2.HealthCheckRequest(), timeout=10)
                    answers.append((asked, time.monotonic() - asked))
                except grpc.RpcError:
                    answers.append((asked, float("inf")))

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()
