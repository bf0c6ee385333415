"""What a platform that does not heed its limit costs another."""

import asyncio
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import job_service_pb2_grpc

from tests.bench.bench import Bench, Figure, Run, compared, in_turns, reuse, sending
from tests.bench.clients import H2LOAD, Measured, RunFailed, h2load
from tests.load.serving import Served
from tests.support.keys import made_key, made_platform

CALLERS = 50
LIMIT = 20
OFFERED = 400
METHOD = "optin.v1.JobService/ListJobs"
LONGEST_SECONDS = 120
PATIENCE_SECONDS = 10.0


def neighbour(bench: Bench) -> Figure:
    """The other platform is the default one, which creates assignments as fast as it can."""
    _, world = bench.world()
    request = reuse(world, request_ids=False)
    with bench.server() as alone, bench.server() as shared:
        key = asyncio.run(_limited_key(shared))
        runs = {
            "alone": sending(h2load, alone, request),
            "beside": _beside(shared, key, sending(h2load, shared, request)),
        }
        measured = in_turns(runs, bench, CALLERS)
    return compared(
        measured,
        "beside",
        "alone",
        name="neighbour",
        title=f"create-assignment (reuse) beside a platform that offers {OFFERED} calls/s against a limit of {LIMIT}",
        at_least=0.90,
        aim=0.95,
    )


async def _limited_key(served: Served) -> str:
    url = f"sqlite+aiosqlite:///{served.database}"
    return await made_key(url, await made_platform(url, calls_per_second=LIMIT))


def _beside(served: Served, key: str, run: Run) -> Run:
    def beside(callers: int, calls: int) -> Measured:
        with _offering(served, key):
            return run(callers, calls)

    return beside


@contextmanager
def _offering(served: Served, key: str) -> Iterator[None]:
    """Calls in an open loop, over a connection of their own, whatever becomes of them."""
    body = served.folder / "nothing"
    body.write_bytes(struct.pack(">BI", 0, 0))
    command = (
        *(H2LOAD, "-c", "1", "-m", "100", "--rps", str(OFFERED), "-D", str(LONGEST_SECONDS), "-d", str(body)),
        *("-H", "content-type: application/grpc", "-H", "te: trailers", "-H", f"authorization: Bearer {key}"),
        f"http://{served.target}/{METHOD}",
    )
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as offering:
        try:
            _require_refusals(served, key)
            yield
            if offering.poll() is not None:
                raise RunFailed("the neighbour's calls ended before the run did")
        finally:
            offering.kill()


def _require_refusals(served: Served, key: str) -> None:
    """Once its new key counts, and the neighbour is over its limit."""
    most = time.monotonic() + PATIENCE_SECONDS
    with grpc.insecure_channel(served.target) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        while time.monotonic() < most:
            try:
                jobs.ListJobs(jobs_pb.ListJobsRequest(), metadata=[("authorization", f"Bearer {key}")])
            except grpc.RpcError as error:
                if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                    return
    raise RunFailed("the neighbour does not reach its limit")
