"""GrpcCarrier against real servers: every fault of the fake carrier, every status, and the limits."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import grpc
import pytest
from optin.carrier.v1 import carrier_service_pb2 as pb

from server.carrier.fake import FakeCarrier, Fault, Method
from server.carrier.remote import GrpcCarrier
from server.carrier.target import address_of
from server.domain.carrier import Bound, CarrierUnavailable, Declined, NotAsked, NotKnown
from server.domain.enums import CoverageType
from tests.carrier.conftest import Connect
from tests.carrier.helpers import END, PATIENT, START, RawCarrier, policy, until

CANCEL_TIME = datetime(2026, 6, 1, 12, 30, 0, 250_000, tzinfo=UTC)
CANCELLED = policy(cancel_time=CANCEL_TIME, cancel_reason="moved", revision=1)

# For what never answers: long enough that the carrier hears of it first.
SHORT = replace(PATIENT, try_seconds=1.5)


@pytest.fixture
def carrier(connect: Connect, port: int) -> GrpcCarrier:
    return connect(port)


@pytest.fixture
async def raw() -> AsyncIterator[RawCarrier]:
    raw = RawCarrier(b"")
    yield raw
    await raw.stop()


@pytest.fixture
async def raw_client(raw: RawCarrier, connect: Connect) -> GrpcCarrier:
    return connect(await raw.start())


# The contract.


async def test_a_policy_is_bound_under_the_carriers_number(carrier: GrpcCarrier, fake: FakeCarrier) -> None:
    answer = await carrier.bind(policy())
    entry = fake.ledger.get("pl_1")
    assert entry
    assert answer == Bound(entry.carrier_policy_number)
    assert await carrier.bind(policy()) == answer
    assert fake.ledger.duplicates() == {"pl_1": 1}


async def test_the_carrier_gets_what_it_needs(raw: RawCarrier, raw_client: GrpcCarrier) -> None:
    await raw_client.bind(policy())
    request = pb.BindPolicyRequest.FromString(raw.requests[0])
    assert (request.policy, request.contractor) == ("pl_1", "cn_1")
    assert list(request.coverage_types) == [CoverageType.GENERAL, CoverageType.WORKERS_COMP]
    assert (request.work_state, request.residence_state, request.category_code) == ("CA", "NY", "jc_1")
    assert request.effective_time.ToDatetime(UTC) == START
    assert request.expire_time.ToDatetime(UTC) == END
    assert request.net_rate == 250


async def test_a_void_undoes_and_keeps_a_late_one_out(carrier: GrpcCarrier, fake: FakeCarrier) -> None:
    await carrier.bind(policy("1"))
    for name in ("1", "2"):
        await carrier.void(policy(name))
        await carrier.void(policy(name))
        assert await carrier.bind(policy(name)) == Declined()
    assert fake.ledger.live_bindings() == frozenset()


async def test_a_cancellation_has_its_time_and_reason(carrier: GrpcCarrier, fake: FakeCarrier) -> None:
    await carrier.bind(policy())
    await carrier.cancel(CANCELLED)
    await carrier.cancel(replace(CANCELLED, cancel_reason="other"))
    entry = fake.ledger.get("pl_1")
    assert entry
    assert (entry.state, entry.cancel_time, entry.cancel_reason) == ("cancelled", "2026-06-01T12:30:00.250Z", "moved")


async def test_a_reinstatement_puts_it_in_force_again(carrier: GrpcCarrier, fake: FakeCarrier) -> None:
    await carrier.bind(policy())
    await carrier.cancel(CANCELLED)
    await carrier.reinstate(policy(revision=2))
    await carrier.cancel(CANCELLED)  # sent before, and late
    assert fake.ledger.live_bindings() == {"pl_1"}


async def test_a_policy_that_is_not_cancelled_is_not_cancelled(carrier: GrpcCarrier) -> None:
    with pytest.raises(ValueError, match="pl_1"):
        await carrier.cancel(policy())


async def test_what_the_carrier_does_not_know_is_not_cancelled(carrier: GrpcCarrier) -> None:
    with pytest.raises(CarrierUnavailable):
        await carrier.cancel(CANCELLED)
    assert carrier.available


# The faults. What is said, how often it was asked, and whether it is bound there afterwards.

ANSWERED = {
    Fault.NONE: (Bound("FAKE-000001"), 1, True),
    Fault.DECLINES: (Declined(), 1, False),
    Fault.UNAVAILABLE: (NotKnown(), 3, False),
    Fault.ERRORS_BEFORE: (NotKnown(), 1, False),
    Fault.ERRORS_AFTER: (NotKnown(), 1, True),
    Fault.BINDS_TWICE: (Bound("FAKE-000001"), 2, True),
    Fault.DIES_BEFORE: (NotKnown(), 1, False),
    Fault.DIES_AFTER: (NotKnown(), 1, True),
}
NEVER_ANSWERED = {Fault.HANGS: False, Fault.ANSWERS_LATE: True, Fault.DONE_LATE: False}


def test_every_fault_is_tried() -> None:
    assert ANSWERED.keys() | NEVER_ANSWERED.keys() == set(Fault)


@pytest.mark.parametrize("fault", ANSWERED)
async def test_a_fault_that_is_answered(carrier: GrpcCarrier, fake: FakeCarrier, port: int, fault: Fault) -> None:
    answer, requests, bound = ANSWERED[fault]
    fake.fault = fault
    assert await carrier.bind(policy()) == answer
    assert fake.ledger.requests("pl_1") == requests
    assert fake.ledger.live_bindings() == ({"pl_1"} if bound else frozenset())
    await assert_a_void_settles_it(carrier, fake, port)


@pytest.mark.parametrize("fault", NEVER_ANSWERED)
async def test_a_fault_that_is_never_answered(connect: Connect, fake: FakeCarrier, port: int, fault: Fault) -> None:
    carrier = connect(port, limits=SHORT)
    fake.fault, fake.late_seconds = fault, 3600
    assert await carrier.bind(policy()) == NotKnown()
    assert fake.ledger.requests("pl_1") == 1
    assert bool(fake.ledger.live_bindings()) is NEVER_ANSWERED[fault]
    await assert_a_void_settles_it(connect(port), fake, port)


async def assert_a_void_settles_it(carrier: GrpcCarrier, fake: FakeCarrier, port: int) -> None:
    """What is not known is put right by one void, whatever had happened."""
    fake.fault = Fault.NONE
    await fake.start(port)
    await until_voided(carrier)
    assert fake.ledger.live_bindings() == frozenset()
    assert await carrier.bind(policy()) == Declined()


async def until_voided(carrier: GrpcCarrier) -> None:
    """As the reconciler has it: again, until it is acknowledged."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await carrier.void(policy())
            except CarrierUnavailable:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.ERRORS_BEFORE, Fault.ERRORS_AFTER, Fault.DIES_AFTER])
