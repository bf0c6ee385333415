from tests.support.client import Client
from optin.v1 import resources_pb2 as pb

async def test_guide(any_client: Client) -> None:
    jane = await any_client.opted_in()
    job = await any_client.job()
    first = await any_client.assign(jane.id, job.id, request_id="a")
    print(first)
    assert first.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
    again = await any_client.assign(jane.id, job.id, request_id="a")
    assert again == first
    second = await any_client.assign(jane.id, job.id, request_id="b")
    assert second.outcome == pb.BINDING_OUTCOME_COVERAGE_REUSED
    print(second.assignment.binding)
    third = await any_client.assign(jane.id, (await any_client.job(region="NY")).id)
    print(third.assignment.binding)
