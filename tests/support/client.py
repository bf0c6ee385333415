"""A client over the real stubs, with the guide's requests as they are, and short ways to what tests need."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import (
    application_session_service_pb2_grpc,
    assignment_service_pb2_grpc,
    contractor_service_pb2_grpc,
    event_service_pb2_grpc,
    job_service_pb2_grpc,
    policy_service_pb2_grpc,
    quote_service_pb2_grpc,
)
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import event_service_pb2 as events_pb
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import quote_service_pb2 as quotes_pb
from optin.v1 import resources_pb2 as pb

GUIDE_START, GUIDE_END = 1_701_561_600, 1_701_907_200  # December 2023
URLS: dict[str, Any] = {"success_url": "https://yourapp.com/success", "cancel_url": "https://yourapp.com/cancel"}
WORKERS_COMP = pb.COVERAGE_TYPE_WORKERS_COMP


def at(seconds: int) -> Timestamp:
    return Timestamp(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came: its bytes and the trailing metadata."""

    body: bytes
    trailing: dict[str, str | bytes]

    @property
    def replayed(self) -> bool:
        return self.trailing.get("idempotent-replayed") == "true"


class Client:
    """Stubs by service, over one channel; its methods follow the guide."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.contractors = contractor_service_pb2_grpc.ContractorServiceStub(channel)
        self.jobs = job_service_pb2_grpc.JobServiceStub(channel)
        self.sessions = application_session_service_pb2_grpc.ApplicationSessionServiceStub(channel)
        self.assignments = assignment_service_pb2_grpc.AssignmentServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self.policies = policy_service_pb2_grpc.PolicyServiceStub(channel)
        self.quotes = quote_service_pb2_grpc.QuoteServiceStub(channel)

    async def raw(self, method: str, body: Message | bytes, *metadata: tuple[str, str]) -> Answer:
        """Sends bytes, or a message, to a method by its full name: `optin.v1.JobService/CreateJob`."""
        sent = body if isinstance(body, bytes) else body.SerializeToString()
        channel: Any = self.channel  # its types know of stubs only
        call = channel.unary_unary(f"/{method}")(sent, metadata=metadata)
        answer = await call
        return Answer(answer, dict(await call.trailing_metadata() or ()))

    async def contractor(self, **changes: Any) -> pb.Contractor:
        """The guide's Jane Doe, with an email of her own each time."""
        fields: dict[str, Any] = {
            "first_name": "Jane",
            "last_name": "Doe",
            "email": f"jane.{uuid4().hex}@example.com",
            "phone": "5551234567",
            "address": pb.Address(line1="123 Main St", locality="San Francisco", region="CA", postalcode="94102"),
        }
        request = contractors_pb.CreateContractorRequest(contractor=pb.Contractor(**fields | changes))
        return (await self.contractors.CreateContractor(request)).contractor

    async def approve(
        self, code: str, *types: pb.CoverageType.ValueType, states: Sequence[str] = (), net_rate: int = 100
    ) -> pb.JobCategory:
        for type_ in types:
            request = jobs_pb.ApproveJobCategoryRequest(
                category_code=code, coverage_type=type_, states=states, net_rate=net_rate
            )
            category = (await self.jobs.ApproveJobCategory(request)).job_category
        return category

    async def category(self, *states: str, approved: bool = True, net_rate: int = 250) -> pb.JobCategory:
        request = jobs_pb.CreateJobCategoryRequest(job_category=pb.JobCategory(name="Warehouse work"))
        category = (await self.jobs.CreateJobCategory(request)).job_category
        if not approved:
            return category
        approve = jobs_pb.ApproveJobCategoryRequest(
            category_code=category.code, coverage_type=WORKERS_COMP, states=states, net_rate=net_rate
        )
        return (await self.jobs.ApproveJobCategory(approve)).job_category

    async def job(self, category_code: str = "", region: str = "CA", **changes: Any) -> pb.Job:
        """A job in the state, of a category that is approved everywhere unless one is given; region "": remote."""
        code = category_code or (await self.category()).code
        address = pb.Address(line1="1 Dock Rd", region=region) if region else None
        job = pb.Job(name="Picker", category_code=code, address=address, **changes)
        return (await self.jobs.CreateJob(jobs_pb.CreateJobRequest(job=job))).job

    async def get_contractor(self, contractor: str) -> pb.Contractor:
        request = contractors_pb.GetContractorRequest(id=contractor)
        return (await self.contractors.GetContractor(request)).contractor

    async def session(self, contractor: str, work_state: str = "CA", **changes: Any) -> pb.ApplicationSession:
        session = pb.ApplicationSession(
            contractor=contractor, is_general_opt_in=True, work_state=work_state, **URLS | changes
        )
        request = sessions_pb.CreateApplicationSessionRequest(application_session=session)
        return (await self.sessions.CreateApplicationSession(request)).application_session

    async def get_session(self, session: str) -> pb.ApplicationSession:
        request = sessions_pb.GetApplicationSessionRequest(id=session)
        return (await self.sessions.GetApplicationSession(request)).application_session

    async def sessions_of(self, contractor: str) -> list[pb.ApplicationSession]:
        request = sessions_pb.ListApplicationSessionsRequest(contractor=contractor)
        return list((await self.sessions.ListApplicationSessions(request)).application_sessions)

    async def cancel_session(self, session: str) -> pb.ApplicationSession:
        """Of a complete general opt-in: withdraws it."""
        request = sessions_pb.CancelApplicationSessionRequest(id=session)
        return (await self.sessions.CancelApplicationSession(request)).application_session

    async def expire_session(self, session: str) -> pb.ApplicationSession:
        request = sessions_pb.ExpireApplicationSessionRequest(id=session)
        return (await self.sessions.ExpireApplicationSession(request)).application_session

    async def submit(self, session: str, **step: Any) -> pb.ApplicationSession:
        request = sessions_pb.SubmitApplicationStepRequest(id=session, **step)
        return (await self.sessions.SubmitApplicationStep(request)).application_session

    async def apply(self, session: str, legal_name: str = "Jane Doe", **answers: Any) -> pb.ApplicationSession:
        """All four steps; `answers` in place of those that lead to a complete application."""
        await self.submit(session, verify_info=sessions_pb.VerifyInfo())
        await self.submit(session, application_questions=questions(**answers))
        await self.submit(session, esignature_document=signatures(legal_name))
        return await self.submit(session, final_review=sessions_pb.FinalReview())

    async def opted_in(self, work_state: str = "CA", **changes: Any) -> pb.Contractor:
        contractor = await self.contractor(**changes)
        await self.apply((await self.session(contractor.id, work_state)).id)
        return contractor

    async def quote(
        self,
        contractor: str,
        job: str,
        *types: pb.CoverageType.ValueType,
        start: int | None = None,
        end: int | None = None,
    ) -> pb.Quote:
        """For workers' compensation unless `types` says otherwise; for 30 days from tomorrow unless dates are given."""
        quote = pb.Quote(
            contractor=contractor,
            job=job,
            coverage_types=types or [WORKERS_COMP],
            effective_time=at(start) if start is not None else None,
            end_time=at(end) if end is not None else None,
        )
        return (await self.quotes.CreateQuote(quotes_pb.CreateQuoteRequest(quote=quote))).quote

    async def get_quote(self, quote: str) -> pb.Quote:
        return (await self.quotes.GetQuote(quotes_pb.GetQuoteRequest(id=quote))).quote

    async def quote_session(self, quote: str, **changes: Any) -> pb.ApplicationSession:
        session = pb.ApplicationSession(quote=quote, **URLS | changes)
        request = sessions_pb.CreateApplicationSessionRequest(application_session=session)
        return (await self.sessions.CreateApplicationSession(request)).application_session

    async def form(self, session: str) -> pb.ApplicationForm:
        request = sessions_pb.GetApplicationFormRequest(id=session)
        return (await self.sessions.GetApplicationForm(request)).application_form

    async def fill_in(self, session: str, **answers: Any) -> pb.ApplicationSession:
        """All steps but the last, by the session's own form; `answers` in place of those that lead to completion."""
        form = await self.form(session)
        good = {question.id: GOOD_ANSWERS.get(question.id, False) for question in form.questions}
        await self.submit(session, verify_info=sessions_pb.VerifyInfo())
        await self.submit(session, application_questions=answered(good | answers))
        return await self.submit(session, esignature_document=signed([document.id for document in form.documents]))

    async def issue(self, quote: str) -> pb.ApplicationSession:
        """A session for the quote, complete."""
        session = await self.quote_session(quote)
        await self.fill_in(session.id)
        return await self.submit(session.id, final_review=sessions_pb.FinalReview())

    async def decisions(self, assignment: str) -> list[pb.BindingDecision]:
        """About the assignment, the first one first."""
        request = assignments_pb.ListBindingDecisionsRequest(assignment=assignment)
        return list((await self.assignments.ListBindingDecisions(request)).binding_decisions)[::-1]

    async def delete(self, contractor: str) -> pb.Contractor:
        request = contractors_pb.DeleteContractorRequest(id=contractor)
        return (await self.contractors.DeleteContractor(request)).contractor

    async def policy(self, policy: str) -> pb.Policy:
        return (await self.policies.GetPolicy(policies_pb.GetPolicyRequest(id=policy))).policy

    async def policies_of(self, contractor: str) -> list[pb.Policy]:
        """The contractor's policies, the first one first."""
        found = await self.policies.ListPolicies(policies_pb.ListPoliciesRequest(contractor=contractor, page_size=200))
        return sorted(found.policies, key=lambda policy: policy.number)

    async def cancel_policy(self, policy: str, reason: str = "", time: int | None = None) -> pb.Policy:
        """At once unless a time is given."""
        request = policies_pb.CancelPolicyRequest(
            id=policy, reason=reason, effective_time=at(time) if time is not None else None
        )
        return (await self.policies.CancelPolicy(request)).policy

    async def reinstate(self, policy: str) -> pb.Policy:
        return (await self.policies.ReinstatePolicy(policies_pb.ReinstatePolicyRequest(id=policy))).policy

    async def extend(self, assignment: str, end: int, request_id: str = "") -> assignments_pb.ExtendAssignmentResponse:
        request = assignments_pb.ExtendAssignmentRequest(id=assignment, end_time=at(end), request_id=request_id)
        return await self.assignments.ExtendAssignment(request)

    async def told(self, resource: str, last: str) -> list[str]:
        """The types of the events about the resource, once one of the last type is out."""
        request = events_pb.ListEventsRequest(resource=resource, page_size=200)
        async with asyncio.timeout(10):
            while True:
                types = [event.type for event in (await self.events.ListEvents(request)).events]
                if last in types:
                    return types
                await asyncio.sleep(0.02)

    async def events_of(self, resource: str) -> list[pb.Event]:
        request = events_pb.ListEventsRequest(resource=resource, page_size=200)
        return list((await self.events.ListEvents(request)).events)

    async def get_assignment(self, assignment: str) -> pb.Assignment:
        request = assignments_pb.GetAssignmentRequest(id=assignment)
        return (await self.assignments.GetAssignment(request)).assignment

    async def cancel_assignment(self, assignment: str, reason: str = "", request_id: str = "") -> pb.Assignment:
        request = assignments_pb.CancelAssignmentRequest(id=assignment, reason=reason, request_id=request_id)
        return (await self.assignments.CancelAssignment(request)).assignment

    async def assignments_of(self, contractor: str) -> list[pb.Assignment]:
        """At most 200 of them, the first one first."""
        request = assignments_pb.ListAssignmentsRequest(contractor=contractor, page_size=200)
        return list((await self.assignments.ListAssignments(request)).assignments)[::-1]

    async def assign(
        self,
        contractor: str,
        job: str,
        *types: pb.CoverageType.ValueType,
        start: int | None = GUIDE_START,
        end: int | None = GUIDE_END,
        request_id: str = "",
        validate_only: bool = False,
    ) -> assignments_pb.CreateAssignmentResponse:
        """The guide's assignment: workers' compensation unless `types` says otherwise, 3 to 7 December 2023."""
        assignment = pb.Assignment(
            contractor=contractor,
            job=job,
            coverage_types=types or [WORKERS_COMP],
            effective_time=at(start) if start is not None else None,
            end_time=at(end) if end is not None else None,
        )
        request = assignments_pb.CreateAssignmentRequest(
            assignment=assignment, request_id=request_id, validate_only=validate_only
        )
        return await self.assignments.CreateAssignment(request)


