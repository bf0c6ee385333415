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
    for session in _still(unit, found, unit.sessions.find):
        if session.status in OPEN and session.expire_time <= now and not session.expiry_told:
            told = replace(session, expiry_told=True)
            unit.sessions.update(told)
            unit.events.record(EventType.SESSION_EXPIRED, told, now)
    return len(found)


def tell_policies(unit: Unit, now: datetime) -> int:
    found = unit.policies.expired(now, STEP_ROWS)
    for policy in _still(unit, found, unit.policies.find):
        if policy.status is PolicyStatus.ACTIVE and policy.expire_time <= now and not policy.expiry_told:
            told = replace(policy, expiry_told=True)
            unit.policies.update([told])
            unit.events.record(EventType.POLICY_EXPIRED, told, now)
    return len(found)


def tell_quotes(unit: Unit, now: datetime) -> int:
    found = unit.quotes.expired(now, STEP_ROWS)
    for quote in _still(unit, found, unit.quotes.find):
        if quoting.status_at(quote, now) is QuoteStatus.EXPIRED and not quote.expiry_told:
            told = replace(quote, expiry_told=True)
            unit.quotes.update(told)
            unit.events.record(EventType.QUOTE_EXPIRED, told, now)
    return len(found)


def _still(unit: Unit, found: Sequence[R], find: Callable[[str, Collection[str]], Mapping[str, R]]) -> Iterator[R]:
    """As they are once their contractors are locked; those whose contractor another holds wait for the next round."""
    locked = unit.contractors.lock(entry.contractor for entry in found)
    free = defaultdict(list)
    for entry in found:
        if entry.contractor not in locked:
            free[entry.platform].append(entry.id)
    for platform, ids in free.items():
        now_there = find(platform, ids)
        yield from (now_there[id_] for id_ in ids)


STEPS: Sequence[Step] = (tell_sessions, tell_quotes, tell_policies)
"""One for each kind of resource that expires."""


def tell(unit: Unit, now: datetime) -> int:
    """Returns the most that a step came upon."""
    return max([step(unit, now) for step in STEPS])


async def tell_expiries(writer: Writer, clock: Clock) -> bool:
    """A step; whether there may be more."""
    return await writer.run(lambda unit: tell(unit, clock())) == STEP_ROWS
