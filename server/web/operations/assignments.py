"""/assignments"""

from server.domain.decision import AssignmentRequest
from server.domain.errors import InvalidFields, Violation
from server.domain.ports import Unit
from server.domain.records import Assignment
from server.domain.terms import assignment_period
from server.service import assignments, extending
from server.service.binding import Asked
from server.service.issuing import Attempt
from server.service.once import Awaits, Reply
from server.web import asked, shown
from server.web.call import Call
from server.web.operation import Operation
from server.web.shown import Shown


async def create(call: Call, wanted: asked.Assignment) -> Shown | Reply:
    now, past_allowed = call.ctx.now, call.past_starts_allowed
    period = assignment_period(wanted.effective_time, wanted.end_time, now, past_allowed=past_allowed)
    types = tuple(wanted.coverage_types)
    request = AssignmentRequest(contractor=wanted.contractor, job=wanted.job, coverage_types=types, period=period)
    if not wanted.bind:
        return shown.assignment(await call.read(lambda unit: assignments.preview(unit, call.ctx, request)))
    return await call.create_assignment(request)


async def get(call: Call, _: None) -> Shown:
    return shown.assignment(await call.read(lambda unit: assignments.get(unit, call.ctx, call.id)))


async def list_(call: Call, wanted: asked.ListedAssignments) -> list[Shown]:
    items, _ = await call.read(lambda unit: assignments.list_page(unit, call.ctx, **wanted.filters()))
    return [shown.assignment(item) for item in items]


async def cancel(call: Call, wanted: asked.Cancel) -> Reply:
    wanted.require()
    return await call.change(
        lambda unit: shown.assignment(assignments.cancel(unit, call.ctx, _named(unit, call, wanted), wanted.reason))
    )


async def extend(call: Call, wanted: asked.Extend) -> Reply:
    wanted.require()

    def work(unit: Unit, attempt: Attempt) -> Assignment | Awaits | Asked:
        return extending.extend(
            unit,
            call.ctx,
            call.binder,
            attempt,
            _named(unit, call, wanted),
            wanted.end_time,
            past_allowed=call.past_starts_allowed,
        )

    return await call.change_or_wait(work, shown.assignment)


def _named(unit: Unit, call: Call, wanted: asked.Named) -> str:
    """Raises NotFound, InvalidFields, which names the job as it was sent."""
    if wanted.assignment:
        return wanted.assignment
    try:
        return assignments.only_one(unit, call.ctx, contractor=wanted.contractor, job=wanted.job).id
    except InvalidFields as several:
        sent = next(name for name in asked.JOB if call.body.get(name))
        raise InvalidFields([Violation(sent, bad.rule) for bad in several.violations]) from None


OPERATIONS = (
    Operation(
        verb="POST",
        path="/assignments",
        method="AssignmentService/CreateAssignment",
        handler=create,
        asks=asked.Assignment,
        shows=(shown.Assignment,),
        summary="Create an assignment: cover is reused, bound, or left to the standard workflow.",
    ),
    Operation(
        verb="GET",
        path="/assignments",
        method="AssignmentService/ListAssignments",
        handler=list_,
        asks=asked.ListedAssignments,
        shows=(shown.Assignment,),
        many=True,
        summary="List the assignments.",
    ),
    Operation(
        verb="GET",
        path="/assignments/{id}",
        method="AssignmentService/GetAssignment",
        handler=get,
        shows=(shown.Assignment,),
        summary="Get an assignment.",
    ),
    Operation(
        verb="POST",
        path="/assignments/cancel",
        method="AssignmentService/CancelAssignment",
        handler=cancel,
        asks=asked.Cancel,
        shows=(shown.Assignment,),
        summary="Cancel an assignment that has not started.",
    ),
    Operation(
        verb="POST",
        path="/assignments/extend",
        method="AssignmentService/ExtendAssignment",
        handler=extend,
        asks=asked.Extend,
        shows=(shown.Assignment,),
        summary="Give an assignment a later end.",
    ),
)