GOOD_ANSWERS = {
    "age_18_or_over": True,
    "losses_last_3_years": False,
    "years_experience": 5,
    "other_workers_comp": False,
    "has_employees": False,
}


def questions(**answers: Any) -> sessions_pb.ApplicationQuestions:
    return answered(GOOD_ANSWERS | answers)


def answered(answers: Mapping[str, Any]) -> sessions_pb.ApplicationQuestions:
    return sessions_pb.ApplicationQuestions(
        answers=[
            sessions_pb.Answer(question=question, bool_value=value)
            if isinstance(value, bool)
            else sessions_pb.Answer(question=question, int_value=value)
            for question, value in answers.items()
        ]
    )


def signatures(legal_name: str = "Jane Doe") -> sessions_pb.EsignatureDocument:
    return signed(("fraud_notice", "premium_withholding", "esign_consent"), legal_name)


def signed(documents: Sequence[str], legal_name: str = "Jane Doe") -> sessions_pb.EsignatureDocument:
    return sessions_pb.EsignatureDocument(
        signatures=[sessions_pb.Signature(document=d, version="1", legal_name=legal_name) for d in documents]
    )


class Refusal:
    """An error as a client reads it: code, reason, and the details by their type."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.message = error.details() or ""
        self.metadata: dict[str, str | bytes] = dict(error.trailing_metadata() or ())
        details = self.metadata.get("grpc-status-details-bin", b"")
        self.status = status_pb2.Status.FromString(cast("bytes", details))
        self.details = [self._unpack(detail) for detail in self.status.details]

    @staticmethod
    def _unpack(detail: Any) -> Any:
        message = getattr(error_details_pb2, detail.type_url.rpartition(".")[2])()
        detail.Unpack(message)
        return message

    def __str__(self) -> str:
        """All that the caller is told, in every place."""
        return f"{self.code.name} {self.message!r} {self.metadata} {self.status}"

    def of(self, kind: type[Any]) -> list[Any]:
        return [detail for detail in self.details if isinstance(detail, kind)]

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        info: error_details_pb2.ErrorInfo
        assert self.of(error_details_pb2.ErrorInfo), str(self)
        (info,) = self.of(error_details_pb2.ErrorInfo)
        return info

    @property
    def reason(self) -> str:
        return str(self.info.reason)

    @property
    def told(self) -> dict[str, str]:
        """The ErrorInfo's metadata."""
        return dict(self.info.metadata)

    @property
    def fields(self) -> set[str]:
        return {v.field for bad in self.of(error_details_pb2.BadRequest) for v in bad.field_violations}


async def refused(call: Awaitable[Any]) -> Refusal:
    """The error that the call ends in; an assertion when it succeeds."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error)
    raise AssertionError(f"was not refused: {answer}")
