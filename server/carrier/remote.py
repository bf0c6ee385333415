"""A carrier that is asked over gRPC: `optin.carrier.v1.CarrierService`."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar, cast

import grpc
import stamina
import structlog
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from optin.carrier.v1 import carrier_service_pb2 as pb
from optin.carrier.v1 import carrier_service_pb2_grpc as pb_grpc

from server.carrier.breaker import BreakerOpen, CircuitBreaker, State
from server.carrier.target import address_of
from server.domain.carrier import Answer, Bound, CarrierUnavailable, Declined, NotAsked, NotKnown
from server.domain.observing import UNOBSERVED, Ended, Metadata, Observer
from server.domain.records import Policy

log = structlog.get_logger()

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

Method: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[Request, Response]

LONGEST_NUMBER = 100  # characters of a carrier's own policy number

# What the contract lets us repeat; what it calls the request's fault, which says nothing bad of the carrier.
COME_AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
OUR_FAULT = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}

CHANNEL_OPTIONS = (
    # Tried again soon, so that a carrier that is back is found to be; the defaults wait up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),  # how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A host that is gone without a word is noticed in less than a minute, not when TCP gives up.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much a carrier is asked, and for how long it is waited for."""

    total_seconds: float = 10.0  # the carrier limit: for one order, waits and repeats included
    try_seconds: float = 4.0
    tries: int = 3
    first_wait_seconds: float = 0.1  # between tries: doubled each time, plus up to the first at random
    longest_wait_seconds: float = 1.0
    in_flight: int = 100  # orders at once; more wait, within their limit
    failures_to_open: int = 5  # the breaker's
    rest_seconds: float = 5.0


DEFAULT_LIMITS = Limits()


class NotSent(CarrierUnavailable):
    """And the carrier cannot have heard of it."""


class CallFailed(Exception):
    """With this status."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self.code = code


class ChannelClosed(Exception):
    """The channel was closed before the carrier answered."""


class NotReadable(Exception):
    """What the carrier sent is not the message it should be."""


EXPECTED = (BreakerOpen, TimeoutError, CallFailed, ChannelClosed, NotReadable)


class GrpcCarrier:
    """Implements `ports.RemoteCarrier`. Made inside the loop that runs it.

    `on_change` is told whether the carrier is available whenever that changes; it begins as available.
    Raises ValueError unless the target is `grpc://host:port`.
    """

    def __init__(
        self,
        target: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        on_change: Callable[[bool], None] = lambda _available: None,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._limits = limits
        self._observer = observer
        self._channel = grpc.aio.insecure_channel(address_of(target), options=CHANNEL_OPTIONS)
        self._stub = pb_grpc.CarrierServiceStub(self._channel)
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._breaker = CircuitBreaker(
            failures_to_open=limits.failures_to_open,
            rest_seconds=limits.rest_seconds,
            on_change=on_change,
            on_state=observer.breaker,
        )

    @property
    def available(self) -> bool:
        """False from when the breaker opens to when it closes."""
        return self._breaker.state is State.CLOSED

    async def bind(self, policy: Policy) -> Answer:
        try:
            response = await self._order("BindPolicy", self._stub.BindPolicy, _bind_request(policy))
        except NotSent:
            return NotAsked()
        except CarrierUnavailable:
            return NotKnown()
        return _answer(policy, response)

    async def void(self, policy: Policy) -> None:
        await self._order("VoidBinding", self._stub.VoidBinding, pb.VoidBindingRequest(policy=policy.id))

    async def cancel(self, policy: Policy) -> None:
        if policy.cancel_time is None:
            raise ValueError(f"{policy.id} has no cancel_time")
        request = pb.CancelBindingRequest(
            policy=policy.id,
            cancel_time=_timestamp(policy.cancel_time),
            reason=policy.cancel_reason,
            revision=policy.revision,
        )
        await self._order("CancelBinding", self._stub.CancelBinding, request)

    async def reinstate(self, policy: Policy) -> None:
        request = pb.ReinstateBindingRequest(policy=policy.id, revision=policy.revision)
        await self._order("ReinstateBinding", self._stub.ReinstateBinding, request)

    async def close(self) -> None:
        """Ends what is in flight, which is then not known."""
        await self._channel.close()

    async def _order(self, name: str, method: Method[Request, Response], request: Request) -> Response:
        """The carrier's answer, within the carrier limit. Raises CarrierUnavailable."""
        deadline = asyncio.get_running_loop().time() + self._limits.total_seconds
        tries = _Tries(self._breaker, name, method, request, deadline, partial(self._observer.carrier_call, name))
        try:
            async with asyncio.timeout_at(deadline):
                self._breaker.check()  # before waiting for a slot, which those that hang may hold
                async with self._slots:
                    return await self._repeated(tries)
        except Exception as error:  # whatever it is: it is no answer
            log.warning(
                "carrier gave no answer",
                method=name,
                policy=request.policy,  # type: ignore[attr-defined]
                reason=error.code.name if isinstance(error, CallFailed) else type(error).__name__,
                tries=tries.count,
                exc_info=not isinstance(error, EXPECTED),
            )
            raise (CarrierUnavailable if tries.count else NotSent)(name) from error

    async def _repeated(self, tries: "_Tries[Request, Response]") -> Response:
        async for attempt in stamina.retry_context(
            on=_may_be_repeated,
            attempts=self._limits.tries,
            timeout=None,  # the order has its own
            wait_initial=self._limits.first_wait_seconds,
            wait_jitter=self._limits.first_wait_seconds,
            wait_max=self._limits.longest_wait_seconds,
        ):
            with attempt:
                return await tries.once_more(self._limits.try_seconds)
        raise AssertionError("stamina raises what the last try raised")


