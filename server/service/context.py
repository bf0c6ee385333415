"""What every use case is told about its caller, and new ids."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ulid import ULID


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    platform: str
    now: datetime  # when the call arrived
    withholds_premium: bool  # whether the platform does, for all its contractors
    session_ttl: timedelta  # how long an application may take


def new_id(prefix: str) -> str:
    """A prefix (`cn`, `an` ...) and a ULID: ids made by one process ascend, even within a millisecond."""
    return f"{prefix}_{ULID()}"
