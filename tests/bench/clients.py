"""The load generators: ghz, h2load, and our own (wire.py). Each run says how many calls ended, and how long they took.

No generator is believed about success: h2load does not look at `grpc-status`, and ghz ends with 0 whatever happens. So
every run is of a fixed number of calls, and whoever runs it counts afterwards what the server has stored.
"""

import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.wire import CONNECTION_LOST, Outcome, Phase, Plan, request_id_field, write_bodies
from tests.load.bounds import BadReport, Report
from tests.load.prepare import ROOT
from tests.load.run import GHZ

H2LOAD = "h2load"
PROTOSET = ROOT / "generated" / "optin" / "v1" / "optin.binpb"
RUN_SECONDS = 900.0
# Callers as connections and calls at a time on each; the same for every generator.
CONNECTIONS = {1: (1, 1), 10: (2, 5), 50: (5, 10), 200: (10, 20)}
CALL_SECONDS = 60.0
OK = "0"  # as wire.py has it


class RunFailed(Exception):
    """A generator did not make the calls that it was asked for; the text says what it did."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is sent: the bodies by turns, each with a request id of its own if that is wanted."""

    method: str  # optin.v1.JobService/CreateJob
    bodies: Sequence[bytes]
    request_ids: bool = False
    tables: tuple[str, ...] = ()  # that grow by a row in each call


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    calls: int
    rate: float  # calls a second
    p50_ms: float
    p99_ms: float


def missing() -> str:
    """What is not installed, and how to get it; empty when all is there."""
    sentences = []
    if not GHZ.exists():
        sentences.append("ghz is missing: `make tools` builds it (it needs Go).")
    if shutil.which(H2LOAD) is None:
        sentences.append("h2load is missing: apt-get install nghttp2-client.")
    return "\n".join(sentences)


def h2load(target: str, request: Request, callers: int, calls: int) -> Measured:
    """Sends the first body alone: it knows no other."""
    connections, streams = CONNECTIONS[callers]
    with tempfile.TemporaryDirectory(prefix="optin-h2load-") as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        body.write_bytes(struct.pack(">BI", 0, len(request.bodies[0])) + request.bodies[0])
        command = (
            *(H2LOAD, "-n", str(calls), "-c", str(connections), "-m", str(streams), "-d", str(body)),
            *("--log-file", str(log), "-H", "content-type: application/grpc", "-H", "te: trailers"),
            f"http://{target}/{request.method}",
        )
        said = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
        finished = re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", said.stdout)
        succeeded = re.search(r"(\d+) succeeded", said.stdout)
        if not finished or not succeeded or int(succeeded[1]) != calls:
            raise RunFailed(f"h2load: {said.stdout[-1000:]}{said.stderr[-1000:]}")
        taken = [int(line.split("\t")[2]) / 1e6 for line in log.read_text().splitlines()]
    return Measured(
        calls=calls, rate=float(finished[1]), p50_ms=_percentile_ms(taken, 50), p99_ms=_percentile_ms(taken, 99)
    )


def ghz(target: str, request: Request, callers: int, calls: int) -> Measured:
    connections, _ = CONNECTIONS[callers]
    with tempfile.TemporaryDirectory(prefix="optin-ghz-") as folder:
        report = Path(folder, "report.json")
        flags: list[str | Path] = ["--insecure", "--call", request.method, "--connections", str(connections)]
        flags += ["--concurrency", str(callers), "--total", str(calls), "--timeout", f"{CALL_SECONDS:.0f}s"]
        flags += ["--disable-template-data", "--format", "json", "--output", report]
        if any(request.bodies):
            bodies = Path(folder, "bodies")
            bodies.write_bytes(b"".join(_delimited(body) for body in with_request_ids(request, calls)))
            flags += ["--protoset", PROTOSET, "--binary-file", bodies]
        else:
            flags += ["--data", "{}"]  # and the method is found by reflection
        said = subprocess.run([GHZ, *flags, target], capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
        try:
            result = Report.read(report)
        except BadReport as error:
            raise RunFailed(f"ghz: {error}: {said.stderr[-1000:]}") from error
    if result.ok != calls:
        raise RunFailed(f"ghz: {result.ok} of {calls} calls ended OK: {dict(result.codes)} {result.errors[:1]}")
    percentiles = result.percentiles_ms
    return Measured(calls=calls, rate=result.rate, p50_ms=percentiles[50], p99_ms=percentiles[99])


def wire(target: str, request: Request, phases: Sequence[Phase], *, timeout: float = 0.0) -> list[Outcome]:
    """Our own client, through its phases."""
    with tempfile.TemporaryDirectory(prefix="optin-wire-") as folder:
        bodies = Path(folder, "bodies")
        write_bodies(bodies, request.bodies)
        plan = Plan(
            target=target,
            method=request.method,
            bodies=str(bodies),
            phases=list(phases),
            timeout=timeout,
            request_ids=request.request_ids,
        )
        said = subprocess.run(
            [sys.executable, "-m", "tests.bench.wire"],
            cwd=ROOT,
            input=json.dumps(asdict(plan)),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    if said.returncode != 0:
        raise RunFailed(f"wire: {said.stderr[-1000:]}")
    outcomes = [Outcome(**outcome) for outcome in json.loads(said.stdout)]
    if lost := sum(outcome.codes.get(str(CONNECTION_LOST), 0) for outcome in outcomes):
        raise RunFailed(f"wire: {lost} calls lost their connection")
    return outcomes


def wire_calls(target: str, request: Request, callers: int, calls: int) -> Measured:
    [outcome] = wire(target, request, [Phase(callers=callers, calls=calls, connections=CONNECTIONS[callers][0])])
    if outcome.codes != {OK: calls}:
        raise RunFailed(f"wire: not all of {calls} calls ended OK: {outcome.codes}")
    taken = [seconds for _, seconds in outcome.ok_times]
    rate = calls / (outcome.ok_times[-1][0] - outcome.start)
    return Measured(calls=calls, rate=rate, p50_ms=_percentile_ms(taken, 50), p99_ms=_percentile_ms(taken, 99))


def with_request_ids(request: Request, calls: int) -> list[bytes]:
    """A body for each call."""
    bodies = [request.bodies[number % len(request.bodies)] for number in range(calls)]
    return [body + request_id_field() for body in bodies] if request.request_ids else bodies


def _delimited(body: bytes) -> bytes:
    """Behind its length as a varint, as ghz takes messages one after the other."""
    length, prefix = len(body), b""
    while length > 0x7F:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + body


def _percentile_ms(seconds: list[float], percent: int) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1000 if ordered else 0.0
