"""Policies to bind, requests to send, and waiting for what another task does."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import grpc
from optin.carrier.v1 import carrier_service_pb2 as pb
from optin.carrier.v1 import carrier_service_pb2_grpc as pb_grpc

from server.carrier.remote import Limits
from server.domain.enums import CoverageType, PolicyOrigin, PolicyStatus
from server.domain.records import Policy

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

# So generous that no test ends by time, and so quick to repeat that none waits.
PATIENT = Limits(total_seconds=60, try_seconds=60, first_wait_seconds=0.001, failures_to_open=1_000)


def policy(name: str = "1", **changes: Any) -> Policy:
    known = Policy(
        id=f"pl_{name}",
        platform="pf_default",
        contractor="cn_1",
        number=1,
        coverage_types=(CoverageType.GENERAL, CoverageType.WORKERS_COMP),
        work_state="CA",
        residence_state="NY",
        category_code="jc_1",
        effective_time=START,
        expire_time=END,
        status=PolicyStatus.PENDING,
        origin=PolicyOrigin.GENERAL_OPT_IN,
        net_rate=250,
        create_time=START,
    )
    return replace(known, **changes)


def bind_request(policy: Any = "pl_1", **changes: Any) -> pb.BindPolicyRequest:
    request = pb.BindPolicyRequest(
        policy=policy,
        contractor="cn_1",
        coverage_types=[3],  # type: ignore[list-item]
        work_state="CA",
        residence_state="NY",
        category_code="jc_1",
    )
    request.effective_time.FromDatetime(START)
    request.expire_time.FromDatetime(END)
    for name, value in changes.items():
        request.ClearField(name) if value is None else setattr(request, name, value)  # type: ignore[arg-type]
    return request


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Returns when it holds; nothing depends on how long that takes."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


class RawCarrier:
    """Answers every call with the same bytes or status, whatever the contract says."""

    def __init__(self, answer: bytes | grpc.StatusCode) -> None:
        self.answer = answer
        self.calls: list[str] = []
        self.requests: list[bytes] = []

    async def start(self) -> int:
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))  # type: ignore[arg-type]
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    async def stop(self) -> None:
        await self._server.stop(None)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        self.calls.append(details.method.rpartition("/")[2])
        return grpc.unary_unary_rpc_method_handler(self._take)

    async def _take(self, request: bytes, context: Any) -> bytes:
        self.requests.append(request)
        if isinstance(self.answer, grpc.StatusCode):
            await context.abort(self.answer, "as told")
        return self.answer  # type: ignore[return-value]


def stub(channel: grpc.aio.Channel) -> "pb_grpc.CarrierServiceAsyncStub":
    return pb_grpc.CarrierServiceStub(channel)


async def code_of(call: Any) -> grpc.StatusCode:
    """The status that the call ends in."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
