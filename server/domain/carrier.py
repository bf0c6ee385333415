"""What a carrier is asked and what it answers, and what is under way with remote ones.

Storage and the adapters in server/carrier/ implement the ports.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from server.domain.callers import Face
from server.domain.enums import CarrierOrderKind
from server.domain.records import Policy


@dataclass(frozen=True, slots=True)
class Bound:
    carrier_policy_number: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The carrier has no cover for this policy, and asking again will not change that."""


@dataclass(frozen=True, slots=True)
class NotAsked:
    """The carrier never saw the request: nothing is bound there."""


@dataclass(frozen=True, slots=True)
class NotKnown:
    """The request was sent and no answer came: it may be bound there, so a void is owed."""


Answer = Bound | Declined | NotAsked | NotKnown


class CarrierUnavailable(Exception):
    """The carrier did not take an order; it is sent again later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingBinding:
    """A policy that a remote carrier is being asked for, and the assignment or quote that is settled with it."""

    platform: str
    contractor: str
    policy: str
    assignment: str  # empty: the policy's quote is settled
    request_id: str  # empty: the caller gave none
    token: str  # of the worker that asks: only it may settle
    lease_expire_time: datetime  # from then on another worker may take over
    face: str = Face.GRPC  # in whose form the response is kept

    @property
    def settles(self) -> str:
        """The assignment, or the policy itself."""
        return self.assignment or self.policy


@dataclass(frozen=True, kw_only=True, slots=True)
class CarrierOrder:
    """What a remote carrier is owed: it stays until the carrier has taken it."""

    platform: str
    contractor: str
    policy: str
    kind: CarrierOrderKind
    due_time: datetime
    tries: int = 0
    revision: int = 0  # of the policy, when it was cancelled or reinstated: the last one counts


class PendingBindings(Protocol):
    def find(self, policies: Collection[str]) -> Mapping[str, PendingBinding]:
        """By policy."""

    def expired(self, now: datetime, most: int) -> Sequence[PendingBinding]:
        """Those whose lease is over, the oldest first."""

    def insert(self, pending: Sequence[PendingBinding]) -> None: ...

    def lease(self, pending: PendingBinding) -> None:
        """Writes its token and its lease."""

    def delete(self, pending: PendingBinding) -> None: ...


class CarrierOrders(Protocol):
    def due(self, now: datetime, most: int) -> Sequence[CarrierOrder]:
        """The longest due first."""

    def insert(self, orders: Sequence[CarrierOrder]) -> None:
        """In place of what is owed for the same policies."""

    def update(self, order: CarrierOrder) -> None:
        """Unless another one is in its place; `delete` likewise."""

    def delete(self, order: CarrierOrder) -> None: ...


class Carrier(Protocol):
    """A carrier that needs no one outside: it issues inside the unit that inserts the policy."""

    def issue(self, policy: Policy) -> Answer: ...


@runtime_checkable
class RemoteCarrier(Protocol):
    """A carrier that is asked over the network, between two units. The policy's id is its idempotency key."""

    async def bind(self, policy: Policy) -> Answer:
        """Answers within the carrier limit, whatever happens; asking twice gives the same answer."""

    async def void(self, policy: Policy) -> None:
        """Undoes a binding as if it had never been, and keeps a late one out. Raises CarrierUnavailable."""

    async def cancel(self, policy: Policy) -> None:
        """Ends a binding at the policy's cancel_time. Raises CarrierUnavailable."""

    async def reinstate(self, policy: Policy) -> None:
        """Puts a cancelled binding in force again. Raises CarrierUnavailable."""
