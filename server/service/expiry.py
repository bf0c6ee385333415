"""What passes its time is told as an event, once, whichever server comes to it (issue 4, item 7).

Reading a status needs none of this: a round only records that the time has passed.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from server.domain import quoting
from server.domain.application import OPEN
from server.domain.enums import PolicyStatus, QuoteStatus
from server.domain.events import EventType
from server.domain.matching import status_at
from server.domain.ports import Clock, Unit
from server.domain.records import ApplicationSession, Policy, Quote
from server.service.writer import Writer

STEP_ROWS = 50
ROUND_SECONDS = 20.0  # a third of the minute within which an expiry is told

R = TypeVar("R", ApplicationSession, Quote, Policy)
Step = Callable[[Unit, datetime], int]
"""Tells of some that have expired; returns how many it came upon."""


def tell_sessions(unit: Unit, now: datetime) -> int:
    found = unit.sessions.expired(now, STEP_ROWS)
    for session in _told(unit, found, unit.sessions.find, lambda s: s.status in OPEN and s.expire_time <= now):
        unit.sessions.update(session)
        unit.events.record(EventType.SESSION_EXPIRED, session, now)
    return len(found)


def tell_policies(unit: Unit, now: datetime) -> int:
    found = unit.policies.expired(now, STEP_ROWS)
    for policy in _told(unit, found, unit.policies.find, lambda p: status_at(p, now) is PolicyStatus.EXPIRED):
        unit.policies.update([policy])
        unit.events.record(EventType.POLICY_EXPIRED, policy, now)
    return len(found)


def tell_quotes(unit: Unit, now: datetime) -> int:
    found = unit.quotes.expired(now, STEP_ROWS)
    for quote in _told(unit, found, unit.quotes.find, lambda q: quoting.status_at(q, now) is QuoteStatus.EXPIRED):
        unit.quotes.update(quote)
        unit.events.record(EventType.QUOTE_EXPIRED, quote, now)
    return len(found)


def _told(
    unit: Unit,
    found: Sequence[R],
    find: Callable[[str, Collection[str]], Mapping[str, R]],
    has_expired: Callable[[R], bool],
) -> Iterator[R]:
    """Marked as told: those that still are to be once their contractors are locked.

    Those whose contractor another holds wait for the next round.
    """
    locked = unit.contractors.lock(entry.contractor for entry in found)
    free = defaultdict(list)
    for entry in found:
        if entry.contractor not in locked:
            free[entry.platform].append(entry.id)
    for platform, ids in free.items():
        now_there = find(platform, ids)
        for entry in (now_there[id_] for id_ in ids):
            if has_expired(entry) and not entry.expiry_told:
                yield replace(entry, expiry_told=True)


STEPS: Sequence[Step] = (tell_sessions, tell_quotes, tell_policies)
"""One for each kind of resource that expires."""


def tell(unit: Unit, now: datetime) -> int:
    """Returns the most that a step came upon."""
    return max([step(unit, now) for step in STEPS])


async def tell_expiries(writer: Writer, clock: Clock) -> bool:
    """A step; whether there may be more."""
    return await writer.run(lambda unit: tell(unit, clock())) == STEP_ROWS
