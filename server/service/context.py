"""What every use case is told about its caller, and new ids."""

from datetime import datetime, timedelta

from uuid_utils import uuid7

from server.domain.callers import Caller, Face
from server.domain.record import record
from server.domain.trail import Act, act


@record(frozen=True, kw_only=True, slots=True)
class Context:
    platform: str  # whose resources it is about: the caller's, but where an underwriter works for another
    caller: Caller
    action: str  # the method's full name
    now: datetime  # when the call arrived; of one that is done in a set, when its batch was formed
    withholds_premium: bool  # whether the platform does, for all its contractors
    session_ttl: timedelta  # how long an application may take
    face: Face = Face.GRPC

    def act(self, resource: str) -> Act:
        """What the audit trail says of the change."""
        return act(self.now, self.caller.actor, self.action, resource)


CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS = [first + second for first in CROCKFORD for second in CROCKFORD]  # ten bits each
SHIFTS = range(120, -1, -10)


def ulid() -> str:
    """A UUIDv7 in a ULID's spelling: ids made by one process ascend, even within a millisecond."""
    bits = uuid7().int
    return "".join([PAIRS[bits >> shift & 1023] for shift in SHIFTS])


def new_id(prefix: str) -> str:
    """A prefix (`cn`, `an` ...) and a ULID."""
    return f"{prefix}_{ulid()}"