class _Tries(Generic[Request, Response]):
    """The tries of one order."""

    def __init__(
        self,
        breaker: CircuitBreaker,
        name: str,
        method: Method[Request, Response],
        request: Request,
        deadline: float,
        observe: Callable[[], tuple[Metadata, Ended]],
    ) -> None:
        self._breaker = breaker
        self._name = name
        self._method = method
        self._request = request
        self._deadline = deadline  # by the loop's clock
        self._observe = observe
        self.count = 0  # of those that may have been sent

    async def once_more(self, seconds: float) -> Response:
        """Raises BreakerOpen, CallFailed, ChannelClosed, NotReadable."""
        clock = asyncio.get_running_loop().time
        with self._breaker.permit(self._name) as permit:
            try:
                response = await self._answer(min(seconds, self._deadline - clock()))
            except grpc.aio.UsageError:
                raise ChannelClosed from None
            except grpc.aio.AioRpcError as error:
                permit.succeeded() if error.code() in OUR_FAULT else permit.failed()
                raise CallFailed(error.code()) from error
            except asyncio.CancelledError:
                if clock() >= self._deadline:
                    permit.failed()
                task = asyncio.current_task()
                if task and not task.cancelling():
                    raise ChannelClosed from None  # nobody wants this task to end: the call alone was cancelled
                raise
            if not isinstance(response, Message):  # gRPC's way to say that the bytes do not parse
                permit.failed()
                raise NotReadable
            permit.succeeded()
            return response

    async def _answer(self, seconds: float) -> Response:
        metadata, ended = self._observe()
        started, code = time.monotonic(), grpc.StatusCode.CANCELLED
        try:
            call = self._method(self._request, timeout=seconds, metadata=grpc.aio.Metadata(*metadata))
            self.count += 1
            response = await call
            code = grpc.StatusCode.OK if isinstance(response, Message) else grpc.StatusCode.INTERNAL
        except grpc.aio.AioRpcError as error:
            code = error.code()
            raise
        finally:
            ended(code.name, time.monotonic() - started)
        return response


def _may_be_repeated(error: Exception) -> bool:
    return isinstance(error, CallFailed) and error.code in COME_AGAIN


def _bind_request(policy: Policy) -> pb.BindPolicyRequest:
    return pb.BindPolicyRequest(
        policy=policy.id,
        contractor=policy.contractor,
        coverage_types=cast("Any", policy.coverage_types),  # the numbers are those on the wire
        work_state=policy.work_state,
        residence_state=policy.residence_state,
        category_code=policy.category_code,
        effective_time=_timestamp(policy.effective_time),
        expire_time=_timestamp(policy.expire_time),
        net_rate=policy.net_rate,
    )


def _answer(policy: Policy, response: pb.BindPolicyResponse) -> Answer:
    number = response.bound.carrier_policy_number
    if response.HasField("bound") and number.isprintable() and 1 <= len(number) <= LONGEST_NUMBER:
        return Bound(number)
    if response.HasField("declined"):
        log.info("carrier declined", policy=policy.id)  # its reason is free text, which may name the contractor
        return Declined()
    log.error("carrier broke its contract", policy=policy.id, note="neither bound, with a proper number, nor declined")
    return NotKnown()


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
