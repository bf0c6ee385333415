"""What is told of each call, whichever way it came: its id, and its line in the log."""

import re
from typing import Any

from uuid_utils import uuid7

from server.domain.callers import Caller
from server.domain.errors import DomainError, Overloaded
from server.service.gate import Gate
from server.service.once import Reply

CALL_ID = "x-call-id"  # the header, or the key in the metadata
PRINTABLE = re.compile(r"[\x21-\x7e]{1,64}")
NOTHING = Reply(b"")


def loggable(call_id: str) -> str:
    """The caller's own, when it can stand in a log; else empty."""
    return call_id if PRINTABLE.fullmatch(call_id) else ""


def new_call_id() -> str:
    return str(uuid7())


def tell(
    log: Any,
    gate: Gate,
    method: str,
    code: str,
    seconds: float,
    call_id: str,
    *,
    caller: Caller | None = None,
    reply: Reply = NOTHING,
    error: Exception | None = None,
) -> None:
    """The line of a call that has ended; those that were refused for load are told together."""
    if isinstance(error, Overloaded):
        gate.tell_refused(error)
        return
    entry: dict[str, Any] = {"method": method, "code": code, "ms": round(seconds * 1000, 2), "call_id": call_id}
    if caller is not None:
        entry["caller"] = caller.actor
    if reply.outcome or reply.replayed:
        entry["outcome"] = reply.outcome or "REPLAYED"
    if error is None:
        log.info("call", **entry)
    elif isinstance(error, DomainError):
        log.info("call", **entry, reason=error.reason)
    else:
        log.error("call", **entry, exc_info=error)
