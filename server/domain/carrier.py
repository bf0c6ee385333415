"""What a carrier answers when it is asked to bind a policy."""

from dataclasses import dataclass


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
