"""Application sessions as they are kept: a new status is told as an event."""

from datetime import datetime

from server.domain.events import OF_SESSION
from server.domain.ports import Unit
from server.domain.records import ApplicationSession


def keep(unit: Unit, before: ApplicationSession, after: ApplicationSession, now: datetime) -> None:
    unit.sessions.update(after)
    if after.status is not before.status:
        unit.events.record(OF_SESSION[after.status], after, now)
