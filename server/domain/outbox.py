"""The port to the events that were recorded, and to those to record: storage implements it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.domain.events import Event, EventType, Subject


@dataclass(frozen=True, kw_only=True, slots=True)
class EventFilter:
    """Which events are wanted; an empty part takes all."""

    types: frozenset[EventType] = frozenset()
    resource: str = ""


class Events(Protocol):
    """The outbox. An event is recorded in the transaction of its change, and can be read once it has its position."""

    def record(self, type_: EventType, subject: Subject, now: datetime) -> None:
        """Tells of a change to the subject, which is given as it is afterwards."""

    def add(self, event: Event) -> None:
        """As `record`, where the event is made already."""

    def position(self, platform: str, event_id: str) -> int | None:
        """None where no such event can be read."""

    def oldest(self, platform: str) -> str:
        """The id of the oldest event that is kept; empty when there is none."""

    def last_position(self) -> int:
        """Of all platforms; 0 before the first."""

    def next(self, position: int, most: int) -> Sequence[Event]:
        """Of all platforms, after the position, in order."""

    def after(self, platform: str, position: int, most: int, wanted: EventFilter = ...) -> Sequence[Event]:
        """In order."""

    def before(self, platform: str, position: int | None, most: int, wanted: EventFilter = ...) -> Sequence[Event]:
        """Newest first; None: from the newest."""

    def about(self, platform: str, resources: Collection[str]) -> Sequence[Event]:
        """All that are kept about the resources, those that have no position yet too."""

    def update(self, changed: Sequence[Event]) -> None:
        """Puts other data in the place of theirs."""

    def sweep(self, before: datetime, most: int) -> int:
        """Deletes the first ones, as long as they were recorded before; returns how many."""
