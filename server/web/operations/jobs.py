"""/jobs"""

from server.domain.ports import Unit
from server.service import jobs
from server.service.once import Reply
from server.web import asked, shown
from server.web.call import Call
from server.web.operation import Operation
from server.web.shown import Shown


async def create(call: Call, wanted: asked.Job) -> Reply:
    return await call.change(lambda unit: shown.job(jobs.create(unit, call.ctx, wanted.values())))


async def get(call: Call, _: None) -> Shown:
    return shown.job(await call.read(lambda unit: jobs.get(unit, call.ctx, call.id)))


async def list_(call: Call, wanted: asked.ListedJobs) -> list[Shown]:
    items, _ = await call.read(lambda unit: jobs.list_page(unit, call.ctx, **wanted.filters()))
    return [shown.job(item) for item in items]


async def update(call: Call, changes: asked.Changes) -> Reply:
    def work(unit: Unit) -> Shown:
        unit.jobs.lock(call.ctx.platform, call.id)
        before = jobs.get(unit, call.ctx, call.id)
        return shown.job(jobs.update(unit, call.ctx, call.id, changes.onto(before)))

    return await call.change(work)


OPERATIONS = (
    Operation(
        verb="POST",
        path="/jobs",
        method="JobService/CreateJob",
        handler=create,
        asks=asked.Job,
        shows=(shown.Job,),
        summary="Create a job.",
    ),
    Operation(
        verb="GET",
        path="/jobs",
        method="JobService/ListJobs",
        handler=list_,
        asks=asked.ListedJobs,
        shows=(shown.Job,),
        many=True,
        summary="List the jobs.",
    ),
    Operation(
        verb="GET",
        path="/jobs/{id}",
        method="JobService/GetJob",
        handler=get,
        shows=(shown.Job,),
        summary="Get a job.",
    ),
    Operation(
        verb="PUT",
        path="/jobs/{id}",
        method="JobService/UpdateJob",
        handler=update,
        asks=asked.Job,
        shows=(shown.Job,),
        summary="Change what is sent of a job.",
    ),
)
