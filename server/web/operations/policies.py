"""/policies"""

from server.service import policies
from server.web import asked, shown
from server.web.call import Call
from server.web.operation import Operation
from server.web.shown import Shown


async def get(call: Call, _: None) -> Shown:
    return shown.policy(await call.read(lambda unit: policies.get(unit, call.ctx, call.id)), call.ctx.now)


async def list_(call: Call, wanted: asked.ListedPolicies) -> list[Shown]:
    items, _ = await call.read(lambda unit: policies.list_page(unit, call.ctx, **wanted.filters()))
    return [shown.policy(item, call.ctx.now) for item in items]


OPERATIONS = (
    Operation(
        verb="GET",
        path="/policies",
        method="PolicyService/ListPolicies",
        handler=list_,
        asks=asked.ListedPolicies,
        shows=(shown.Policy,),
        many=True,
        summary="List the policies.",
    ),
    Operation(
        verb="GET",
        path="/policies/{id}",
        method="PolicyService/GetPolicy",
        handler=get,
        shows=(shown.Policy,),
        summary="Get a policy.",
    ),
)
