"""optin.v1.AssignmentService."""

import asyncio
from collections.abc import Awaitable
from functools import cache

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from optin.v1 import assignment_service_pb2 as pb
from optin.v1.resources_pb2 import BindingOutcome, Event

from server.api import render
from server.api.call import Call
from server.api.parse import parse
from server.api.requests.assignments import ExtendAssignment, ListAssignments, ListBindingDecisions, creation
from server.api.wire import sized, tag
from server.domain.errors import InvalidFields, Violation
from server.domain.records import Assignment
from server.service import assignments, extending
from server.service.calls import Asking
from server.service.events import Rendered
from server.service.fields import CancelRequest, IdRequest
from server.service.once import Reply

MOST_IN_A_BATCH = 200


def created(assignment: Assignment) -> pb.CreateAssignmentResponse:
    message = render.assignment(assignment)
    return pb.CreateAssignmentResponse(assignment=message, outcome=message.binding.outcome)


def extended(assignment: Assignment) -> pb.ExtendAssignmentResponse:
    message = render.assignment(assignment)
    return pb.ExtendAssignmentResponse(assignment=message, outcome=message.binding.outcome)


ASSIGNMENT = tag(pb.CreateAssignmentResponse.DESCRIPTOR.fields_by_name["assignment"])
EVENTS_ASSIGNMENT = tag(Event.DESCRIPTOR.fields_by_name["assignment"])


@cache
def _outcome(outcome: BindingOutcome.ValueType) -> bytes:
    return pb.CreateAssignmentResponse(outcome=outcome).SerializeToString()


def rendered(assignment: Assignment) -> Rendered:
    """The response as it is stored and sent, and the event's data: made inside the unit that creates the assignment.

    Both hold the assignment, which is serialized once.
    """
    message = render.assignment(assignment)
    body = sized(message.SerializeToString(deterministic=True))
    return Rendered(response=ASSIGNMENT + body + _outcome(message.binding.outcome), data=EVENTS_ASSIGNMENT + body)


def asking(request: pb.CreateAssignmentRequest, call: Call) -> Asking:
    """Raises InvalidFields."""
    wanted = creation(request, call.ctx.now, past_allowed=call.past_starts_allowed)
    return call.ctx, wanted, call.key(request)


def _result(answer: Message | Reply) -> pb.BatchCreateAssignmentsResponse.Result:
    if isinstance(answer, Status):
        return pb.BatchCreateAssignmentsResponse.Result(error=answer)
    if isinstance(answer, Reply):
        answer = pb.CreateAssignmentResponse.FromString(answer.body)
    assert isinstance(answer, pb.CreateAssignmentResponse)  # noqa: S101
    return pb.BatchCreateAssignmentsResponse.Result(response=answer)


class AssignmentService:
    def CreateAssignment(
        self, request: pb.CreateAssignmentRequest, call: Call
    ) -> Awaitable[Reply | pb.CreateAssignmentResponse]:
        if request.validate_only:
            return self._preview(request, call)
        return call.create_assignment(lambda: asking(request, call))

    async def _preview(self, request: pb.CreateAssignmentRequest, call: Call) -> pb.CreateAssignmentResponse:
        ctx, wanted, _ = asking(request, call)
        return created(await call.read(lambda unit: assignments.preview(unit, ctx, wanted)))

    async def BatchCreateAssignments(
        self, request: pb.BatchCreateAssignmentsRequest, call: Call
    ) -> pb.BatchCreateAssignmentsResponse:
        if not 0 < len(request.requests) <= MOST_IN_A_BATCH:
            raise InvalidFields([Violation("requests", f"must have from 1 to {MOST_IN_A_BATCH} items")])
        answers = await asyncio.gather(*(call.answer_item(self.CreateAssignment, item) for item in request.requests))
        return pb.BatchCreateAssignmentsResponse(results=map(_result, answers))

    async def GetAssignment(self, request: pb.GetAssignmentRequest, call: Call) -> pb.GetAssignmentResponse:
        wanted = parse(IdRequest, request)
        found = await call.read(lambda unit: assignments.get(unit, call.ctx, wanted.id))
        return pb.GetAssignmentResponse(assignment=render.assignment(found))

    async def CancelAssignment(self, request: pb.CancelAssignmentRequest, call: Call) -> Reply:
        wanted = parse(CancelRequest, request)
        return await call.change(
            request,
            lambda unit: pb.CancelAssignmentResponse(
                assignment=render.assignment(assignments.cancel(unit, call.ctx, wanted.id, wanted.reason))
            ),
        )

    async def ExtendAssignment(self, request: pb.ExtendAssignmentRequest, call: Call) -> Reply:
        wanted = parse(ExtendAssignment, request)
        return await call.change_or_wait(
            request,
            lambda unit, attempt: extending.extend(
                unit,
                call.ctx,
                call.binder,
                attempt,
                wanted.id,
                wanted.end_time,
                past_allowed=call.past_starts_allowed,
            ),
            extended,
        )

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

    async def ListBindingDecisions(
        self, request: pb.ListBindingDecisionsRequest, call: Call
    ) -> pb.ListBindingDecisionsResponse:
        wanted = parse(ListBindingDecisions, request)
        items, token = await call.read(
            lambda unit: assignments.list_decisions(unit, call.ctx, wanted.assignment, **wanted.page())
        )
        return pb.ListBindingDecisionsResponse(
            binding_decisions=map(render.binding_decision, items), next_page_token=token
        )
