"""What is told of each call, whichever way it came: its id, and how it ended."""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from uuid_utils import uuid7

from server.domain.callers import Caller
from server.domain.errors import DomainError, Overloaded
from server.domain.observing import Ended
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


@dataclass(slots=True, eq=False)
class Line:
    """What is told of one call, once: to those who count, and as a line in the log."""

    _log: Any
    _gate: Gate
    _method: str
    call_id: str
    _ended: Ended
    _started: float  # by time.perf_counter
    caller: Caller | None = None  # once it is known
    _told: bool = False

    def end(self, code: str = "OK", *, reply: Reply = NOTHING, error: Exception | None = None) -> None:
        """The call has ended: the first one who says so knows."""
        if self._told:
            return
        self._told = True
        with suppress(Exception):  # a log that cannot be written (no disk, no reader) changes no answer
            seconds = time.perf_counter() - self._started
            self._ended(code, seconds)
            self._tell(code, seconds, reply, error)
        if error is not None:
            error.with_traceback(None)  # which would keep the request until the next look for garbage

    def _tell(self, code: str, seconds: float, reply: Reply, error: Exception | None) -> None:
        """Those that were refused for load are told together."""
        if isinstance(error, Overloaded):
            self._gate.tell_refused(error)
            return
        entry: dict[str, Any] = {
            "method": self._method,
            "code": code,
            "ms": round(seconds * 1000, 2),
            "call_id": self.call_id,
        }
        if self.caller is not None:
            entry["caller"] = self.caller.actor
        if reply.outcome or reply.replayed:
            entry["outcome"] = reply.outcome or "REPLAYED"
        if error is None:
            self._log.info("call", **entry)
        elif isinstance(error, DomainError):
            self._log.info("call", **entry, reason=error.reason)
        else:
            self._log.error("call", **entry, exc_info=error)
