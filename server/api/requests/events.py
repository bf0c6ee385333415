"""Requests about events."""

from server.domain.outbox import EventFilter
from server.service.fields import EventTypes, Fields, FilterReference, ListRequest


class ListEvents(ListRequest):
    types: EventTypes = frozenset()
    resource: FilterReference = ""
    after: FilterReference = ""

    def filter(self) -> EventFilter:
        return EventFilter(types=self.types, resource=self.resource)


class WatchEvents(Fields):
    after: FilterReference = ""
    types: EventTypes = frozenset()
    batched: bool = False
