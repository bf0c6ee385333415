"""The guide's Python snippets, run with the public client: only the key, the address and the ids are set."""

import asyncio
import json
import subprocess
import sys

from tests.support.keys import made_key
from tests.web.conftest import House, Http

BEFORE = """
import json, sys, ten99policy
ten99policy.api_base, ten99policy.api_key, ten99policy.log = sys.argv[1], sys.argv[2], None
"""
STEPS_1_AND_2 = """
contractor = ten99policy.Contractors.create(
first_name="Jane",
last_name="Doe",
email="jane.doe@example.com",
phone="5551234567",
address={
"line1": "123 Main St",
"locality": "San Francisco",
"region": "CA",
"postalcode": 94102
}
)
session = ten99policy.InsuranceApplicationSessions.create(
contractor=contractor["id"],
success_url="https://yourapp.com/success",
cancel_url="https://yourapp.com/cancel",
is_general_opt_in=True,
work_state="CA"
)
print(json.dumps([contractor, session]))
"""
STEP_4 = """
contractor = ten99policy.Contractors.retrieve(sys.argv[3])
assignment = ten99policy.Assignments.create(
contractor=contractor["id"],
job="jb_ABC123",
coverage_type=["workers-comp"],
effective_date=1701561600,
end_date=1701907200
)
print(json.dumps(assignment))
"""
THE_REST = """
contractor = ten99policy.Contractors.modify(sys.argv[3], email="other@example.com", metadata={"a": "1"})
sessions = ten99policy.InsuranceApplicationSessions.list(contractor=sys.argv[3], is_general_opt_in=True)
try:
    ten99policy.Contractors.retrieve("cn_none")
except ten99policy.error.Ten99PolicyError as error:
    refused = [error.http_status, error.json_body["error_code"], bool(error.request_id)]
deleted = ten99policy.Contractors.delete(sys.argv[3])
print(json.dumps([contractor, sessions, refused, deleted]))
"""


async def test_the_snippets_run(house: House) -> None:
    key = await made_key(house.url)
    while (await Http(house.http.port, Authorization=f"Bearer {key}")("GET", "/jobs")).status == 401:
        pass

    async def run(snippet: str, *ids: str) -> object:
        base = f"http://127.0.0.1:{house.http.port}"
        command = [sys.executable, "-W", "ignore", "-c", BEFORE + snippet, base, key, *ids]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    contractor, session = await run(STEPS_1_AND_2)  # type: ignore[misc]
    await house.client.apply(session["id"])
    job = await house.client.job()
    here = STEP_4.replace("jb_ABC123", job.id)
    outcomes = [(await run(here, contractor["id"]))["binding_outcome"] for _ in range(2)]  # type: ignore[index]
    assert outcomes == ["COVERAGE_BOUND", "COVERAGE_REUSED"]
    changed, sessions, refused, deleted = await run(THE_REST, contractor["id"])  # type: ignore[misc]
    assert (changed["email"], changed["metadata"]) == ("other@example.com", {"a": "1"})
    assert [(item["id"], item["status"]) for item in sessions] == [(session["id"], "APPLICATION_COMPLETE")]
    assert refused == [404, "resource_not_found", True]
    assert deleted["deleted"] is True
