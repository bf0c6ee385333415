"""A contractor's personal values, taken out of everything that is kept (issue 5, item 6); the insurance record stays.

In steps too small to hold up a batch, beside running servers: what there is to change is looked for in reads, and
changed some rows at a time. The contractor's own record goes first and its applications, policies and assignments
next, so that whatever a server answers or tells from then on is made of what is left; what was answered and told
before comes last.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from server.domain.errors import NotFound
from server.domain.events import Event
from server.domain.personal import Record, erased, erased_contractor
from server.domain.ports import Page, Storage, Unit
from server.domain.records import ApplicationSession, Assignment, Contractor, Policy
from server.domain.requests import StoredRequest
from server.domain.trail import OPERATOR, act

T = TypeVar("T")

STEP_ROWS = 20  # changed in one transaction
LOOK_ROWS = 500  # of requests, looked at in one read

Erase = Callable[[bytes, str], bytes]
"""Bytes as they are stored, without what is personal of the contractor with the id."""


class ContractorIsLive(Exception):
    """Its cover ends when the platform says so, never as a side effect."""


class PageOf(Protocol):
    """A page of the contractor's resources of one kind."""

    def __call__(self, unit: Unit, *, of: Contractor, page: Page, now: datetime) -> Sequence[Record]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Erasing:
    storage: Storage
    response: Erase  # of a stored request
    event: Erase  # the data of one
    now: datetime

    async def erase(self, contractor_id: str) -> Counter[str]:
        """How many records, events and responses were changed: none, when all was done before.

        One that fails in between is finished by erasing again. Raises NotFound, ContractorIsLive, StorageUnavailable,
        Conflict.
        """
        contractor, changed = await self.storage.write(partial(_erase_contractor, id_=contractor_id, now=self.now))
        counts = Counter(records=int(changed), events=await self._erase_events(contractor, [contractor.id]))
        for page_of in PAGES:
            counts += await self._erase_resources(contractor, page_of)
        counts["responses"] = await self._erase_responses(contractor)
        return counts

    async def _erase_resources(self, contractor: Contractor, page_of: PageOf) -> Counter[str]:
        counts: Counter[str] = Counter()
        page = Page(STEP_ROWS)
        while True:
            look = partial(page_of, of=contractor, page=page, now=self.now)
            found = await self.storage.read(look)
            if any(erased(record) != record for record in found):
                counts["records"] += await self.storage.write(partial(_erase_found, of=contractor, look=look))
            counts["events"] += await self._erase_events(contractor, [record.id for record in found])
            if len(found) < STEP_ROWS:
                return counts
            page = replace(page, before=found[-1].id)

    async def _erase_events(self, contractor: Contractor, resources: Sequence[str]) -> int:
        told = await self.storage.read(lambda unit: unit.events.about(contractor.platform, resources))
        after = [replace(event, data=self.event(event.data, contractor.id)) for event in told]
        changed = [event for event, before in zip(after, told, strict=True) if event != before]
        for some in _steps(changed):
            await self.storage.write(partial(_put_events, changed=some))
        return len(changed)

    async def _erase_responses(self, contractor: Contractor) -> int:
        """Looks at all that are kept: request ids are the callers' own."""
        count, last, more = 0, "", True
        while more:
            kept = await self.storage.read(partial(_kept_after, platform=contractor.platform, last=last))
            after = [replace(request, response=self.response(request.response, contractor.id)) for request in kept]
            changed = [request for request, before in zip(after, kept, strict=True) if request != before]
            for some in _steps(changed):
                await self.storage.write(partial(_put_responses, changed=some))
            count += len(changed)
            more = len(kept) == LOOK_ROWS
            last = kept[-1].request_id if kept else last
        return count


def _erase_contractor(unit: Unit, id_: str, now: datetime) -> tuple[Contractor, bool]:
    """As it is left, and whether that is another than before. Raises NotFound, ContractorIsLive."""
    unit.contractors.lock([id_])
    before = unit.contractors.whosever(id_)
    if before is None:
        raise NotFound("contractor", id_)
    if before.delete_time is None:
        raise ContractorIsLive(id_)
    after = erased_contractor(before)
    unit.contractors.update(after)
    unit.trail.record(after.platform, act(now, OPERATOR, "contractor erase", after.id))
    return after, after != before


def _erase_found(unit: Unit, of: Contractor, look: Callable[[Unit], Sequence[Record]]) -> int:
    """Looks again once nobody else can change them; returns how many it changed."""
    unit.contractors.lock([of.id])
    changed = [after for before in look(unit) if (after := erased(before)) != before]
    for record in changed:
        match record:
            case ApplicationSession():
                unit.sessions.update(record)
            case Policy():
                unit.policies.update([record])
            case Assignment():
                unit.assignments.cancel(record)
    return len(changed)


def _put_events(unit: Unit, changed: Sequence[Event]) -> None:
    unit.events.update(changed)


def _kept_after(unit: Unit, platform: str, last: str) -> Sequence[StoredRequest]:
    return unit.requests.after(platform, last, LOOK_ROWS)


def _put_responses(unit: Unit, changed: Sequence[StoredRequest]) -> None:
    for request in changed:
        unit.requests.settle(request.platform, request.request_id, request.response)


def _sessions(unit: Unit, *, of: Contractor, page: Page, now: datetime) -> Sequence[Record]:
    return unit.sessions.page(of.platform, page, now=now, contractor=of.id)


def _quotes(unit: Unit, *, of: Contractor, page: Page, now: datetime) -> Sequence[Record]:
    return unit.quotes.page(of.platform, page, now=now, contractor=of.id)


def _policies(unit: Unit, *, of: Contractor, page: Page, now: datetime) -> Sequence[Record]:
    return unit.policies.page(of.platform, page, now=now, contractor=of.id)


def _assignments(unit: Unit, *, of: Contractor, page: Page, now: datetime) -> Sequence[Record]:  # noqa: ARG001
    return unit.assignments.page(of.platform, page, contractor=of.id)


PAGES: Sequence[PageOf] = (_sessions, _quotes, _policies, _assignments)


def _steps(changed: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(changed), STEP_ROWS):
        yield changed[start : start + STEP_ROWS]
