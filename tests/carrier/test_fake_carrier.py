"""The fake carrier, asked by a plain client: the contract, and the faults that are about time and chance."""

import asyncio
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from optin.carrier.v1 import carrier_service_pb2 as pb
from optin.carrier.v1 import carrier_service_pb2_grpc as pb_grpc

from server.carrier.fake import FakeCarrier, Fault, Method
from tests.carrier.helpers import bind_request, code_of, until

Client: TypeAlias = "pb_grpc.CarrierServiceAsyncStub"
WHEN = Timestamp(seconds=1_800_000_000, nanos=5000)


async def binding(client: Client, policy: str = "pl_1") -> pb.Binding:
    return (await client.GetBinding(pb.GetBindingRequest(policy=policy))).binding


async def test_a_binding_lives_until_it_is_cancelled(client: Client, fake: FakeCarrier) -> None:
    number = (await client.BindPolicy(bind_request())).bound.carrier_policy_number
    assert number
    assert await binding(client) == pb.Binding(
        policy="pl_1", state=pb.BINDING_STATE_BOUND, carrier_policy_number=number
    )
    assert fake.ledger.live_bindings() == {"pl_1"}
    request = pb.CancelBindingRequest(policy="pl_1", cancel_time=WHEN, reason="moved", revision=1)
    cancelled = (await client.CancelBinding(request)).binding
    assert cancelled == pb.Binding(
        policy="pl_1",
        state=pb.BINDING_STATE_CANCELLED,
        carrier_policy_number=number,
        cancel_time=WHEN,
        cancel_reason="moved",
    )
    again = pb.CancelBindingRequest(policy="pl_1", cancel_time=Timestamp(seconds=1), reason="other", revision=1)
    assert (await client.CancelBinding(again)).binding == cancelled == await binding(client)
    assert (await client.BindPolicy(bind_request())).bound.carrier_policy_number == number
    assert fake.ledger.live_bindings() == frozenset()


async def test_the_highest_revision_counts(client: Client, fake: FakeCarrier) -> None:
    await client.BindPolicy(bind_request())
    bound = await binding(client)
    later = pb.CancelBindingRequest(policy="pl_1", cancel_time=WHEN, reason="again", revision=3)
    back = pb.ReinstateBindingRequest(policy="pl_1", revision=2)
    await client.CancelBinding(pb.CancelBindingRequest(policy="pl_1", cancel_time=WHEN, revision=1))
    assert (await client.ReinstateBinding(back)).binding == bound == await binding(client)
    assert fake.ledger.live_bindings() == {"pl_1"}
    cancelled = (await client.CancelBinding(later)).binding
    assert cancelled.state == pb.BINDING_STATE_CANCELLED
    assert (await client.ReinstateBinding(back)).binding == cancelled, "it was overtaken"
    assert (await client.BindPolicy(bind_request())).bound.carrier_policy_number == bound.carrier_policy_number
    await client.VoidBinding(pb.VoidBindingRequest(policy="pl_1"))
    voided = (await client.ReinstateBinding(pb.ReinstateBindingRequest(policy="pl_1", revision=4))).binding
    assert voided.state == pb.BINDING_STATE_VOIDED


async def test_a_policy_that_was_voided_is_declined(client: Client) -> None:
    await client.BindPolicy(bind_request())
    voided = (await client.VoidBinding(pb.VoidBindingRequest(policy="pl_1"))).binding
    assert voided.state == pb.BINDING_STATE_VOIDED
    assert (await client.VoidBinding(pb.VoidBindingRequest(policy="pl_1"))).binding == voided
    assert (await client.BindPolicy(bind_request())).HasField("declined")


async def test_a_void_that_arrives_first_keeps_the_policy_out(client: Client, fake: FakeCarrier) -> None:
    voided = (await client.VoidBinding(pb.VoidBindingRequest(policy="pl_1"))).binding
    assert voided == pb.Binding(policy="pl_1", state=pb.BINDING_STATE_VOIDED)
    assert (await client.BindPolicy(bind_request())).HasField("declined")
    assert fake.ledger.live_bindings() == frozenset()


async def test_what_was_declined_has_a_reason(client: Client, fake: FakeCarrier) -> None:
    fake.fault = Fault.DECLINES
    reason = (await client.BindPolicy(bind_request())).declined.reason
    assert await binding(client) == pb.Binding(policy="pl_1", state=pb.BINDING_STATE_DECLINED, decline_reason=reason)
    assert reason


async def test_what_was_never_seen_is_not_found(client: Client) -> None:
    assert await code_of(client.GetBinding(pb.GetBindingRequest(policy="pl_1"))) is grpc.StatusCode.NOT_FOUND
    cancel = pb.CancelBindingRequest(policy="pl_1", cancel_time=WHEN, revision=1)
    assert await code_of(client.CancelBinding(cancel)) is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "missing",
    [
        "policy",
        "contractor",
        "coverage_types",
        "work_state",
        "residence_state",
        "category_code",
        "effective_time",
        "expire_time",
    ],
)
async def test_what_is_required_is_asked_for(client: Client, fake: FakeCarrier, missing: str) -> None:
    assert await code_of(client.BindPolicy(bind_request(**{missing: None}))) is grpc.StatusCode.INVALID_ARGUMENT
    assert fake.ledger.length == 0


