"""BatchCreateAssignments: each item as a call of its own, in order."""

from typing import Any

import grpc
from google.rpc import error_details_pb2
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import resources_pb2 as pb

from tests.support.client import GUIDE_END, GUIDE_START, WORKERS_COMP, Client, at, refused

Result = assignments_pb.BatchCreateAssignmentsResponse.Result


def item(contractor: str, job: str, **fields: Any) -> assignments_pb.CreateAssignmentRequest:
    assignment = pb.Assignment(
        contractor=contractor,
        job=job,
        coverage_types=[WORKERS_COMP],
        effective_time=at(GUIDE_START),
        end_time=at(GUIDE_END),
    )
    return assignments_pb.CreateAssignmentRequest(assignment=assignment, **fields)


async def batch(client: Client, *items: assignments_pb.CreateAssignmentRequest) -> list[Result]:
    request = assignments_pb.BatchCreateAssignmentsRequest(requests=items)
    return list((await client.assignments.BatchCreateAssignments(request)).results)


def reason(result: Result) -> str:
    (info,) = [d for d in result.error.details if d.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    message = error_details_pb2.ErrorInfo()
    info.Unpack(message)
    return str(message.reason)


async def test_results_are_in_order_and_each_stands_alone(any_client: Client) -> None:
    jane, john = await any_client.opted_in(), await any_client.opted_in()
    job = await any_client.job()
    results = await batch(
        any_client,
        item(jane.id, job.id),
        item("cn_nobody", job.id),
        item(john.id, job.id),
        item("", job.id),
        item(jane.id, job.id),
    )
    assert [result.response.outcome for result in results] == [
        pb.BINDING_OUTCOME_COVERAGE_BOUND,
        pb.BINDING_OUTCOME_UNSPECIFIED,
        pb.BINDING_OUTCOME_COVERAGE_BOUND,
        pb.BINDING_OUTCOME_UNSPECIFIED,
        pb.BINDING_OUTCOME_COVERAGE_REUSED,
    ]
    assert [result.WhichOneof("result") for result in results].count("error") == 2
    assert (results[1].error.code, reason(results[1])) == (grpc.StatusCode.NOT_FOUND.value[0], "RESOURCE_NOT_FOUND")
    assert (results[3].error.code, reason(results[3])) == (grpc.StatusCode.INVALID_ARGUMENT.value[0], "INVALID_FIELD")
    (would,) = await batch(any_client, item(jane.id, job.id, validate_only=True))
    assert would.response.outcome == pb.BINDING_OUTCOME_COVERAGE_REUSED
    assert not would.response.assignment.id


async def test_an_item_is_the_single_call(any_client: Client) -> None:
    jane, job = await any_client.opted_in(), await any_client.job()
    once = item(jane.id, job.id, request_id="one")
    results = await batch(any_client, once, once, item(jane.id, job.id, request_id="two"))
    assert results[0] == results[1], "a repeat within one batch gets the first's answer"
    assert results[0].response.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
    alone = await any_client.assignments.CreateAssignment(once)
    assert alone == results[0].response
    single = await any_client.assign(jane.id, job.id, request_id="three")
    assert (await batch(any_client, item(jane.id, job.id, request_id="three")))[0].response == single
    other = item(jane.id, (await any_client.job()).id, request_id="one")
    assert reason((await batch(any_client, other))[0]) == "REQUEST_ID_REUSED"
    request = assignments_pb.ListAssignmentsRequest(contractor=jane.id)
    assert len((await any_client.assignments.ListAssignments(request)).assignments) == 3


async def test_from_1_to_200_items(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    for items in ([], [item(jane.id, job.id)] * 201):
        call = client.assignments.BatchCreateAssignments(assignments_pb.BatchCreateAssignmentsRequest(requests=items))
        refusal = await refused(call)
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", {"requests"})
    results = await batch(client, *[item(jane.id, job.id)] * 200)
    outcomes = [result.response.outcome for result in results]
    assert outcomes == [pb.BINDING_OUTCOME_COVERAGE_BOUND, *[pb.BINDING_OUTCOME_COVERAGE_REUSED] * 199]
