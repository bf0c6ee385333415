"""Each of the field's error codes, and what no error says."""

from typing import Any

import pytest

from server.domain.errors import ConcurrentUpdate, StorageUnavailable
from server.service import contractors
from tests.conftest import NOW
from tests.web.conftest import House
from tests.web.page.person import Person
from tests.web.test_guide import JANE, assignment_of, session_of

DAY = 86_400
TODAY = int(NOW.timestamp()) // DAY * DAY


async def test_fields_and_references(house: House) -> None:
    http, client = house.http, house.client
    jane, job = await client.opted_in(email=JANE["email"]), await client.job()
    nowhere = (await client.category(approved=False)).code
    unapproved = await client.job(nowhere)
    start, end = TODAY + DAY, TODAY + 2 * DAY
    await client.assign(jane.id, job.id, start=start, end=end)
    complete = await http.got(f"/apply/sessions?contractor={jane.id}")
    session = await client.session(jane.id)
    await http.made(f"/apply/sessions/{session.id}/expire", {})
    quote = {"contractor": jane.id, "job": job.id, "coverage_type": ["workers-comp"], "effective_date": start}
    wanted = assignment_of(jane.id, job.id)
    refusals: list[tuple[str, str, Any, int, str]] = [
        ("POST", "/contractors", JANE, 400, "duplicate_email"),
        ("POST", "/contractors", {**JANE, "phone": "1"}, 400, "invalid_input"),
        ("GET", "/contractors/cn_none", None, 404, "resource_not_found"),
        ("GET", "/category_codes/jc_none", None, 404, "resource_not_found"),
        ("GET", "/events/ev_none", None, 404, "resource_not_found"),
        ("GET", "/nothing", None, 404, "resource_not_found"),
        ("DELETE", f"/jobs/{job.id}", None, 405, "invalid_input"),
        ("POST", "/jobs", {"name": "J", "category_code": "jc_none"}, 400, "invalid_job_category_code"),
        ("PUT", f"/jobs/{job.id}", {"category_code": "jc_none"}, 400, "invalid_job_category_code"),
        ("POST", "/assignments", {**wanted, "contractor": "cn_none"}, 404, "resource_not_found"),
        ("POST", "/assignments", {**wanted, "effective_date": 1}, 400, "effective_date_invalid"),
        ("POST", "/assignments", {**wanted, "effective_date": "soon"}, 400, "effective_date_invalid"),
        ("POST", "/assignments", {**wanted, "end_date": 1_700_000_000}, 400, "end_date_invalid"),
        ("POST", "/assignments", {**wanted, "end_date": 1, "job": ""}, 400, "invalid_input"),
        ("POST", "/assignments", {**wanted, "coverage_type": ["life"]}, 400, "invalid_input"),
        ("POST", "/quotes", {**quote, "job": unapproved.id}, 400, "job_category_not_approved"),
        ("POST", "/quotes", {**quote, "end_date": end}, 400, "contractor_has_matching_policy"),
        ("POST", f"/apply/sessions/{session.id}/expire", None, 400, "session_expired"),
        ("POST", f"/apply/sessions/{complete[0]['id']}/expire", None, 400, "application_already_complete"),
        ("POST", "/apply/sessions", {**session_of(jane.id), "work_state": "OH"}, 400, "invalid_input"),
        ("POST", "/apply/sessions", {"is_general_opt_in": False, "success_url": "x"}, 400, "invalid_input"),
        ("GET", "/contractors?limit=0", None, 400, "invalid_input"),
        ("GET", "/contractors?limit=101", None, 400, "invalid_input"),
        ("GET", "/contractors?starting_after=x%00", None, 400, "invalid_input"),
        ("GET", "/policies?status=NONE", None, 400, "invalid_input"),
    ]
    found = []
    for verb, path, body, _, _ in refusals:
        answer = await http(verb, path, body)
        assert answer.headers["request-id"]
        found.append((verb, path, body, *answer.code))
    assert found == refusals


async def test_every_bad_field_is_named_in_the_terms_of_the_json(house: House) -> None:
    body = {"address": {"region": "XX", "postalcode": 941020}, "email": "jane", "first_name": "", "metadata": {"": "x"}}
    fields = (await house.http("POST", "/contractors", body)).body["fields"]
    assert fields.keys() == {
        "address.region",
        "address.postalcode",
        "email",
        "first_name",
        "last_name",
        "phone",
        "metadata",
    }
    jane, job = await house.client.contractor(), await house.client.job()
    refused = (
        await house.http("POST", "/assignments", assignment_of(jane.id, job.id) | {"end_date": 1_701_561_600})
    ).body
    assert refused["fields"] == {"end_date": "must be after effective_date"}
    assert refused["message"] == "end_date must be after effective_date."
    assert (refused["reason"], refused["error_code"]) == ("INVALID_FIELD", "end_date_invalid")


async def test_a_name_that_was_sent_as_an_id_is_not_repeated(house: House) -> None:
    refused = await house.http("GET", "/contractors/Jane%20Canary")
    assert refused.code == (404, "resource_not_found")
    assert b"Canary" not in refused.raw


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [(RuntimeError("Canary"), 500, None), (ConcurrentUpdate(), 409, "1"), (StorageUnavailable(), 503, "1")],
)
async def test_what_is_not_the_callers_fault(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, retry: str | None
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(contractors, "create", fail)
    refused = await house.http("POST", "/contractors", JANE, x_call_id="my-call")
    assert refused.code == (status, "general_error")
    assert refused.headers.get("retry-after") == retry
    assert refused.headers["request-id"] == "my-call"
    assert b"Canary" not in refused.raw


async def test_a_method_that_is_not_taken_is_told_those_that_are(house: House) -> None:
    for path, methods in (
        ("/contractors", "GET, HEAD, POST"),
        ("/contractors/cn_1", "DELETE, GET, HEAD, PUT"),
        ("/jobs/jb_1", "GET, HEAD, PUT"),
        ("/apply/sessions/ias_1/expire", "POST"),
        ("/openapi.json", "GET, HEAD"),
    ):
        refused = await house.http("PATCH", path)
        assert (refused.code, refused.headers["allow"]) == ((405, "invalid_input"), methods)
    page = await Person(house.http.port).asks("PUT", "/apply/x/information")
    assert (page.status, page.headers["allow"]) == (405, "GET, HEAD, POST")
    assert "allow" not in (await house.http("GET", "/nothing")).headers


@pytest.mark.parametrize("name", ["job_id", "job"])
async def test_a_job_with_several_assignments_is_named_as_it_was_sent(house: House, name: str) -> None:
    client = house.client
    jane, job = await client.opted_in(), await client.job()
    for _ in range(2):
        await client.assign(jane.id, job.id)
    for path, more in (("cancel", {}), ("extend", {"end_date": TODAY + 400 * DAY})):
        refused = await house.http("POST", f"/assignments/{path}", {name: job.id, **more})
        assert refused.code == (400, "invalid_input")
        assert refused.body["fields"] == {name: "has several active assignments; name the assignment"}
