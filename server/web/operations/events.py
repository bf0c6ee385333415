"""/events"""

from collections.abc import Callable, Mapping
from typing import Any

from server.domain.outbox import EventFilter
from server.service import events
from server.web import asked, shown
from server.web.call import Call
from server.web.operation import Operation
from server.web.shown import Shown


def operations(data: Callable[[bytes], tuple[str, Mapping[str, Any]]]) -> tuple[Operation, ...]:
    async def get(call: Call, _: None) -> Shown:
        found = await call.read(lambda unit: events.get(unit, call.ctx, call.id))
        return shown.event(found, *data(found.data))

    async def list_(call: Call, wanted: asked.ListedEvents) -> list[Shown]:
        chosen = EventFilter(types=wanted.types, resource=wanted.resource)
        items = await call.read(lambda unit: events.newest(unit, call.ctx, chosen, wanted.page))
        return [shown.event(item, *data(item.data)) for item in items]

    return (
        Operation(
            verb="GET",
            path="/events",
            method="EventService/ListEvents",
            handler=list_,
            asks=asked.ListedEvents,
            shows=(shown.Event,),
            many=True,
            summary="List the events.",
        ),
        Operation(
            verb="GET",
            path="/events/{id}",
            method="EventService/ListEvents",
            handler=get,
            shows=(shown.Event,),
            summary="Get an event.",
        ),
    )
