"""optin.v1.EventService."""

from collections.abc import AsyncGenerator

from optin.v1 import event_service_pb2 as pb

from server.api import render
from server.api.call import Call
from server.api.parse import parse
from server.api.requests.events import ListEvents, WatchEvents
from server.api.wire import sized, tag
from server.domain.events import Event
from server.service import events
from server.service.once import Reply

LISTED = tag(pb.ListEventsResponse.DESCRIPTOR.fields_by_name["events"])
WATCHED = tag(pb.WatchEventsResponse.DESCRIPTOR.fields_by_name["event"])
WATCHED_BATCHED = tag(pb.WatchEventsResponse.DESCRIPTOR.fields_by_name["events"])


def told(event: Event, *, batched: bool) -> bytes:
    """A WatchEventsResponse, or its part with this event (`feed.Render`)."""
    return (WATCHED_BATCHED if batched else WATCHED) + sized(render.event(event))


class EventService:
    async def ListEvents(self, request: pb.ListEventsRequest, call: Call) -> Reply:
        wanted = parse(ListEvents, request)
        items, token = await call.read(
            lambda unit: events.list_page(unit, call.ctx, wanted.filter(), after=wanted.after, **wanted.page())
        )
        listed = b"".join(LISTED + sized(render.event(item)) for item in items)
        return Reply(listed + pb.ListEventsResponse(next_page_token=token).SerializeToString())

    def WatchEvents(self, request: pb.WatchEventsRequest, call: Call) -> AsyncGenerator[bytes, None]:
        wanted = parse(WatchEvents, request)
        return call.watch(wanted.after, wanted.types, batched=wanted.batched)
