"""Requests about events."""

from typing import Annotated

from pydantic import BeforeValidator

from server.domain.events import EventType
from server.domain.outbox import EventFilter
from server.service.fields import Fields, FilterReference, ListRequest, few


def _type(value: str) -> EventType:
    try:
        return EventType(value)
    except ValueError:
        raise ValueError("must be types that Event names") from None


Types = Annotated[frozenset[Annotated[EventType, BeforeValidator(_type)]], few]


class ListEvents(ListRequest):
    types: Types = frozenset()
    resource: FilterReference = ""
    after: FilterReference = ""

    def filter(self) -> EventFilter:
        return EventFilter(types=self.types, resource=self.resource)


class WatchEvents(Fields):
    after: FilterReference = ""
    types: Types = frozenset()
    batched: bool = False
