"""The guide's conversation, request by request, with its own values; ids are ours, and the zip is quoted."""

from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW
from tests.support.client import Client, questions, signatures

DECEMBER_3, DECEMBER_7 = 1_701_561_600, 1_701_907_200  # 2023, as in the guide


def time(seconds: int) -> Timestamp:
    return Timestamp(seconds=seconds)


async def create_contractor(client: Client) -> pb.Contractor:
    """Step 1."""
    request = contractors_pb.CreateContractorRequest(
        contractor=pb.Contractor(
            first_name="Jane",
            last_name="Doe",
            email="jane.doe@example.com",
            phone="5551234567",
            address=pb.Address(line1="123 Main St", locality="San Francisco", region="CA", postalcode="94102"),
        )
    )
    return (await client.contractors.CreateContractor(request)).contractor


async def create_session(client: Client, contractor: str, work_state: str = "CA") -> pb.ApplicationSession:
    """Step 2."""
    request = sessions_pb.CreateApplicationSessionRequest(
        application_session=pb.ApplicationSession(
            contractor=contractor,
            success_url="https://yourapp.com/success",
            cancel_url="https://yourapp.com/cancel",
            is_general_opt_in=True,
            work_state=work_state,
        )
    )
    return (await client.sessions.CreateApplicationSession(request)).application_session


async def complete(client: Client, session: str) -> list[pb.ApplicationSession]:
    """Step 3: the session after each step."""
    return [
        await client.submit(session, verify_info=sessions_pb.VerifyInfo()),
        await client.submit(session, application_questions=questions()),
        await client.submit(session, esignature_document=signatures()),
        await client.submit(session, final_review=sessions_pb.FinalReview()),
    ]


async def create_assignment(
    client: Client, contractor: str, job: str, start: int = DECEMBER_3, end: int = DECEMBER_7
) -> assignments_pb.CreateAssignmentResponse:
    """Step 4."""
    request = assignments_pb.CreateAssignmentRequest(
        assignment=pb.Assignment(
            contractor=contractor,
            job=job,
            coverage_types=[pb.COVERAGE_TYPE_WORKERS_COMP],
            effective_time=time(start),
            end_time=time(end),
        )
    )
    return await client.assignments.CreateAssignment(request)


