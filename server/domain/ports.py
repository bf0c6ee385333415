"""What the use cases need from outside: storage and carriers implement these.

A unit of work is a synchronous function over a `Unit`: storage runs it in one transaction, on whatever
thread or connection it likes, and commits when the function returns (`Storage.write`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from server.domain.callers import EVERY_PLATFORM, Keys, Platforms
from server.domain.carrier import CarrierOrders, PendingBindings
from server.domain.enums import (
    ApplicationSessionStatus,
    AssignmentStatus,
    BindingOutcome,
    CoverageType,
    PolicyStatus,
    QuoteStatus,
)
from server.domain.outbox import Events
from server.domain.records import (
    ApplicationSession,
    Approval,
    Assignment,
    Contractor,
    DecisionRecord,
    Job,
    JobCategory,
    OptIn,
    Policy,
    Quote,
)
from server.domain.requests import Requests
from server.domain.terms import Period
from server.domain.trail import Trail

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """A keyset page, newest first: at most `size` rows whose ids come before `before` (empty: from the start).

    `after`, in its place: the last of those whose ids come after.
    """

    size: int
    before: str = ""
    after: str = ""


class Contractors(Protocol):
    def lock(self, ids: Iterable[str], platform: str = EVERY_PLATFORM, *, may_wait: bool = True) -> frozenset[str]:
        """Locks the platform's contractors until the unit ends; returns the ids that another unit keeps locked.

        `may_wait`: for another unit, where none of them is free; not for one that holds others already.
        """

    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Contractor]:
        """Deleted ones too."""

    def whosever(self, id_: str) -> Contractor | None:
        """Of whatever platform: for the operator's commands, never for a caller. A deleted one too."""

    def page(self, platform: str, page: Page, *, email: str = "") -> Sequence[Contractor]:
        """Live ones only."""

    def insert(self, contractor: Contractor) -> None:
        """Raises DuplicateEmail."""

    def update(self, contractor: Contractor) -> None:
        """Raises DuplicateEmail. A contractor with a delete_time gives its email free."""


class Jobs(Protocol):
    def lock(self, platform: str, id_: str) -> None:
        """Locks the job, if there is one, until the unit ends."""

    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Job]: ...

    def page(self, platform: str, page: Page, *, category_code: str = "") -> Sequence[Job]: ...

    def insert(self, job: Job) -> None: ...

    def update(self, job: Job) -> None: ...


class JobCategories(Protocol):
    def find(self, platform: str, codes: Collection[str]) -> Mapping[str, JobCategory]: ...

    def page(self, platform: str, page: Page) -> Sequence[JobCategory]: ...

    def insert(self, category: JobCategory) -> None: ...

    def approve(self, category: JobCategory, approvals: Sequence[Approval]) -> None:
        """Inserts the approvals, or replaces those for the same coverage type and state."""

    def revoke(self, category: JobCategory, coverage_type: CoverageType, states: Collection[str]) -> None: ...


class ApplicationSessions(Protocol):
    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, ApplicationSession]: ...

    def opt_ins(self, platform: str, contractors: Collection[str]) -> Mapping[str, Sequence[OptIn]]:
        """All general opt-ins of each contractor, of every state and status."""

    def live(self, platform: str, contractor: str, *, quote: str = "") -> Sequence[ApplicationSession]:
        """Those that are stored as open or in review; `quote`: only its own."""

    def page(
        self,
        platform: str,
        page: Page,
        *,
        now: datetime,
        contractor: str = "",
        is_general_opt_in: bool | None = None,
        work_state: str = "",
        status: ApplicationSessionStatus | None = None,
    ) -> Sequence[ApplicationSession]: ...

    def expired(self, now: datetime, most: int) -> Sequence[ApplicationSession]:
        """Open ones past their time whose expiry is not told yet, of all platforms, the longest past first."""

    def insert(self, session: ApplicationSession) -> None: ...

    def update(self, session: ApplicationSession) -> None: ...


class Quotes(Protocol):
    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Quote]: ...

    def page(
        self,
        platform: str,
        page: Page,
        *,
        now: datetime,
        contractor: str = "",
        job: str = "",
        status: QuoteStatus | None = None,
    ) -> Sequence[Quote]: ...

    def expired(self, now: datetime, most: int) -> Sequence[Quote]:
        """Some of those that read as expired and whose expiry was not told."""

    def insert(self, quote: Quote) -> None: ...

    def update(self, quote: Quote) -> None: ...


