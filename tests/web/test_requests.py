"""Requests once, partial updates, lists."""

import pytest

from tests.test_remote import Carrier
from tests.web.conftest import House, Http, Serving
from tests.web.test_guide import JANE, assignment_of, session_of

DAY = 86_400


async def test_a_repeat_gets_the_first_answer(any_house: House) -> None:
    http = any_house.http
    first = await http("POST", "/contractors", JANE, Idempotency_Key="a")
    assert "idempotent-replayed" not in first.headers
    again = await http("POST", "/contractors", dict(reversed(JANE.items())), Idempotency_Key="a")
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (201, first.body, "true")
    other = await http("POST", "/contractors", {**JANE, "last_name": "Roe"}, Idempotency_Key="a")
    assert other.code == (400, "idempotency")
    elsewhere = await http("PUT", f"/contractors/{first.body['id']}", JANE, Idempotency_Key="a")
    assert elsewhere.code == (400, "idempotency")
    assert len(await http.got("/contractors")) == 1
    # The field's own header comes first; a refused request may be corrected and sent again.
    both = {"Ten99Policy_Idempotent_Key": "b", "Idempotency_Key": "a"}
    assert (await http("POST", "/contractors", {**JANE, "email": "b"}, **both)).code == (400, "invalid_input")
    assert (await http("POST", "/contractors", {**JANE, "email": "b@example.com"}, **both)).status == 201
    assert (await http("POST", "/contractors", JANE, Idempotency_Key="x" * 65)).code == (400, "invalid_input")


async def test_a_key_is_of_one_face(any_house: House) -> None:
    http, client = any_house.http, any_house.client
    jane, job = await client.opted_in(), await client.job()
    web, wire = assignment_of(jane.id, job.id), {"Idempotency_Key": "wire"}
    made = await http.made("/assignments", web, Idempotency_Key="web")
    with pytest.raises(Exception, match="request_id web was used for another request"):
        await client.assign(jane.id, job.id, request_id="web")
    await client.assign(jane.id, job.id, request_id="wire")
    assert (await http("POST", "/assignments", web, **wire)).code == (400, "idempotency")
    again = await http("POST", "/assignments", web, Idempotency_Key="web")
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (201, made, "true")


async def test_a_remote_carriers_answer_is_kept_in_the_callers_form(serve_http: Serving, database_url: str) -> None:
    carrier = Carrier()
    async with serve_http(carrier=carrier, database_url=database_url) as house:
        http, client = house.http, house.client
        jane, job = await client.opted_in(), await client.job()
        wanted = assignment_of(jane.id, job.id)
        made = await http("POST", "/assignments", wanted, Idempotency_Key="a")
        assert (made.status, made.body["binding_outcome"]) == (201, "COVERAGE_BOUND")
        again = await http("POST", "/assignments", wanted, Idempotency_Key="a")
        assert (again.body, again.headers["idempotent-replayed"]) == (made.body, "true")
        later = {"effective_date": wanted["effective_date"] + 300 * DAY, "end_date": wanted["end_date"] + 300 * DAY}
        reused = await http.made("/assignments", wanted | later)
        assert reused["binding_outcome"] == "COVERAGE_REUSED"
        end = {"assignment": reused["id"], "end_date": wanted["end_date"] + 400 * DAY}
        extended = await http("POST", "/assignments/extend", end, Idempotency_Key="b")
        assert (extended.status, extended.body["binding_outcome"]) == (200, "COVERAGE_BOUND")
        assert (await http("POST", "/assignments/extend", end, Idempotency_Key="b")).body == extended.body
        assert len(carrier.asked) == 2


async def test_a_put_changes_what_is_sent(any_house: House) -> None:
    http = any_house.http
    sent = {**JANE, "middle_name": "M", "withhold_premium": True, "metadata": {"a": "1", "b": "2"}}
    jane = await http.made("/contractors", sent)
    path = f"/contractors/{jane['id']}"
    changed = await http(
        "PUT",
        path,
        {
            "first_name": "Janet",
            "middle_name": "",
            "last_name": None,
            "withhold_premium": "",
            "address": {"line1": "", "postalcode": 2101, "region": "ma"},
            "metadata": {"a": "", "c": "3"},
            "id": "cn_other",
            "created": 1,
        },
    )
    assert changed.status == 200
    assert changed.body == {
        **jane,
        "first_name": "Janet",
        "middle_name": "",
        "withhold_premium": None,
        "address": {**jane["address"], "line1": "", "postalcode": "02101", "region": "MA"},
        "metadata": {"b": "2", "c": "3"},
    }
    assert await http.got(path) == changed.body
    assert (await http("PUT", path, {"email": ""})).body["fields"] == {"email": "is required"}
    assert (await http("PUT", path, {"address": {"region": ""}})).body["fields"] == {"address.region": "is required"}
    assert (await http("PUT", path, {"metadata": {str(n): "x" for n in range(50)}})).code == (400, "invalid_input")
    assert (await http("PUT", path, {"metadata": "", "email": JANE["email"]})).body["metadata"] == {}
    assert (await http("PUT", "/contractors/cn_none", {})).code == (404, "resource_not_found")


