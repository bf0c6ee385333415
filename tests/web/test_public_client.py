"""The guide's Python snippets, run with the public client: only the key, the addresses and the ids are set."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from optin.v1 import resources_pb2 as pb

from tests.server.process import optin, served
from tests.support.client import Client
from tests.web.conftest import Http
from tests.web.page.browser import launched, platform_site, tab
from tests.web.page.person import Person

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


@pytest.mark.parametrize("face", ["a plain person", "a browser"])
async def test_the_guides_story(tmp_path: Path, face: str) -> None:
    """Against `optin serve`, as `make run` starts it: the snippets, the page, the snippets again."""
    async with platform_site() as urls:
        await the_story(tmp_path, face, urls)


async def the_story(tmp_path: Path, face: str, urls: dict[str, str]) -> None:
    with served(tmp_path, "--http-port", "0") as server:
        [base] = re.findall(r"^  http +(http://\S+)/docs$", server.stdout, re.MULTILINE)
        made = await asyncio.to_thread(optin, "key", "create", "--label", "guide", "--quiet", cwd=tmp_path)
        key = made.stdout.strip()
        port = int(base.rpartition(":")[2])
        while (await Http(port, Authorization=f"Bearer {key}")("GET", "/jobs")).status == 401:
            await asyncio.sleep(0.02)

        async def run(snippet: str, *ids: str) -> Any:
            command = [sys.executable, "-W", "ignore", "-c", BEFORE + snippet, base, key, *ids]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        to_ours = STEPS_1_AND_2.replace("https://yourapp.com/success", urls["success_url"])
        contractor, session = await run(to_ours)
        assert session["url"].startswith(f"{base}/apply/")
        if face == "a browser":
            async with launched() as browser, tab(browser) as person:
                await person.applies(session["url"])
                await person.page.wait_for_url("**/success?*")
        else:
            end = await Person(port).applies(pb.ApplicationSession(url=session["url"]))
            assert end.location == f"{urls['success_url']}?session={session['id']}&status=APPLICATION_COMPLETE"
        async with grpc.aio.insecure_channel(server.target) as channel:
            job = await Client(channel).job()
        here = STEP_4.replace("jb_ABC123", job.id)
        outcomes = [(await run(here, contractor["id"]))["binding_outcome"] for _ in range(2)]
        assert outcomes == ["COVERAGE_BOUND", "COVERAGE_REUSED"]
        changed, sessions, refused, deleted = await run(THE_REST, contractor["id"])
    assert (changed["email"], changed["metadata"]) == ("other@example.com", {"a": "1"})
    assert [(item["id"], item["status"]) for item in sessions] == [(session["id"], "APPLICATION_COMPLETE")]
    assert refused == [404, "resource_not_found", True]
    assert deleted["deleted"] is True