class Policies(Protocol):
    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Policy]: ...

    def live(self, platform: str, contractors: Collection[str]) -> Mapping[str, Sequence[Policy]]:
        """Those of each contractor that are neither cancelled nor failed."""

    def last_numbers(self, platform: str, contractors: Collection[str]) -> Mapping[str, int]:
        """The highest policy number of each contractor that has any."""

    def page(
        self, platform: str, page: Page, *, now: datetime, contractor: str = "", status: PolicyStatus | None = None
    ) -> Sequence[Policy]: ...

    def expired(self, now: datetime, most: int) -> Sequence[Policy]:
        """Active ones past their term whose expiry is not told yet, of all platforms, the longest past first."""

    def insert(self, policies: Sequence[Policy]) -> None: ...

    def update(self, policies: Sequence[Policy]) -> None: ...


class Assignments(Protocol):
    def find(self, platform: str, ids: Collection[str]) -> Mapping[str, Assignment]: ...

    def page(
        self,
        platform: str,
        page: Page,
        *,
        contractor: str = "",
        job: str = "",
        outcome: BindingOutcome | None = None,
        status: AssignmentStatus | None = None,
    ) -> Sequence[Assignment]: ...

    def insert(self, decisions: Sequence[DecisionRecord]) -> None:
        """Inserts the assignments, each with its first decision."""

    def decide_again(self, decision: DecisionRecord) -> None:
        """Adds a later decision, which the assignment shows from then on."""

    def cancel(self, assignment: Assignment) -> None:
        """Keeps that it is cancelled, when and why."""

    def extend(self, assignment: Assignment) -> None:
        """Keeps its end_time."""

    def naming(self, platform: str, contractor: str, policies: Collection[str]) -> Sequence[DecisionRecord]:
        """The last decision about each assignment that stands, where it names some of the policies."""

    def uncovered_since(self, policy: Policy) -> Sequence[DecisionRecord]:
        """The last decision about each assignment that stands, had the policy, and has types left over."""

    def last_decision(self, contractor: str, assignment: str) -> DecisionRecord: ...

    def decisions(self, assignment: Assignment, page: Page) -> Sequence[DecisionRecord]:
        """All that were made about it, the last one first; a page's key is the number."""

    def uncovered(self, platform: str, contractor: str, job: str, term: Period) -> Sequence[DecisionRecord]:
        """The last decision about each assignment on the job that ends in the term and has types left over."""


class Unit(Protocol):
    """One transaction, or one reader's view of the database."""

    @property
    def contractors(self) -> Contractors: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def categories(self) -> JobCategories: ...
    @property
    def sessions(self) -> ApplicationSessions: ...
    @property
    def quotes(self) -> Quotes: ...
    @property
    def policies(self) -> Policies: ...
    @property
    def assignments(self) -> Assignments: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def pending(self) -> PendingBindings: ...
    @property
    def orders(self) -> CarrierOrders: ...
    @property
    def events(self) -> Events: ...
    @property
    def trail(self) -> Trail: ...
    @property
    def platforms(self) -> Platforms: ...
    @property
    def keys(self) -> Keys: ...

    def savepoint(self) -> AbstractContextManager[object]:
        """What is written inside is undone when the block raises; the unit goes on."""

    def within(self, platform: str) -> AbstractContextManager[object]:
        """Inside, where the database can see to it, the unit reaches this platform's rows only.

        A block that raises leaves it so until the savepoint or the unit around it is undone.
        """


class Conflict(Exception):
    """Another unit got there first: this one was rolled back, and running it again may succeed."""


class Storage(Protocol):
    async def read(self, work: Callable[[Unit], T], platform: str = EVERY_PLATFORM, *, brief: bool = False) -> T:
        """Reaches, where the database can see to it, this platform's rows only. Raises StorageUnavailable.

        `brief`: it takes a few milliseconds at most, so that it may hold up the event loop.
        """

    async def read_aside(self, work: Callable[[Unit], T]) -> T:
        """As `read`, of every platform's, on a connection that no call can keep busy. Raises StorageUnavailable."""

    async def write(self, work: Callable[[Unit], T], *, brief: bool = False) -> T:
        """Runs the unit and returns when it is on disk; whatever is raised, nothing was written.

        `brief`: as for `read`, but for its waits.

        Raises Conflict, StorageUnavailable (then what was written may be unknown), or what `work` raised.
        """

    async def ready(self) -> None:
        """Returns when a unit that came now would not wait for what the last one has left to do."""

    async def sequence(self, most: int) -> int:
        """Gives committed events that have none their positions; how many. Raises Conflict, StorageUnavailable."""

    async def ping(self) -> None:
        """Raises StorageUnavailable."""


Clock = Callable[[], datetime]
