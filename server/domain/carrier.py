"""What a carrier answers when it is asked to bind a policy."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    carrier_policy_number: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The carrier has no cover for this policy, and asking again will not change that."""


Answer = Bound | Declined