async def test_an_order_that_is_not_acknowledged(carrier: GrpcCarrier, fake: FakeCarrier, fault: Fault) -> None:
    await carrier.bind(policy())
    fake.fault, fake.methods = fault, frozenset({Method.VOID_BINDING, Method.CANCEL_BINDING})
    with pytest.raises(CarrierUnavailable):
        await carrier.cancel(CANCELLED)
    with pytest.raises(CarrierUnavailable):
        await carrier.void(policy())


async def test_an_order_is_repeated_as_well(carrier: GrpcCarrier, fake: FakeCarrier) -> None:
    fake.fault, fake.methods = Fault.BINDS_TWICE, frozenset(Method)
    await carrier.void(policy())
    assert fake.ledger.requests("pl_1", Method.VOID_BINDING) == 2


# What breaks the contract.


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_every_status_is_not_known_and_two_are_repeated(
    raw: RawCarrier, raw_client: GrpcCarrier, code: grpc.StatusCode
) -> None:
    raw.answer = code
    assert await raw_client.bind(policy()) == NotKnown()
    repeated = code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert raw.calls == ["BindPolicy"] * (3 if repeated else 1)


@pytest.mark.parametrize(
    "answer",
    [
        pb.BindPolicyResponse(),
        pb.BindPolicyResponse(bound=pb.Bound()),
        pb.BindPolicyResponse(bound=pb.Bound(carrier_policy_number="a" * 101)),
        pb.BindPolicyResponse(bound=pb.Bound(carrier_policy_number="a\0b")),
    ],
)
async def test_an_answer_that_says_nothing_proper_is_not_known(
    raw: RawCarrier, raw_client: GrpcCarrier, answer: pb.BindPolicyResponse
) -> None:
    raw.answer = answer.SerializeToString()
    assert await raw_client.bind(policy()) == NotKnown()


