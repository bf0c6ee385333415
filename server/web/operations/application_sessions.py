"""/apply/sessions"""

from server.domain.errors import InvalidFields
from server.service import applications
from server.service.once import Reply
from server.service.settable import fits_its_workflow
from server.web import asked, shown
from server.web.call import Call
from server.web.operation import Operation
from server.web.shown import Shown


async def create(call: Call, wanted: asked.ApplicationSession) -> Reply:
    values = wanted.values()
    if bad := list(fits_its_workflow(values)):
        raise InvalidFields(bad)
    return await call.change(
        lambda unit: shown.application_session(applications.create(unit, call.ctx, values), call.ctx.now)
    )


async def get(call: Call, _: None) -> Shown:
    found = await call.read(lambda unit: applications.get(unit, call.ctx, call.id))
    return shown.application_session(found, call.ctx.now)


async def list_(call: Call, wanted: asked.ListedSessions) -> list[Shown]:
    items, _ = await call.read(lambda unit: applications.list_page(unit, call.ctx, **wanted.filters()))
    return [shown.application_session(item, call.ctx.now) for item in items]


async def expire(call: Call, _: asked.Nothing) -> Reply:
    return await call.change(
        lambda unit: shown.application_session(applications.expire(unit, call.ctx, call.id), call.ctx.now)
    )


OPERATIONS = (
    Operation(
        verb="POST",
        path="/apply/sessions",
        method="ApplicationSessionService/CreateApplicationSession",
        handler=create,
        asks=asked.ApplicationSession,
        shows=(shown.ApplicationSession,),
        summary="Create an application session: a general opt-in, or one for a quote.",
    ),
    Operation(
        verb="GET",
        path="/apply/sessions",
        method="ApplicationSessionService/ListApplicationSessions",
        handler=list_,
        asks=asked.ListedSessions,
        shows=(shown.ApplicationSession,),
        many=True,
        summary="List the application sessions.",
    ),
    Operation(
        verb="GET",
        path="/apply/sessions/{id}",
        method="ApplicationSessionService/GetApplicationSession",
        handler=get,
        shows=(shown.ApplicationSession,),
        summary="Get an application session.",
    ),
    Operation(
        verb="POST",
        path="/apply/sessions/{id}/expire",
        method="ApplicationSessionService/ExpireApplicationSession",
        handler=expire,
        asks=asked.Nothing,
        shows=(shown.ApplicationSession,),
        summary="Expire an application session that is open.",
    ),
)
