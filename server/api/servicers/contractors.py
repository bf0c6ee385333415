"""optin.v1.ContractorService."""

from optin.v1 import contractor_service_pb2 as pb

from server.api import render
from server.api.call import Call
from server.api.parse import parse, parse_update
from server.api.requests.contractors import CreateContractor, ListContractors
from server.service import contractors
from server.service.fields import IdRequest
from server.service.once import Reply
from server.service.settable import ContractorFields


class ContractorService:
    async def CreateContractor(self, request: pb.CreateContractorRequest, call: Call) -> Reply:
        values = parse(CreateContractor, request).contractor.values()
        return await call.change(
            request,
            lambda unit: pb.CreateContractorResponse(
                contractor=render.contractor(contractors.create(unit, call.ctx, values))
            ),
        )

    async def GetContractor(self, request: pb.GetContractorRequest, call: Call) -> pb.GetContractorResponse:
        wanted = parse(IdRequest, request)
        found = await call.read(lambda unit: contractors.get(unit, call.ctx, wanted.id))
        return pb.GetContractorResponse(contractor=render.contractor(found))

    async def ListContractors(self, request: pb.ListContractorsRequest, call: Call) -> pb.ListContractorsResponse:
        wanted = parse(ListContractors, request)
        items, token = await call.read(
            lambda unit: contractors.list_page(unit, call.ctx, email=wanted.email, **wanted.page())
        )
        return pb.ListContractorsResponse(contractors=map(render.contractor, items), next_page_token=token)

    async def UpdateContractor(self, request: pb.UpdateContractorRequest, call: Call) -> Reply:
        changes = parse_update(ContractorFields, request, "contractor")
        return await call.change(
            request,
            lambda unit: pb.UpdateContractorResponse(
                contractor=render.contractor(contractors.update(unit, call.ctx, request.contractor.id, changes))
            ),
        )

    async def DeleteContractor(self, request: pb.DeleteContractorRequest, call: Call) -> Reply:
        wanted = parse(IdRequest, request)
        return await call.change_or_wait(
            request,
            lambda unit, attempt: contractors.delete(unit, call.ctx, attempt, wanted.id),
            lambda contractor: pb.DeleteContractorResponse(contractor=render.contractor(contractor)),
        )
