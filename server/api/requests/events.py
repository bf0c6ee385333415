"""Requests about events."""

from server.domain.outbox import EventFilter
from server.service.fields import EventTypes, Fields, FilterReference, ListRequest


class ListEvents(ListRequest):
    types: EventTypes = frozenset()
    resource: FilterReference = ""
    after: str = ""  # of any shape, as a Reference

    def filter(self) -> EventFilter:
        return EventFilter(types=self.types, resource=self.resource)


class WatchEvents(Fields):
    after: str = ""
    types: EventTypes = frozenset()
    batched: bool = False
