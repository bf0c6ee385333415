"""Requests, once (spec 8): for every method that takes a `request_id`."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import quote_service_pb2 as quotes_pb
from optin.v1 import resources_pb2 as pb

from tests.api.methods import LISTS, METHODS, request_of
from tests.conftest import NOW, Clock, Serving
from tests.support.client import WORKERS_COMP, Answer, Client, refused

CREATE_CONTRACTOR = "optin.v1.ContractorService/CreateContractor"
CREATE_CATEGORY = "optin.v1.JobService/CreateJobCategory"
CREATE_ASSIGNMENT = "optin.v1.AssignmentService/CreateAssignment"
CHANGES = [method for method in METHODS if "request_id" in request_of(method).DESCRIPTOR.fields_by_name]


async def good_request(client: Client, method: str, **more: Any) -> Message:
    """A request that the method takes, about resources of its own."""
    made: Message = await MAKERS[method.partition("/")[2]](client)
    for name, value in more.items():
        setattr(made, name, value)
    return made


async def _create_contractor(client: Client) -> Message:
    return contractors_pb.CreateContractorRequest(
        contractor=pb.Contractor(
            first_name="Jane",
            last_name="Doe",
            email=f"{uuid4().hex}@example.com",
            phone="5551234567",
            address=pb.Address(region="CA"),
            metadata={str(number): "x" for number in range(20)},
        )
    )


async def _update_contractor(client: Client) -> Message:
    changes = pb.Contractor(id=(await client.contractor()).id, last_name=uuid4().hex)
    return contractors_pb.UpdateContractorRequest(contractor=changes)


async def _delete_contractor(client: Client) -> Message:
    return contractors_pb.DeleteContractorRequest(id=(await client.contractor()).id)


async def _create_job(client: Client) -> Message:
    return jobs_pb.CreateJobRequest(job=pb.Job(name="Picker", category_code=(await client.category()).code))


async def _update_job(client: Client) -> Message:
    return jobs_pb.UpdateJobRequest(job=pb.Job(id=(await client.job()).id, name=uuid4().hex))


async def _create_category(client: Client) -> Message:
    return jobs_pb.CreateJobCategoryRequest(job_category=pb.JobCategory(name=uuid4().hex))


async def _approve(client: Client) -> Message:
    code = (await client.category(approved=False)).code
    return jobs_pb.ApproveJobCategoryRequest(category_code=code, coverage_type=WORKERS_COMP, net_rate=1)


async def _revoke(client: Client) -> Message:
    code = (await client.category()).code
    return jobs_pb.RevokeJobCategoryApprovalRequest(category_code=code, coverage_type=WORKERS_COMP)


async def _create_session(client: Client) -> Message:
    return sessions_pb.CreateApplicationSessionRequest(
        application_session=pb.ApplicationSession(
            contractor=(await client.contractor()).id,
            success_url="https://example.com/s",
            cancel_url="https://example.com/c",
            is_general_opt_in=True,
            work_state="CA",
        )
    )


async def _session(client: Client) -> str:
    return (await client.session((await client.contractor()).id)).id


async def _submit(client: Client) -> Message:
    info = sessions_pb.VerifyInfo(last_name="Roe")
    return sessions_pb.SubmitApplicationStepRequest(id=await _session(client), verify_info=info)


async def _review(client: Client) -> Message:
    session = await client.apply(await _session(client), has_employees=True)
    return sessions_pb.ReviewApplicationSessionRequest(id=session.id, decision=pb.REVIEW_DECISION_APPROVE)


async def _cancel_session(client: Client) -> Message:
    return sessions_pb.CancelApplicationSessionRequest(id=await _session(client))


async def _expire(client: Client) -> Message:
    return sessions_pb.ExpireApplicationSessionRequest(id=await _session(client))


async def _create_assignment(client: Client) -> Message:
    return assignments_pb.CreateAssignmentRequest(
        assignment=pb.Assignment(
            contractor=(await client.opted_in()).id, job=(await client.job()).id, coverage_types=[WORKERS_COMP]
        )
    )


async def _cancel_assignment(client: Client) -> Message:
    made = await client.assign((await client.opted_in()).id, (await client.job()).id, start=None, end=None)
    return assignments_pb.CancelAssignmentRequest(id=made.assignment.id, reason="asked for")


async def _extend_assignment(client: Client) -> Message:
    made = (await client.assign((await client.opted_in()).id, (await client.job()).id)).assignment
    end = Timestamp(seconds=made.end_time.seconds + 1)
    return assignments_pb.ExtendAssignmentRequest(id=made.id, end_time=end)


async def _reinstate_policy(client: Client) -> Message:
    made = await client.assign((await client.opted_in()).id, (await client.job()).id, start=None, end=None)
    await client.cancel_policy(made.assignment.policy)
    return policies_pb.ReinstatePolicyRequest(id=made.assignment.policy)


async def _cancel_policy(client: Client) -> Message:
    made = await client.assign((await client.opted_in()).id, (await client.job()).id)
    return policies_pb.CancelPolicyRequest(id=made.assignment.policy, reason="asked for")


async def _create_quote(client: Client) -> Message:
    wanted = pb.Quote(contractor=(await client.contractor()).id, job=(await client.job()).id)
    wanted.coverage_types.append(WORKERS_COMP)
    return quotes_pb.CreateQuoteRequest(quote=wanted)


async def _update_quote(client: Client) -> Message:
    category = (await client.category()).code
    quote = await client.quote((await client.contractor()).id, (await client.job(category)).id)
    other = await client.job(category)
    return quotes_pb.UpdateQuoteRequest(quote=pb.Quote(id=quote.id, job=other.id))


MAKERS: dict[str, Callable[[Client], Awaitable[Message]]] = {
    "CreateContractor": _create_contractor,
    "UpdateContractor": _update_contractor,
    "DeleteContractor": _delete_contractor,
    "CreateJob": _create_job,
    "UpdateJob": _update_job,
    "CreateJobCategory": _create_category,
    "ApproveJobCategory": _approve,
    "RevokeJobCategoryApproval": _revoke,
    "CreateApplicationSession": _create_session,
    "SubmitApplicationStep": _submit,
    "ReviewApplicationSession": _review,
    "CancelApplicationSession": _cancel_session,
    "ExpireApplicationSession": _expire,
    "CreateAssignment": _create_assignment,
    "CancelAssignment": _cancel_assignment,
    "CancelPolicy": _cancel_policy,
    "ExtendAssignment": _extend_assignment,
    "ReinstatePolicy": _reinstate_policy,
    "CreateQuote": _create_quote,
    "UpdateQuote": _update_quote,
}


async def everything(client: Client) -> list[bytes]:
    """Events apart, which come out a moment after their change."""
    lists = [method for method in LISTS if not method.endswith("/ListEvents")]
    return [(await client.raw(method, b"")).body for method in lists]


def test_every_method_that_changes_something_takes_a_request_id() -> None:
    without = ("Get", "List", "Watch", "BatchCreateAssignments")  # a batch's items have theirs
    assert [m for m in METHODS if m not in CHANGES] == [m for m in METHODS if m.partition("/")[2].startswith(without)]
    assert {method.partition("/")[2] for method in CHANGES} == MAKERS.keys()


async def test_a_repeat_gets_the_first_response_and_nothing_happens(any_client: Client, clock: Clock) -> None:
    client = any_client
    for method in CHANGES:
        request = await good_request(client, method, request_id=f"once {method[-40:]}")
        first = await client.raw(method, request)
        after = await everything(client)
        clock.now += timedelta(seconds=1)
        again = await client.raw(method, request)
        assert (first.replayed, again.replayed) == (False, True), method
        assert again.body == first.body, method
        assert await everything(client) == after, method


async def test_a_request_id_used_for_another_request(any_client: Client) -> None:
    client = any_client
    for method in CHANGES:
        request = await good_request(client, method, request_id=f"reused {method[-40:]}")
        await client.raw(method, request)
        other_contents = await good_request(client, method, request_id=f"reused {method[-40:]}")
        after = await everything(client)
        other_method = CREATE_CATEGORY if method != CREATE_CATEGORY else CREATE_CONTRACTOR
        elsewhere = await good_request(client, other_method, request_id=f"reused {method[-40:]}")
        for call in (client.raw(method, other_contents), client.raw(other_method, elsewhere)):
            refusal = await refused(call)
            assert (refusal.code.name, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED"), method
            assert refusal.told == {"request_id": f"reused {method[-40:]}"}
        assert await everything(client) == after, method


async def test_equal_bytes_for_another_method_are_another_request(client: Client) -> None:
    session = await client.session((await client.contractor()).id)
    cancel = sessions_pb.CancelApplicationSessionRequest(id=session.id, request_id="a")
    await client.sessions.CancelApplicationSession(cancel)
    expire = sessions_pb.ExpireApplicationSessionRequest(id=session.id, request_id="a")
    assert expire.SerializeToString() == cancel.SerializeToString()
    assert (await refused(client.sessions.ExpireApplicationSession(expire))).reason == "REQUEST_ID_REUSED"


async def test_without_a_request_id_every_call_acts(any_client: Client) -> None:
    request = await good_request(any_client, CREATE_CATEGORY)
    first, second = [await any_client.raw(CREATE_CATEGORY, request) for _ in range(2)]
    assert first.body != second.body
    assert not second.replayed


async def test_concurrent_duplicates_act_once(servers: list[Client]) -> None:
    for method in CHANGES:
        request = await good_request(servers[0], method, request_id=f"at once {method[-40:]}")
        calls = [servers[number % len(servers)].raw(method, request) for number in range(12)]
        answers = await asyncio.gather(*calls)
        assert len({answer.body for answer in answers}) == 1, method
        assert sum(not answer.replayed for answer in answers) == 1, method


async def test_concurrent_requests_under_one_id(servers: list[Client]) -> None:
    """Of different ones, exactly one takes the id."""
    for method in (CREATE_CATEGORY, CREATE_CONTRACTOR, CREATE_ASSIGNMENT):
        requests = [await good_request(servers[0], method, request_id=f"one of {method[-40:]}") for _ in range(6)]
        calls = [servers[n % len(servers)].raw(method, request) for n, request in enumerate(requests)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(answer, Answer) for answer in answers) == 1, method
        for refusal in [await refused(_again(answer)) for answer in answers if not isinstance(answer, Answer)]:
            assert refusal.reason == "REQUEST_ID_REUSED", method


async def _again(answer: BaseException) -> None:
    raise answer


async def test_a_refused_request_may_be_sent_again(any_client: Client) -> None:
    client = any_client
    holder = await client.contractor(email="jane@example.com")
    request = contractors_pb.CreateContractorRequest(
        contractor=pb.Contractor(
            first_name="Jane",
            last_name="Doe",
            email="jane@example.com",
            phone="5551234567",
            address=pb.Address(region="CA"),
        ),
        request_id="a",
    )
    for _ in range(2):
        assert (await refused(client.contractors.CreateContractor(request))).reason == "DUPLICATE_EMAIL"
    corrected = contractors_pb.CreateContractorRequest()
    corrected.CopyFrom(request)
    corrected.contractor.phone = "no"
    assert (await refused(client.contractors.CreateContractor(corrected))).reason == "INVALID_FIELD"
    await client.delete(holder.id)
    made = await client.raw(CREATE_CONTRACTOR, request)
    assert not made.replayed
    again = await client.raw(CREATE_CONTRACTOR, request)
    assert (again.body, again.replayed) == (made.body, True)


async def test_an_assignment_that_was_refused_may_be_sent_again_corrected(any_client: Client) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    assert (await refused(client.assign("cn_1", job.id, request_id="a"))).reason == "RESOURCE_NOT_FOUND"
    made = await client.assign(jane.id, job.id, request_id="a")
    assert made.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
    assert await client.assign(jane.id, job.id, request_id="a") == made


async def test_concurrent_duplicates_of_what_is_refused(servers: list[Client]) -> None:
    """Each runs itself, and is told why."""
    job = await servers[0].job()
    calls = [refused(servers[n % len(servers)].assign("cn_1", job.id, request_id="a")) for n in range(10)]
    assert {refusal.reason for refusal in await asyncio.gather(*calls)} == {"RESOURCE_NOT_FOUND"}


async def test_what_a_request_id_may_be(client: Client) -> None:
    for request_id in ("a", " ", "~!@ {}%", "6f1c3b1e-8f0a-4a55-9a0b-0d4f3a7f2c11", "x" * 64):
        request = await good_request(client, CREATE_CATEGORY, request_id=request_id)
        first = await client.raw(CREATE_CATEGORY, request)
        assert (await client.raw(CREATE_CATEGORY, request)).body == first.body
    for method in CHANGES:
        request = await good_request(client, method)
        for request_id in ("x" * 65, "a\n", "\0", "é", "\x7f"):
            setattr(request, "request_id", request_id)  # noqa: B010 - of whatever type the request is
            refusal = await refused(client.raw(method, request))
            assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", {"request_id"}), method


async def test_the_order_of_fields_on_the_wire_does_not_matter(any_client: Client) -> None:
    client = any_client
    request: Any = await good_request(client, CREATE_CONTRACTOR, request_id="order")
    first = await client.raw(CREATE_CONTRACTOR, request)
    fields = list(request.contractor.DESCRIPTOR.fields_by_name)

    def part(name: str) -> bytes:
        one = pb.Contractor()
        one.CopyFrom(request.contractor)
        for other in fields:
            if other != name:
                one.ClearField(other)
        return one.SerializeToString()

    contractor = b"".join(part(name) for name in reversed(fields))
    length = bytes([len(contractor) & 0x7F | 0x80, len(contractor) >> 7])
    shuffled = contractors_pb.CreateContractorRequest(request_id="order").SerializeToString()
    shuffled += b"\x0a" + length + contractor
    assert shuffled != request.SerializeToString()
    assert contractors_pb.CreateContractorRequest.FromString(shuffled) == request
    again = await client.raw(CREATE_CONTRACTOR, shuffled)
    assert (again.body, again.replayed) == (first.body, True)


async def test_fields_that_the_server_does_not_know_are_contents_too(client: Client) -> None:
    request = await good_request(client, CREATE_CATEGORY, request_id="unknown")
    newer = request.SerializeToString() + b"\xfa\x3e\x03new"  # field 1007
    first = await client.raw(CREATE_CATEGORY, newer)
    assert (await client.raw(CREATE_CATEGORY, newer)).body == first.body
    assert (await refused(client.raw(CREATE_CATEGORY, request))).reason == "REQUEST_ID_REUSED"


async def test_a_replay_is_the_first_response_whatever_became_of_the_resource(any_client: Client) -> None:
    client = any_client
    contractor_request: Any = await good_request(client, CREATE_CONTRACTOR, request_id="contractor")
    created = await client.raw(CREATE_CONTRACTOR, contractor_request)
    jane = contractors_pb.CreateContractorResponse.FromString(created.body).contractor
    await client.apply((await client.session(jane.id)).id)
    job = await client.job()
    bound = await client.assign(jane.id, job.id, request_id="assignment")
    await client.cancel_policy(bound.assignment.policy)
    await client.jobs.UpdateJob(jobs_pb.UpdateJobRequest(job=pb.Job(id=job.id, address=pb.Address(region="NY"))))
    await client.delete(jane.id)

    assert (await client.raw(CREATE_CONTRACTOR, contractor_request)).body == created.body
    assert await client.assign(jane.id, job.id, request_id="assignment") == bound
    assert (await refused(client.assign(jane.id, job.id, request_id="another"))).reason == "RESOURCE_NOT_FOUND"


async def test_a_replay_of_what_would_be_refused_today(serve: Serving, database_url: str, clock: Clock) -> None:
    """In production a start before today is refused: the repeat of a call from yesterday is not."""
    async with serve(database_url=database_url, environment="production") as client:
        request: Any = await good_request(client, CREATE_ASSIGNMENT, request_id="yesterday")
        request.assignment.effective_time.FromDatetime(NOW)
        first = await client.raw(CREATE_ASSIGNMENT, request)
        clock.now += timedelta(hours=23)
        again = await client.raw(CREATE_ASSIGNMENT, request)
        assert (again.body, again.replayed) == (first.body, True)

        request.assignment.end_time.FromDatetime(NOW + timedelta(days=2))
        other = await refused(client.raw(CREATE_ASSIGNMENT, request))
        assert other.fields == {"assignment.effective_time"}, "another request is checked as ever"
        request.assignment.effective_time.CopyFrom(Timestamp(seconds=-1))
        request.request_id = "never seen"
        assert (await refused(client.raw(CREATE_ASSIGNMENT, request))).reason == "INVALID_FIELD"


async def test_a_replay_after_a_restart(serve: Serving, database_url: str) -> None:
    async with serve(database_url=database_url) as client:
        request = await good_request(client, CREATE_ASSIGNMENT, request_id="restart")
        first = await client.raw(CREATE_ASSIGNMENT, request)
    async with serve(database_url=database_url) as client:
        again = await client.raw(CREATE_ASSIGNMENT, request)
        assert (again.body, again.replayed) == (first.body, True)
