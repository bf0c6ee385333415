"""A valid request for every method, by the ids that it names, and how calls are answered."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from optin.v1 import application_session_service_pb2 as sessions
from optin.v1 import assignment_service_pb2 as assignments
from optin.v1 import contractor_service_pb2 as contractors
from optin.v1 import event_service_pb2 as events
from optin.v1 import job_service_pb2 as jobs
from optin.v1 import policy_service_pb2 as policies
from optin.v1 import quote_service_pb2 as quotes
from optin.v1 import resources_pb2 as pb

from tests.support.client import WORKERS_COMP, Client, Refusal, at

DAY = 86_400
QUIET_SECONDS = 0.5  # a stream that has told nothing by then has nothing to tell


@dataclass(frozen=True, kw_only=True)
class Ids:
    """What a platform has, or what nobody has."""

    contractor: str
    job: str
    category: str
    session: str  # started
    reviewed: str  # in review
    quote: str
    assignment: str  # not started
    policy: str
    cancelled: str  # a policy
    event: str

    def values(self) -> list[str]:
        return [getattr(self, field.name) for field in fields(self)]


def ghosts(ids: Ids) -> Ids:
    """Ids of the same shape that nobody has."""
    return Ids(**{field.name: f"{getattr(ids, field.name)[:-3]}000" for field in fields(ids)})


async def populated(client: Client, tomorrow: int) -> Ids:
    jane = await client.opted_in()
    category = await client.category()
    job = await client.job(category.code)
    made = (await client.assign(jane.id, job.id, start=tomorrow, end=tomorrow + DAY)).assignment
    session = await client.session(jane.id)
    await client.submit(session.id, verify_info=sessions.VerifyInfo())
    reviewed = await client.apply((await client.session(jane.id)).id, losses_last_3_years=True)
    quote = await client.quote(jane.id, (await client.job()).id, start=tomorrow, end=tomorrow + DAY)
    other = await client.opted_in()
    ended = (await client.assign(other.id, job.id, start=tomorrow, end=tomorrow + DAY)).assignment.policy
    await client.cancel_policy(ended)
    await client.told(ended, "policy.cancelled")  # the last change: then all have their events
    listed = await client.events.ListEvents(events.ListEventsRequest())
    return Ids(
        contractor=jane.id,
        job=job.id,
        category=category.code,
        session=session.id,
        reviewed=reviewed.id,
        quote=quote.id,
        assignment=made.id,
        policy=made.policy,
        cancelled=ended,
        event=listed.events[0].id,
    )


def requests(ids: Ids, tomorrow: int) -> Mapping[str, Message]:
    """One for each method, which names what there is to name."""
    start, end = at(tomorrow), at(tomorrow + DAY)
    address = pb.Address(region="CA")
    jane = pb.Contractor(first_name="Jane", last_name="Doe", email="j@example.com", phone="5551234567", address=address)
    assignment = pb.Assignment(
        contractor=ids.contractor, job=ids.job, coverage_types=[WORKERS_COMP], effective_time=start, end_time=end
    )
    quote = pb.Quote(
        contractor=ids.contractor, job=ids.job, coverage_types=[WORKERS_COMP], effective_time=start, end_time=end
    )
    session = pb.ApplicationSession(
        contractor=ids.contractor, work_state="CA", is_general_opt_in=True, success_url="https://a.example/s"
    )
    session.cancel_url = "https://a.example/c"
    create = assignments.CreateAssignmentRequest(assignment=assignment)
    renamed = pb.Contractor(id=ids.contractor, first_name="Changed")
    rename, reprice = FieldMask(paths=["first_name"]), FieldMask(paths=["end_time"])
    by_service: dict[str, list[Message]] = {
        "ContractorService": [
            contractors.CreateContractorRequest(contractor=jane),
            contractors.GetContractorRequest(id=ids.contractor),
            contractors.ListContractorsRequest(),
            contractors.UpdateContractorRequest(contractor=renamed, update_mask=rename),
            contractors.DeleteContractorRequest(id=ids.contractor),
        ],
        "JobService": [
            jobs.CreateJobRequest(job=pb.Job(name="J", category_code=ids.category, address=address)),
            jobs.GetJobRequest(id=ids.job),
            jobs.ListJobsRequest(category_code=ids.category),
            jobs.UpdateJobRequest(job=pb.Job(id=ids.job, name="Changed"), update_mask=FieldMask(paths=["name"])),
            jobs.CreateJobCategoryRequest(job_category=pb.JobCategory(name="C")),
            jobs.ListJobCategoriesRequest(),
            jobs.ApproveJobCategoryRequest(category_code=ids.category, coverage_type=WORKERS_COMP, net_rate=1),
            jobs.RevokeJobCategoryApprovalRequest(category_code=ids.category, coverage_type=WORKERS_COMP),
        ],
        "ApplicationSessionService": [
            sessions.CreateApplicationSessionRequest(application_session=session),
            sessions.GetApplicationSessionRequest(id=ids.session),
            sessions.ListApplicationSessionsRequest(contractor=ids.contractor),
            sessions.GetApplicationFormRequest(id=ids.session),
            sessions.SubmitApplicationStepRequest(id=ids.session, verify_info=sessions.VerifyInfo(first_name="X")),
            sessions.ReviewApplicationSessionRequest(id=ids.reviewed, decision=pb.REVIEW_DECISION_DECLINE),
            sessions.CancelApplicationSessionRequest(id=ids.session),
            sessions.ExpireApplicationSessionRequest(id=ids.session),
        ],
        "AssignmentService": [
            create,
            assignments.BatchCreateAssignmentsRequest(requests=[create, create]),
            assignments.GetAssignmentRequest(id=ids.assignment),
            assignments.ListAssignmentsRequest(contractor=ids.contractor, job=ids.job),
            assignments.CancelAssignmentRequest(id=ids.assignment),
            assignments.ExtendAssignmentRequest(id=ids.assignment, end_time=at(tomorrow + 2 * DAY)),
            assignments.ListBindingDecisionsRequest(assignment=ids.assignment),
        ],
        "PolicyService": [
            policies.GetPolicyRequest(id=ids.policy),
            policies.ListPoliciesRequest(contractor=ids.contractor),
            policies.CancelPolicyRequest(id=ids.policy),
            policies.ReinstatePolicyRequest(id=ids.cancelled),
        ],
        "QuoteService": [
            quotes.CreateQuoteRequest(quote=quote),
            quotes.GetQuoteRequest(id=ids.quote),
            quotes.ListQuotesRequest(contractor=ids.contractor, job=ids.job),
            quotes.UpdateQuoteRequest(quote=pb.Quote(id=ids.quote, end_time=end), update_mask=reprice),
        ],
        "EventService": [
            events.ListEventsRequest(resource=ids.assignment),
            events.WatchEventsRequest(after=ids.event),
        ],
    }
    return {
        f"optin.v1.{service}/{type(request).__name__.removesuffix('Request')}": request
        for service, its in by_service.items()
        for request in its
    }


WATCH = "optin.v1.EventService/WatchEvents"


async def answered(client: Client, method: str, request: Message, *metadata: tuple[str, str]) -> bytes | Refusal:
    """The response's bytes, or how it is refused; of a stream the first message's, if one comes soon."""
    channel: Any = client.channel
    sent = request.SerializeToString()
    try:
        if method == WATCH:
            call = channel.unary_stream(f"/{method}")(sent, metadata=metadata)
            try:
                return bytes(await asyncio.wait_for(call.read(), QUIET_SECONDS))
            except TimeoutError:
                return b""
            finally:
                call.cancel()
        return bytes(await channel.unary_unary(f"/{method}")(sent, metadata=metadata))
    except grpc.aio.AioRpcError as error:
        return Refusal(error)


async def code_of(call: Awaitable[object]) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def listing(client: Client) -> Awaitable[object]:
    """A call that every role may make."""
    return client.jobs.ListJobCategories(jobs.ListJobCategoriesRequest())
