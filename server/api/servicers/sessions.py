"""optin.v1.ApplicationSessionService."""

from datetime import datetime

from optin.v1 import application_session_service_pb2 as pb

from server.api import render
from server.api.call import Call
from server.api.parse import parse
from server.api.requests.sessions import (
    CreateApplicationSession,
    ListApplicationSessions,
    ReviewApplicationSession,
    SubmitApplicationStep,
    fits_its_workflow,
    has_a_step,
)
from server.domain.records import ApplicationSession
from server.service import applications
from server.service.fields import IdRequest
from server.service.once import Reply


def completed_bytes(session: ApplicationSession, now: datetime) -> bytes:
    """The response to who completed an application, by the last step or in review: on the wire both are the same."""
    message = render.application_session(session, now)
    return pb.SubmitApplicationStepResponse(application_session=message).SerializeToString(deterministic=True)


class ApplicationSessionService:
    async def CreateApplicationSession(self, request: pb.CreateApplicationSessionRequest, call: Call) -> Reply:
        values = parse(CreateApplicationSession, request, fits_its_workflow).application_session.values()
        return await call.change(
            request,
            lambda unit: pb.CreateApplicationSessionResponse(
                application_session=render.application_session(
                    applications.create(unit, call.ctx, values), call.ctx.now
                )
            ),
        )

    async def GetApplicationSession(
        self, request: pb.GetApplicationSessionRequest, call: Call
    ) -> pb.GetApplicationSessionResponse:
        wanted = parse(IdRequest, request)
        found = await call.read(lambda unit: applications.get(unit, call.ctx, wanted.id))
        return pb.GetApplicationSessionResponse(application_session=render.application_session(found, call.ctx.now))

    async def ListApplicationSessions(
        self, request: pb.ListApplicationSessionsRequest, call: Call
    ) -> pb.ListApplicationSessionsResponse:
        wanted = parse(ListApplicationSessions, request)
        items, token = await call.read(
            lambda unit: applications.list_page(
                unit,
                call.ctx,
                contractor=wanted.contractor,
                is_general_opt_in=wanted.is_general_opt_in,
                work_state=wanted.work_state,
                status=wanted.status,
                **wanted.page(),
            )
        )
        return pb.ListApplicationSessionsResponse(
            application_sessions=[render.application_session(item, call.ctx.now) for item in items],
            next_page_token=token,
        )

    async def GetApplicationForm(
        self, request: pb.GetApplicationFormRequest, call: Call
    ) -> pb.GetApplicationFormResponse:
        wanted = parse(IdRequest, request)
        form = await call.read(lambda unit: applications.get_form(unit, call.ctx, wanted.id))
        return pb.GetApplicationFormResponse(application_form=render.application_form(form))

    async def SubmitApplicationStep(self, request: pb.SubmitApplicationStepRequest, call: Call) -> Reply:
        wanted = parse(SubmitApplicationStep, request, has_a_step)
        return await call.change_or_wait(
            request,
            lambda unit, attempt: applications.submit_step(
                unit, call.ctx, call.binder, attempt, wanted.id, wanted.step()
            ),
            lambda session: pb.SubmitApplicationStepResponse(
                application_session=render.application_session(session, call.ctx.now)
            ),
        )

    async def ReviewApplicationSession(self, request: pb.ReviewApplicationSessionRequest, call: Call) -> Reply:
        w = parse(ReviewApplicationSession, request)
        return await call.change_or_wait(
            request,
            lambda unit, attempt: applications.review(unit, call.ctx, call.binder, attempt, w.id, w.decision, w.note),
            lambda session: pb.ReviewApplicationSessionResponse(
                application_session=render.application_session(session, call.ctx.now)
            ),
        )

    async def CancelApplicationSession(self, request: pb.CancelApplicationSessionRequest, call: Call) -> Reply:
        wanted = parse(IdRequest, request)
        return await call.change(
            request,
            lambda unit: pb.CancelApplicationSessionResponse(
                application_session=render.application_session(
                    applications.cancel(unit, call.ctx, wanted.id), call.ctx.now
                )
            ),
        )

    async def ExpireApplicationSession(self, request: pb.ExpireApplicationSessionRequest, call: Call) -> Reply:
        wanted = parse(IdRequest, request)
        return await call.change(
            request,
            lambda unit: pb.ExpireApplicationSessionResponse(
                application_session=render.application_session(
                    applications.expire(unit, call.ctx, wanted.id), call.ctx.now
                )
            ),
        )
