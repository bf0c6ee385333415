"""What a carrier answers when it is asked to bind a policy, and what is under way with remote ones."""

from dataclasses import dataclass
from datetime import datetime

from server.domain.enums import CarrierOrderKind


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


@dataclass(frozen=True, kw_only=True, slots=True)
class CarrierOrder:
    """What a remote carrier is owed: it stays until the carrier has taken it."""

    platform: str
    contractor: str
    policy: str
    kind: CarrierOrderKind
    due_time: datetime
    tries: int = 0
