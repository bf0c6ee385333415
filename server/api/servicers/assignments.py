"""optin.v1.AssignmentService."""

from optin.v1 import assignment_service_pb2 as pb

from server.api import render
from server.api.call import Call
from server.api.fields import IdRequest
from server.api.parse import parse
from server.api.requests.assignments import ListAssignments, creation
from server.domain.records import Assignment
from server.service import assignments
from server.service.once import Reply


def created(assignment: Assignment) -> pb.CreateAssignmentResponse:
    message = render.assignment(assignment)
    return pb.CreateAssignmentResponse(assignment=message, outcome=message.binding.outcome)


def created_bytes(assignment: Assignment) -> bytes:
    """The response as it is stored and sent: made inside the unit that creates the assignment."""
    return created(assignment).SerializeToString(deterministic=True)


class AssignmentService:
    async def CreateAssignment(
        self, request: pb.CreateAssignmentRequest, call: Call
    ) -> Reply | pb.CreateAssignmentResponse:
        wanted = creation(request, call.ctx.now, past_allowed=call.past_starts_allowed)
        if request.validate_only:
            return created(await call.read(lambda unit: assignments.preview(unit, call.ctx, wanted)))
        return await call.create_assignment(request, wanted)

    async def GetAssignment(self, request: pb.GetAssignmentRequest, call: Call) -> pb.GetAssignmentResponse:
        wanted = parse(IdRequest, request)
        found = await call.read(lambda unit: assignments.get(unit, call.ctx, wanted.id))
        return pb.GetAssignmentResponse(assignment=render.assignment(found))

    async def ListAssignments(self, request: pb.ListAssignmentsRequest, call: Call) -> pb.ListAssignmentsResponse:
        wanted = parse(ListAssignments, request)
        items, token = await call.read(
            lambda unit: assignments.list_page(
                unit,
                call.ctx,
                contractor=wanted.contractor,
                job=wanted.job,
                outcome=wanted.outcome,
                **wanted.page(),
            )
        )
        return pb.ListAssignmentsResponse(assignments=map(render.assignment, items), next_page_token=token)