async def test_a_policy_without_premium_is_bound(client: Client) -> None:
    assert (await client.BindPolicy(bind_request(net_rate=0))).HasField("bound")


async def test_many_at_once_are_each_bound_once(client: Client, fake: FakeCarrier) -> None:
    requests = [bind_request(f"pl_{n % 20}") for n in range(100)]
    answers = await asyncio.gather(*(client.BindPolicy(request) for request in requests))
    assert len({answer.bound.carrier_policy_number for answer in answers}) == 20
    assert len(fake.ledger.live_bindings()) == 20
    assert sum(fake.ledger.duplicates().values()) == 80


async def test_a_fault_strikes_the_methods_that_are_named(client: Client, fake: FakeCarrier) -> None:
    fake.fault, fake.methods = Fault.UNAVAILABLE, frozenset({Method.VOID_BINDING})
    assert await code_of(client.BindPolicy(bind_request())) is grpc.StatusCode.OK
    assert await code_of(client.VoidBinding(pb.VoidBindingRequest(policy="pl_1"))) is grpc.StatusCode.UNAVAILABLE
    assert fake.ledger.live_bindings() == {"pl_1"}
    fake.fault = Fault.ERRORS_AFTER
    assert await code_of(client.VoidBinding(pb.VoidBindingRequest(policy="pl_1"))) is grpc.StatusCode.INTERNAL
    assert fake.ledger.live_bindings() == frozenset()
    fake.fault, fake.methods = Fault.ERRORS_BEFORE, frozenset(Method)
    assert await code_of(client.GetBinding(pb.GetBindingRequest(policy="pl_1"))) is grpc.StatusCode.INTERNAL


async def test_a_share_is_struck_and_the_seed_says_which(client: Client, fake: FakeCarrier) -> None:
    fake.fault, fake.share = Fault.DECLINES, 0.3

    async def declined(seed: int) -> list[bool]:
        fake.seed = seed
        fake.ledger = type(fake.ledger)()
        return [(await client.BindPolicy(bind_request(f"pl_{n}"))).HasField("declined") for n in range(100)]

    first = await declined(1)
    assert 15 <= sum(first) <= 45  # the same in every run: a seed is a seed
    assert await declined(1) == first
    assert await declined(2) != first
    fake.share = 0.0
    assert not any(await declined(1))


class Gate:
    """A sleep that ends when the test says so."""

    def __init__(self) -> None:
        self.sleepers: list[asyncio.Future[None]] = []

    async def sleep(self, _seconds: float) -> None:
        self.sleepers.append(asyncio.get_running_loop().create_future())
        await self.sleepers[-1]

    def open(self) -> None:
        for sleeper in self.sleepers:
            if not sleeper.done():
                sleeper.set_result(None)


@pytest.fixture
def gate(fake: FakeCarrier) -> Gate:
    gate = Gate()
    fake._sleep = gate.sleep
    return gate


async def sleeping(client: Client, gate: Gate) -> Any:
    """A BindPolicy that has reached the carrier and waits there."""
    call = client.BindPolicy(bind_request())
    await until(lambda: gate.sleepers)
    return call


async def test_answers_late_binds_at_once(client: Client, fake: FakeCarrier, gate: Gate) -> None:
    fake.fault = Fault.ANSWERS_LATE
    call = await sleeping(client, gate)
    assert fake.ledger.live_bindings() == {"pl_1"}
    gate.open()
    assert (await call).HasField("bound")


async def test_done_late_binds_after_the_caller_has_left(client: Client, fake: FakeCarrier, gate: Gate) -> None:
    fake.fault = Fault.DONE_LATE
    (await sleeping(client, gate)).cancel()
    assert fake.ledger.live_bindings() == frozenset()
    gate.open()
    await until(fake.ledger.live_bindings)


async def test_done_late_answers_a_caller_that_stays(client: Client, fake: FakeCarrier, gate: Gate) -> None:
    fake.fault = Fault.DONE_LATE
    call = await sleeping(client, gate)
    gate.open()
    assert (await call).HasField("bound")


async def test_a_void_overtakes_a_late_binding(client: Client, fake: FakeCarrier, gate: Gate) -> None:
    fake.fault = Fault.DONE_LATE
    call = await sleeping(client, gate)
    await client.VoidBinding(pb.VoidBindingRequest(policy="pl_1"))
    gate.open()
    assert (await call).HasField("declined")
    assert fake.ledger.live_bindings() == frozenset()


async def test_what_was_to_be_done_late_dies_with_the_carrier(
    client: Client, fake: FakeCarrier, port: int, gate: Gate
) -> None:
    fake.fault = Fault.DONE_LATE
    call = await sleeping(client, gate)
    await fake.stop()
    assert await code_of(call) is not grpc.StatusCode.OK
    assert gate.sleepers[0].cancelled()
    assert await fake.start(port) == port
    assert fake.ledger.live_bindings() == frozenset()


async def test_its_port_is_its_own(fake: FakeCarrier, port: int) -> None:
    with pytest.raises(RuntimeError):
        await FakeCarrier().start(port)
