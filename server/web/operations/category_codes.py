"""/category_codes"""

from server.service import jobs
from server.web import asked, shown
from server.web.call import Call
from server.web.operation import Operation
from server.web.shown import Shown


async def get(call: Call, _: None) -> Shown:
    return shown.category_code(await call.read(lambda unit: jobs.get_category(unit, call.ctx, call.id)))


async def list_(call: Call, wanted: asked.Listed) -> list[Shown]:
    items, _ = await call.read(lambda unit: jobs.list_categories(unit, call.ctx, **wanted.filters()))
    return [shown.category_code(item) for item in items]


OPERATIONS = (
    Operation(
        verb="GET",
        path="/category_codes",
        method="JobService/ListJobCategories",
        handler=list_,
        asks=asked.Listed,
        shows=(shown.CategoryCode,),
        many=True,
        summary="List the job categories, each with where it is approved.",
    ),
    Operation(
        verb="GET",
        path="/category_codes/{id}",
        method="JobService/ListJobCategories",
        handler=get,
        shows=(shown.CategoryCode,),
        summary="Get a job category.",
    ),
)