async def test_the_four_steps(any_client: Client) -> None:
    client = any_client
    now = Timestamp()
    now.FromDatetime(NOW)

    jane = await create_contractor(client)
    assert jane == pb.Contractor(
        id=jane.id,
        first_name="Jane",
        last_name="Doe",
        email="jane.doe@example.com",
        phone="+15551234567",
        address=pb.Address(
            line1="123 Main St", locality="San Francisco", region="CA", postalcode="94102", country="US"
        ),
        create_time=now,
        update_time=now,
    )
    assert jane.id.startswith("cn_")

    session = await create_session(client, jane.id)
    assert session == pb.ApplicationSession(
        id=session.id,
        contractor=jane.id,
        success_url="https://yourapp.com/success",
        cancel_url="https://yourapp.com/cancel",
        is_general_opt_in=True,
        work_state="CA",
        status=pb.APPLICATION_SESSION_STATUS_CREATED,
        step=pb.APPLICATION_STEP_VERIFY_INFO,
        create_time=now,
        expire_time=time(now.seconds + 30 * 86_400),
    )
    assert session.id.startswith("ias_")

    started, complete_status = (
        pb.APPLICATION_SESSION_STATUS_STARTED,
        pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE,
    )
    after = await complete(client, session.id)
    assert [(s.status, s.step) for s in after] == [
        (started, pb.APPLICATION_STEP_APPLICATION_QUESTIONS),
        (started, pb.APPLICATION_STEP_ESIGNATURE_DOCUMENT),
        (started, pb.APPLICATION_STEP_FINAL_REVIEW),
        (complete_status, pb.APPLICATION_STEP_DONE),
    ]
    assert after[-1].complete_time == now
    assert not after[-1].reasons

    category = await client.category(net_rate=375)
    job = await client.job(category.code)
    first = await create_assignment(client, jane.id, job.id)
    (policy,) = await client.policies_of(jane.id)
    assert first == assignments_pb.CreateAssignmentResponse(
        outcome=pb.BINDING_OUTCOME_COVERAGE_BOUND,
        assignment=pb.Assignment(
            id=first.assignment.id,
            contractor=jane.id,
            job=job.id,
            coverage_types=[pb.COVERAGE_TYPE_WORKERS_COMP],
            effective_time=time(DECEMBER_3),
            end_time=time(DECEMBER_7),
            work_state="CA",
            category_code=category.code,
            policy=policy.id,
            binding=pb.Binding(
                outcome=pb.BINDING_OUTCOME_COVERAGE_BOUND,
                workflow=pb.BINDING_WORKFLOW_GENERAL_OPT_IN,
                policies=[policy.id],
                application_session=session.id,
                message=first.assignment.binding.message,
                net_rate=375,
            ),
            status=pb.ASSIGNMENT_STATUS_ACTIVE,
            create_time=now,
        ),
    )
    assert first.assignment.id.startswith("an_")
    assert first.assignment.binding.message
    assert policy == pb.Policy(
        id=policy.id,
        number=1,
        contractor=jane.id,
        coverage_types=[pb.COVERAGE_TYPE_WORKERS_COMP],
        work_state="CA",
        residence_state="CA",
        category_code=category.code,
        effective_time=time(DECEMBER_3),
        expire_time=time(DECEMBER_3 + 366 * 86_400),  # 2024-12-03, past a 29 February
        status=pb.POLICY_STATUS_EXPIRED,
        origin=pb.POLICY_ORIGIN_GENERAL_OPT_IN,
        application_session=session.id,
        net_rate=375,
        carrier_policy_number=policy.carrier_policy_number,
        create_time=now,
    )
    assert policy.id.startswith("pl_")
    assert policy.carrier_policy_number

    second = await create_assignment(client, jane.id, job.id, DECEMBER_7, DECEMBER_7 + 10 * 86_400)
    assert second.outcome == pb.BINDING_OUTCOME_COVERAGE_REUSED
    assert second.assignment.policy == policy.id
    assert second.assignment.binding.workflow == pb.BINDING_WORKFLOW_GENERAL_OPT_IN
    assert second.assignment.binding.application_session == session.id
    assert second.assignment.binding.net_rate == 375

    elsewhere = await client.job(category.code, "NY")
    third = await create_assignment(client, jane.id, elsewhere.id)
    assert third.outcome == pb.BINDING_OUTCOME_STANDARD_WORKFLOW
    assert third.assignment.work_state == "NY"
    assert third.assignment.policy == ""
    assert third.assignment.binding == pb.Binding(
        outcome=pb.BINDING_OUTCOME_STANDARD_WORKFLOW,
        workflow=pb.BINDING_WORKFLOW_STANDARD,
        reasons=[pb.BINDING_REASON_WORK_STATE_MISMATCH],
        message=third.assignment.binding.message,
        standard_workflow_coverage_types=[pb.COVERAGE_TYPE_WORKERS_COMP],
    )

    assert len(await client.policies_of(jane.id)) == 1
    for made in (first, second, third):
        request = assignments_pb.GetAssignmentRequest(id=made.assignment.id)
        assert (await client.assignments.GetAssignment(request)).assignment == made.assignment


async def test_opt_ins_for_several_states(any_client: Client) -> None:
    """The guide's "State Management": one session a state, followed by listing them."""
    client = any_client
    jane = await create_contractor(client)
    for state in ("CA", "NY"):
        await complete(client, (await create_session(client, jane.id, state)).id)

    request = sessions_pb.ListApplicationSessionsRequest(contractor=jane.id, is_general_opt_in=True)
    listed = (await client.sessions.ListApplicationSessions(request)).application_sessions
    complete_status = pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE
    assert [(s.work_state, s.status) for s in listed] == [("NY", complete_status), ("CA", complete_status)]

    category = await client.category()
    for state in ("CA", "NY"):
        made = await create_assignment(client, jane.id, (await client.job(category.code, state)).id)
        assert made.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
    assert [policy.work_state for policy in await client.policies_of(jane.id)] == ["CA", "NY"]


async def test_the_api_references_own_requests(any_client: Client) -> None:
    """The guide's "API Reference", with its example.com URLs."""
    client = any_client
    jane = await create_contractor(client)
    request = sessions_pb.CreateApplicationSessionRequest(
        application_session=pb.ApplicationSession(
            contractor=jane.id,
            success_url="https://example.com/success",
            cancel_url="https://example.com/cancel",
            is_general_opt_in=True,
            work_state="CA",
        )
    )
    session = (await client.sessions.CreateApplicationSession(request)).application_session
    await complete(client, session.id)

    listing = sessions_pb.ListApplicationSessionsRequest(contractor=jane.id, is_general_opt_in=True)
    listed = await client.sessions.ListApplicationSessions(listing)
    assert [s.id for s in listed.application_sessions] == [session.id]

    made = await create_assignment(client, jane.id, (await client.job()).id)
    assert made.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