async def test_a_job_gets_and_loses_its_place(house: House) -> None:
    http, category = house.http, await house.client.category()
    job = await http.made("/jobs", {"name": "J", "category_code": {"id": category.code, "name": "x"}})
    path = f"/jobs/{job['id']}"
    assert job["address"] is None
    assert (await http("PUT", path, {"address": {"line1": "1 Dock Rd"}})).body["fields"] == {
        "address.region": "is required"
    }
    placed = (await http("PUT", path, {"address": {"region": "NY"}, "description": "x"})).body
    assert (placed["address"]["region"], placed["description"]) == ("NY", "x")
    assert (await http("PUT", path, {"address": "", "description": ""})).body == job


async def test_a_deleted_contractor(house: House) -> None:
    http = house.http
    jane = await http.made("/contractors", JANE)
    path = f"/contractors/{jane['id']}"
    deleted = await http("DELETE", path, Idempotency_Key="a")
    gone = {"id": jane["id"], "object": "contractors", "deleted": True, "deleted_at": deleted.body["deleted_at"]}
    assert (deleted.status, deleted.body) == (200, gone)
    assert await http.got(path) == gone
    assert (await http("DELETE", path)).code == (404, "resource_not_found")
    assert (await http("DELETE", path, Idempotency_Key="a")).body == gone
    assert await http.got("/contractors") == []


LISTS = ("/contractors", "/jobs", "/category_codes", "/apply/sessions", "/quotes", "/assignments", "/policies")


async def test_lists(any_house: House) -> None:
    http, client = any_house.http, any_house.client
    category = (await client.category()).code
    for _ in range(3):
        jane, job = await client.opted_in(), await client.job(category)
        await client.quote(jane.id, job.id)
        await client.assign(jane.id, job.id)
        await client.category()
    for path in LISTS:
        every = await http.got(path)
        ids = [item["id"] for item in every]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) in (3, 4)
        assert await http.got(f"{path}?limit=2") == every[:2]
        assert await http.got(f"{path}?limit=1&starting_after={ids[0]}") == every[1:2]
        assert await http.got(f"{path}?starting_after={ids[-1]}") == []
        assert await http.got(f"{path}?limit=1&ending_before={ids[2]}") == every[1:2]
        assert await http.got(f"{path}?ending_before={ids[0]}") == []
        assert await http.got(f"{path}?limit=&starting_after=&unknown=1") == every
    for _ in range(10):
        await client.contractor()
    assert len(await http.got("/contractors")) == 10
    assert len(await http.got("/contractors?limit=100")) == 13


async def test_filters(house: House) -> None:
    http, client = house.http, house.client
    jane, job = await client.opted_in(), await client.job()
    other = await client.contractor()
    session = await http.made("/apply/sessions", session_of(other.id))
    await client.assign(jane.id, job.id)
    assert [item["id"] for item in await http.got(f"/contractors?email={jane.email.upper()}")] == [jane.id]
    assert [item["id"] for item in await http.got(f"/jobs?category_code={job.category_code}")] == [job.id]
    assert await http.got("/jobs?category_code=jc_none") == []
    assert await http.got("/apply/sessions?status=CREATED&is_general_opt_in=True&work_state=ca") == [session]
    assert await http.got("/apply/sessions?is_general_opt_in=False") == []
    assert len(await http.got(f"/assignments?job={job.id}&binding_outcome=COVERAGE_BOUND")) == 1
    assert await http.got("/assignments?binding_outcome=coverage_reused") == []


async def test_docs_and_the_document_need_no_key(serve_http: Serving) -> None:
    async with serve_http(environment="production") as house:
        http = Http(house.http.port)
        document = await http.got("/openapi.json")
        assert document["openapi"] == "3.1.0"
        page = await http("GET", "/docs")
        assert page.status == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for path, operations in document["paths"].items():
            for verb in operations:
                assert f"{verb.upper()} {path}".encode() in page.raw
        assert b"<script" not in page.raw
        for path in ("/docs", "/openapi.json"):
            assert (await http("GET", path, X_Call_Id="c1")).headers["request-id"] == "c1"
            assert (await http("GET", path)).headers["request-id"] not in ("", "c1")
