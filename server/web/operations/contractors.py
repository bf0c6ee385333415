"""/contractors"""

from server.domain.ports import Unit
from server.service import contractors
from server.service.once import Reply
from server.web import asked, shown
from server.web.call import Call
from server.web.operation import Operation
from server.web.shown import Shown


async def create(call: Call, wanted: asked.Contractor) -> Reply:
    return await call.change(lambda unit: shown.contractor(contractors.create(unit, call.ctx, wanted.values())))


async def get(call: Call, _: None) -> Shown:
    return shown.contractor(await call.read(lambda unit: contractors.get(unit, call.ctx, call.id)))


async def list_(call: Call, wanted: asked.ListedContractors) -> list[Shown]:
    items, _ = await call.read(lambda unit: contractors.list_page(unit, call.ctx, **wanted.filters()))
    return [shown.contractor(item) for item in items]


async def update(call: Call, changes: asked.Changes) -> Reply:
    def work(unit: Unit) -> Shown:
        before = contractors.lock(unit, call.ctx, call.id)
        return shown.contractor(contractors.update(unit, call.ctx, call.id, changes.onto(before)))

    return await call.change(work)


async def delete(call: Call, _: None) -> Reply:
    return await call.change_or_wait(
        lambda unit, attempt: contractors.delete(unit, call.ctx, attempt, call.id), shown.contractor
    )


LIVE, EVERY = (shown.Contractor,), (shown.Contractor, shown.DeletedContractor)
OPERATIONS = (
    Operation(
        verb="POST",
        path="/contractors",
        method="ContractorService/CreateContractor",
        handler=create,
        asks=asked.Contractor,
        shows=LIVE,
        summary="Create a contractor.",
    ),
    Operation(
        verb="GET",
        path="/contractors",
        method="ContractorService/ListContractors",
        handler=list_,
        asks=asked.ListedContractors,
        shows=LIVE,
        many=True,
        summary="List the contractors that are not deleted.",
    ),
    Operation(
        verb="GET",
        path="/contractors/{id}",
        method="ContractorService/GetContractor",
        handler=get,
        shows=EVERY,
        summary="Get a contractor.",
    ),
    Operation(
        verb="PUT",
        path="/contractors/{id}",
        method="ContractorService/UpdateContractor",
        handler=update,
        asks=asked.Contractor,
        shows=LIVE,
        summary="Change what is sent of a contractor.",
    ),
    Operation(
        verb="DELETE",
        path="/contractors/{id}",
        method="ContractorService/DeleteContractor",
        handler=delete,
        shows=(shown.DeletedContractor,),
        summary="Delete a contractor, and end its cover.",
    ),
)
