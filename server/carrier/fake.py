"""A carrier for trying things out: `optin.carrier.v1.CarrierService`, with faults on demand."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from enum import StrEnum
from random import Random
from typing import Any, NoReturn, TypeVar

import grpc
import structlog
from google.api.field_behavior_pb2 import FieldBehavior, field_behavior
from google.protobuf.message import Message
from optin.carrier.v1 import carrier_service_pb2 as pb
from optin.carrier.v1 import carrier_service_pb2_grpc as pb_grpc

from server.carrier.fake_ledger import Entry, Ledger, State

log = structlog.get_logger()

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]

SERVICE: str = pb.DESCRIPTOR.services_by_name["CarrierService"].full_name


class Method(StrEnum):
    BIND_POLICY = "BindPolicy"
    GET_BINDING = "GetBinding"
    VOID_BINDING = "VoidBinding"
    CANCEL_BINDING = "CancelBinding"
    REINSTATE_BINDING = "ReinstateBinding"


class Fault(StrEnum):
    """What may happen to a call. "Done" is what the method does: bound, for a BindPolicy."""

    NONE = "none"
    DECLINES = "declines"  # a BindPolicy; other methods are not struck
    UNAVAILABLE = "unavailable"  # not done, UNAVAILABLE
    HANGS = "hangs"  # not done, no answer
    DONE_LATE = "done-late"  # done after a while, also if the caller has left by then
    ANSWERS_LATE = "answers-late"  # done at once, answered after a while
    ERRORS_BEFORE = "errors-before"  # not done, INTERNAL
    ERRORS_AFTER = "errors-after"  # done, INTERNAL
    BINDS_TWICE = "binds-twice"  # done, and UNAVAILABLE the first time: the repeat would bind again but for its key
    DIES_BEFORE = "dies-before"  # not done, the carrier ends
    DIES_AFTER = "dies-after"  # done, the carrier ends


class FakeCarrier(pb_grpc.CarrierServiceServicer):
    """Keeps the contract but for its fault, which strikes a share of the calls of some methods.

    The attributes may be changed at any time. Which calls are struck depends on the seed and the ledger alone, so
    that one that dies does not meet the same end at the same call when it is started again.
    """

    def __init__(
        self,
        ledger: Ledger | None = None,
        *,
        fault: Fault = Fault.NONE,
        share: float = 1.0,
        seed: int = 0,
        methods: Iterable[Method] = (Method.BIND_POLICY,),
        late_seconds: float = 15.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        end: Callable[[], object] | None = None,
    ) -> None:
        """`end` is how it dies; unless given, its server ends and may be started again."""
        self.ledger = Ledger() if ledger is None else ledger
        self.fault = fault
        self.share = share
        self.seed = seed
        self.methods = frozenset(methods)
        self.late_seconds = late_seconds
        self._sleep = sleep
        self._end = end or self._cut
        self._server: grpc.aio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self, port: int = 0, *, handlers: Sequence[grpc.GenericRpcHandler] = ()) -> int:
        """Serves on 127.0.0.1, again after it has died; returns the port. Raises RuntimeError: the port is taken."""
        await self.stop()
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        pb_grpc.add_CarrierServiceServicer_to_server(self, server)
        server.add_generic_rpc_handlers(tuple(handlers))
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        self._server = server
        return port

    async def stop(self) -> None:
        """At once: calls in flight get no answer, and what was to be done later is not done."""
        if self._server:
            await self._server.stop(None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def BindPolicy(self, request: pb.BindPolicyRequest, context: Context) -> pb.BindPolicyResponse:
        fault = await self._receive(Method.BIND_POLICY, request, context)

        def bind() -> pb.BindPolicyResponse:
            entry = self.ledger.bind(request.policy, decline=fault is Fault.DECLINES)
            if entry.state in (State.BOUND, State.CANCELLED):
                return pb.BindPolicyResponse(bound=pb.Bound(carrier_policy_number=entry.carrier_policy_number))
            return pb.BindPolicyResponse(declined=pb.Declined(reason=entry.decline_reason or "it was voided"))

        return await self._carry_out(bind, fault, context)

    async def GetBinding(self, request: pb.GetBindingRequest, context: Context) -> pb.GetBindingResponse:
        fault = await self._receive(Method.GET_BINDING, request, context)
        entry = await self._carry_out(lambda: self.ledger.get(request.policy), fault, context)
        return pb.GetBindingResponse(binding=await _found(entry, context))

    async def VoidBinding(self, request: pb.VoidBindingRequest, context: Context) -> pb.VoidBindingResponse:
        fault = await self._receive(Method.VOID_BINDING, request, context)
        entry = await self._carry_out(lambda: self.ledger.void(request.policy), fault, context)
        return pb.VoidBindingResponse(binding=_binding(entry))

    async def CancelBinding(self, request: pb.CancelBindingRequest, context: Context) -> pb.CancelBindingResponse:
        fault = await self._receive(Method.CANCEL_BINDING, request, context)
        time = request.cancel_time.ToJsonString()
        entry = await self._carry_out(
            lambda: self.ledger.cancel(request.policy, time, request.reason, request.revision), fault, context
        )
        return pb.CancelBindingResponse(binding=await _found(entry, context))

    async def ReinstateBinding(
        self, request: pb.ReinstateBindingRequest, context: Context
    ) -> pb.ReinstateBindingResponse:
        fault = await self._receive(Method.REINSTATE_BINDING, request, context)
        entry = await self._carry_out(lambda: self.ledger.reinstate(request.policy, request.revision), fault, context)
        return pb.ReinstateBindingResponse(binding=await _found(entry, context))

    async def _receive(self, method: Method, request: Any, context: Context) -> Fault:
        """Writes the request down and draws the fault that strikes it."""
        if missing := _missing(request):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{', '.join(missing)}: required")
        drawn = Random(f"{self.seed}/{self.ledger.length}").random()  # noqa: S311 - not for secrets
        self.ledger.received(method, request.policy)
        if method not in self.methods or drawn >= self.share:
            return Fault.NONE
        if self.fault is Fault.BINDS_TWICE and self.ledger.requests(request.policy, method) > 1:
            return Fault.NONE
        if self.fault is not Fault.NONE:
            log.info("fault", fault=str(self.fault), method=str(method), policy=request.policy)
        return self.fault

    async def _carry_out(self, work: Callable[[], T], fault: Fault, context: Context) -> T:
        match fault:
            case Fault.UNAVAILABLE:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the fake carrier is unavailable")
            case Fault.HANGS:
                await _forever()
            case Fault.ERRORS_BEFORE:
                await context.abort(grpc.StatusCode.INTERNAL, "nothing was done")
            case Fault.DIES_BEFORE:
                await self._die()
            case Fault.DONE_LATE:
                return await asyncio.shield(self._tracked(self._later(work)))
        done = work()
        match fault:
            case Fault.ANSWERS_LATE:
                await self._sleep(self.late_seconds)
            case Fault.ERRORS_AFTER:
                await context.abort(grpc.StatusCode.INTERNAL, "it was done all the same")
            case Fault.BINDS_TWICE:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "it was done all the same")
            case Fault.DIES_AFTER:
                await self._die()
        return done

    async def _later(self, work: Callable[[], T]) -> T:
        await self._sleep(self.late_seconds)
        return work()

    async def _die(self) -> NoReturn:
        self._end()
        await _forever()

    def _cut(self) -> None:
        if self._server:
            self._tracked(self._server.stop(None))

    def _tracked(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """A task that ends with the server, not with the call."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _forever() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def _missing(request: Message) -> list[str]:
    given = {field.name for field, _ in request.ListFields()}
    required = (
        field.name
        for field in request.DESCRIPTOR.fields
        if FieldBehavior.Value("REQUIRED") in field.GetOptions().Extensions[field_behavior]
    )
    return [name for name in required if name not in given]


async def _found(entry: Entry | None, context: Context) -> pb.Binding:
    if entry is None:
        await context.abort(grpc.StatusCode.NOT_FOUND, "the policy was never seen here")
    return _binding(entry)


def _binding(entry: Entry) -> pb.Binding:
    binding = pb.Binding(
        policy=entry.policy,
        state=pb.BindingState.Value(f"BINDING_STATE_{entry.state.name}"),
        carrier_policy_number=entry.carrier_policy_number,
        decline_reason=entry.decline_reason,
        cancel_reason=entry.cancel_reason,
    )
    if entry.cancel_time:
        binding.cancel_time.FromJsonString(entry.cancel_time)
    return binding