async def test_an_answer_that_is_no_message_is_not_known(raw: RawCarrier, connect: Connect) -> None:
    raw.answer = b"\xff\xff\xff"
    carrier = connect(await raw.start(), limits=replace(PATIENT, failures_to_open=2))
    assert await carrier.bind(policy()) == NotKnown()
    with pytest.raises(CarrierUnavailable):
        await carrier.void(policy())
    assert not carrier.available


# Limits.


async def test_nobody_there_is_not_known(connect: Connect, fake: FakeCarrier, port: int) -> None:
    await fake.stop()
    assert await connect(port).bind(policy()) == NotKnown()


async def test_the_carrier_limit_includes_waits_and_repeats(connect: Connect, fake: FakeCarrier, port: int) -> None:
    endless = replace(PATIENT, total_seconds=0.5, tries=1_000_000, first_wait_seconds=0.01, longest_wait_seconds=0.01)
    fake.fault = Fault.UNAVAILABLE
    start = time.monotonic()
    assert await connect(port, limits=endless).bind(policy()) == NotKnown()
    assert time.monotonic() - start >= 0.5
    assert fake.ledger.requests("pl_1") > 1


async def test_the_carrier_limit_ends_a_try(connect: Connect, fake: FakeCarrier, port: int) -> None:
    carrier = connect(port, limits=replace(PATIENT, total_seconds=0.2, failures_to_open=1))
    fake.fault = Fault.HANGS
    assert await carrier.bind(policy()) == NotKnown()
    assert not carrier.available  # to hang is a failure, whichever limit ends it


async def test_without_a_slot_the_carrier_is_not_asked(connect: Connect, fake: FakeCarrier, port: int) -> None:
    carrier = connect(port, limits=replace(PATIENT, total_seconds=0.05, in_flight=1))
    async with carrier._slots:
        assert await carrier.bind(policy()) == NotAsked()
        with pytest.raises(CarrierUnavailable):
            await carrier.void(policy())
    assert fake.ledger.length == 0
    assert carrier.available


