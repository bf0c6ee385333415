"""The standard workflow as one conversation: fall-back, quote, application, issue, cover, and cover again."""

from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW
from tests.support.client import WORKERS_COMP, Client, at

GENERAL = pb.COVERAGE_TYPE_GENERAL
DAY = 86_400
TODAY = int(NOW.timestamp()) // DAY * DAY
TOMORROW = TODAY + DAY


async def test_the_standard_workflow(any_client: Client) -> None:
    client = any_client
    now = Timestamp()
    now.FromDatetime(NOW)
    jane = await client.contractor()
    category = await client.category("CA", net_rate=250)
    await client.approve(category.code, GENERAL, net_rate=40)
    job = await client.job(category.code)

    # No opt-in: the assignment falls back.
    made = await client.assign(jane.id, job.id, GENERAL, WORKERS_COMP, start=TOMORROW, end=TOMORROW + 5 * DAY)
    assert made.outcome == pb.BINDING_OUTCOME_STANDARD_WORKFLOW
    assert made.assignment.binding.reasons == [pb.BINDING_REASON_NO_GENERAL_OPT_IN]

    quote = await client.quote(jane.id, job.id, GENERAL, WORKERS_COMP)
    assert quote == pb.Quote(
        id=quote.id,
        contractor=jane.id,
        job=job.id,
        coverage_types=[GENERAL, WORKERS_COMP],
        effective_time=at(TOMORROW),
        end_time=at(TOMORROW + 30 * DAY),
        work_state="CA",
        residence_state="CA",
        category_code=category.code,
        rates=[
            pb.CoverageRate(coverage_type=GENERAL, net_rate=40),
            pb.CoverageRate(coverage_type=WORKERS_COMP, net_rate=250),
        ],
        net_rate=290,
        status=pb.QUOTE_STATUS_OPEN,
        expire_time=at(now.seconds + 30 * DAY),
        create_time=now,
    )
    assert quote.id.startswith("qt_")

    session = await client.quote_session(quote.id)
    assert (session.contractor, session.work_state, session.quote) == (jane.id, "CA", quote.id)
    assert not session.is_general_opt_in
    await client.fill_in(session.id)
    complete = await client.submit(session.id, final_review={})
    assert complete.status == pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE

    (policy,) = await client.policies_of(jane.id)
    assert policy == pb.Policy(
        id=policy.id,
        number=1,
        contractor=jane.id,
        coverage_types=[GENERAL, WORKERS_COMP],
        work_state="CA",
        residence_state="CA",
        category_code=category.code,
        effective_time=at(TOMORROW),
        expire_time=at(TOMORROW + 365 * DAY),
        status=pb.POLICY_STATUS_ACTIVE,
        origin=pb.POLICY_ORIGIN_QUOTE,
        application_session=session.id,
        quote=quote.id,
        net_rate=290,
        carrier_policy_number=policy.carrier_policy_number,
        create_time=now,
    )
    issued = await client.get_quote(quote.id)
    assert (issued.status, issued.policy) == (pb.QUOTE_STATUS_ISSUED, policy.id)

    # The assignment that waited is covered, and both decisions are kept.
    covered = await client.get_assignment(made.assignment.id)
    assert covered.policy == policy.id
    assert covered.binding == pb.Binding(
        outcome=pb.BINDING_OUTCOME_COVERAGE_BOUND,
        workflow=pb.BINDING_WORKFLOW_STANDARD,
        policies=[policy.id],
        reasons=[pb.BINDING_REASON_NO_GENERAL_OPT_IN],
        message="New coverage was bound from a quote.",
        net_rate=290,
    )
    first, second = await client.decisions(covered.id)
    assert first == pb.BindingDecision(
        number=1,
        decide_time=now,
        trigger="assignment.created",
        outcome=pb.BINDING_OUTCOME_STANDARD_WORKFLOW,
        reasons=[pb.BINDING_REASON_NO_GENERAL_OPT_IN],
        approval=category.approvals[0],
        work_state="CA",
        residence_state="CA",
        withholding=True,
        withholding_source=pb.WITHHOLDING_SOURCE_PLATFORM,
        binding=made.assignment.binding,
    )
    assert second == pb.BindingDecision(
        number=2,
        decide_time=now,
        trigger="quote.issued",
        outcome=pb.BINDING_OUTCOME_COVERAGE_BOUND,
        reasons=[pb.BINDING_REASON_NO_GENERAL_OPT_IN],
        application_session=session.id,
        policies=[policy.id],
        work_state="CA",
        residence_state="CA",
        quote=quote.id,
        policy=policy.id,
        binding=covered.binding,
    )

    # Repeat coverage, without an opt-in.
    again = await client.assign(jane.id, job.id, start=TOMORROW + 40 * DAY, end=TOMORROW + 50 * DAY)
    assert again.outcome == pb.BINDING_OUTCOME_COVERAGE_REUSED
    assert again.assignment.binding.workflow == pb.BINDING_WORKFLOW_STANDARD
    assert (again.assignment.policy, len(await client.policies_of(jane.id))) == (policy.id, 1)