async def test_no_more_are_in_flight_than_allowed(connect: Connect, fake: FakeCarrier, port: int) -> None:
    carrier = connect(port, limits=replace(PATIENT, in_flight=2))
    fake.fault = Fault.HANGS
    orders = [asyncio.create_task(carrier.bind(policy(str(n)))) for n in range(5)]
    await until(lambda: fake.ledger.length == 2)
    await asyncio.sleep(0.05)
    assert fake.ledger.length == 2
    fake.fault = Fault.NONE
    orders[0].cancel()
    answers = await asyncio.gather(orders[2], orders[3], orders[4])
    assert [type(answer) for answer in answers] == [Bound] * 3
    orders[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await orders[0]


async def test_an_order_ends_with_its_channel(carrier: GrpcCarrier, fake: FakeCarrier) -> None:
    fake.fault = Fault.HANGS
    order = asyncio.create_task(carrier.bind(policy()))
    await until(lambda: fake.ledger.length)
    await carrier.close()
    assert await order == NotKnown()
    assert await carrier.bind(policy("2")) == NotAsked()
    with pytest.raises(CarrierUnavailable):
        await carrier.void(policy())


# The breaker.


async def test_a_carrier_that_fails_is_left_alone_for_a_while(connect: Connect, fake: FakeCarrier, port: int) -> None:
    changes: list[bool] = []
    limits = replace(PATIENT, tries=1, failures_to_open=3, rest_seconds=3600)
    carrier = connect(port, limits=limits, on_change=changes.append)
    fake.fault = Fault.ERRORS_BEFORE
    for name in "123":
        assert carrier.available
        assert await carrier.bind(policy(name)) == NotKnown()
    assert not carrier.available
    assert changes == [False]
    assert await carrier.bind(policy("4")) == NotAsked()
    with pytest.raises(CarrierUnavailable):
        await carrier.void(policy())
    assert fake.ledger.length == 3


async def test_what_was_sent_before_the_breaker_opened_is_not_known(
    connect: Connect, fake: FakeCarrier, port: int
) -> None:
    carrier = connect(port, limits=replace(PATIENT, failures_to_open=1, rest_seconds=3600))
    fake.fault = Fault.UNAVAILABLE
    assert await carrier.bind(policy()) == NotKnown()
    assert fake.ledger.requests("pl_1") == 1  # the repeat was refused by the breaker


async def test_a_carrier_that_is_back_is_asked_again(connect: Connect, fake: FakeCarrier, port: int) -> None:
    changes: list[bool] = []
    limits = replace(PATIENT, tries=1, failures_to_open=2, rest_seconds=0)
    carrier = connect(port, limits=limits, on_change=changes.append)
    fake.fault = Fault.ERRORS_BEFORE
    for name in "123":  # the third is a trial
        assert await carrier.bind(policy(name)) == NotKnown()
    assert changes == [False]
    fake.fault = Fault.NONE
    assert isinstance(await carrier.bind(policy("4")), Bound)
    assert changes == [False, True]
    assert carrier.available


async def test_one_order_tries_while_the_others_are_refused(connect: Connect, fake: FakeCarrier, port: int) -> None:
    carrier = connect(port, limits=replace(PATIENT, tries=1, failures_to_open=1, rest_seconds=0))
    fake.fault = Fault.ERRORS_BEFORE
    await carrier.bind(policy("1"))
    fake.fault = Fault.HANGS
    trial = asyncio.create_task(carrier.bind(policy("2")))
    await until(lambda: fake.ledger.length == 2)
    assert await carrier.bind(policy("3")) == NotAsked()
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    fake.fault = Fault.NONE  # a trial that was called off says nothing, and the next one is let through
    assert isinstance(await carrier.bind(policy("4")), Bound)


async def test_answers_are_no_failures(connect: Connect, fake: FakeCarrier, port: int) -> None:
    carrier = connect(port, limits=replace(PATIENT, failures_to_open=1))
    fake.fault = Fault.DECLINES
    assert await carrier.bind(policy("1")) == Declined()
    assert await carrier.bind(policy("2", contractor="")) == NotKnown()  # INVALID_ARGUMENT
    assert carrier.available


# The target.


@pytest.mark.parametrize("target", ["grpc://localhost:50061", "grpc://127.0.0.1:1", "grpc://[::1]:50061"])
def test_a_target_is_an_address(target: str) -> None:
    assert address_of(target) == target.removeprefix("grpc://")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "localhost:50061",
        "http://localhost:50061",
        "grpc://localhost",
        "grpc://:50061",
        "grpc://localhost:0",
        "grpc://localhost:99999",
        "grpc://localhost:port",
        "grpc://localhost:50061/path",
        "grpc://user@localhost:50061",
        "grpc://localhost:50061?x=1",
    ],
)
def test_another_target_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="grpc://HOST:PORT"):
        address_of(target)
