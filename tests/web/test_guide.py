"""The guide's requests, verbatim, and the form of its answers."""

from datetime import datetime
from typing import Any

from tests.conftest import NOW
from tests.support.client import GUIDE_END, GUIDE_START
from tests.web.conftest import House

JANE = {
    "first_name": "Jane",
    "last_name": "Doe",
    "email": "jane.doe@example.com",
    "phone": "5551234567",
    "address": {"line1": "123 Main St", "locality": "San Francisco", "region": "CA", "postalcode": 94102},
}


def session_of(contractor: str) -> dict[str, Any]:
    return {
        "contractor": contractor,
        "success_url": "https://example.com/success",
        "cancel_url": "https://example.com/cancel",
        "is_general_opt_in": True,
        "work_state": "CA",
    }


def assignment_of(contractor: str, job: str) -> dict[str, Any]:
    return {
        "contractor": contractor,
        "job": job,
        "coverage_type": ["workers-comp"],
        "effective_date": GUIDE_START,
        "end_date": GUIDE_END,
    }


def unix(time: datetime) -> int:
    return int(time.timestamp())


async def test_the_whole_conversation(any_house: House) -> None:
    http, client = any_house.http, any_house.client
    created = await http("POST", "/contractors", JANE)
    assert created.status == 201
    jane = created.body
    assert jane == {
        **JANE,
        "id": jane["id"],
        "object": "contractors",
        "middle_name": "",
        "phone": "+15551234567",
        "address": {**JANE["address"], "line2": "", "postalcode": "94102", "country": "US"},  # type: ignore[dict-item]
        "company_name": "",
        "withhold_premium": None,
        "metadata": {},
        "deleted": False,
        "created": unix(NOW),
        "updated": unix(NOW),
    }
    session = await http.made("/apply/sessions", session_of(jane["id"]))
    assert session == {
        **session_of(jane["id"]),
        "id": session["id"],
        "object": "apply/sessions",
        "quote": None,
        "url": f"http://127.0.0.1:{http.port}/apply/{session['url'].rpartition('/')[2]}",
        "status": "CREATED",
        "step": "verify_info",
        "reasons": [],
        "expired": False,
        "created": unix(NOW),
        "expiration_date": unix(NOW) + 30 * 86_400,
        "completed": None,
    }
    await client.apply(session["id"])
    (listed,) = await http.got(f"/apply/sessions?contractor={jane['id']}&is_general_opt_in=true")
    assert (listed["id"], listed["status"], listed["step"]) == (session["id"], "APPLICATION_COMPLETE", "done")
    assert listed == await http.got(f"/apply/sessions/{session['id']}")

    category = await client.category()
    place = {"line1": "1 Dock Rd", "region": "CA"}
    job = await http.made("/jobs", {"name": "Picker", "category_code": category.code, "address": place, "wage": 100})
    wanted = assignment_of(jane["id"], job["id"])
    preview = await http.made("/assignments", {**wanted, "bind": False})
    assert (preview["id"], preview["bind"], preview["binding_outcome"]) == (None, False, "COVERAGE_BOUND")
    first = await http.made("/assignments", wanted)
    assert first == {
        **wanted,
        "id": first["id"],
        "object": "assignments",
        "work_state": "CA",
        "category_code": category.code,
        "status": "ACTIVE",
        "bind": True,
        "eligible": {"result": True, "message": "New coverage was bound from the completed general opt-in."},
        "policy": first["policy"],
        "application_session": session["id"],
        "net_rate": 250,
        "binding_outcome": "COVERAGE_BOUND",
        "binding_reasons": [],
        "workflow": "GENERAL_OPT_IN",
        "standard_workflow_coverage_type": [],
        "created": unix(NOW),
        "cancelled": None,
        "cancel_reason": "",
    }
    # References as objects, as the public client sends what it got.
    second = await http.made("/assignments", {**wanted, "contractor": jane, "job": job})
    assert (second["binding_outcome"], second["policy"]) == ("COVERAGE_REUSED", first["policy"])
    assert await http.got(f"/assignments?contractor={jane['id']}") == [second, first]
    assert await http.got(f"/assignments/{first['id']}") == first

    policy = await http.got(f"/policies/{first['policy']}")
    assert (policy["number"], policy["status"], policy["origin"]) == (1, "EXPIRED", "GENERAL_OPT_IN")
    assert policy["coverage_type"] == ["workers-comp"]
    assert (policy["effective_date"], policy["expiration_date"]) == (GUIDE_START, 1_733_184_000)
    assert await http.got(f"/policies?contractor={jane['id']}&status=expired") == [policy]


async def test_where_the_opt_in_does_not_apply_it_says_why(house: House) -> None:
    http, client = house.http, house.client
    jane, job = await client.contractor(), await client.job()
    made = await http.made("/assignments", assignment_of(jane.id, job.id))
    assert made["eligible"]["result"] is False
    assert made["eligible"]["message"].startswith("The standard workflow applies")
    assert made["binding_reasons"] == ["NO_GENERAL_OPT_IN"]
    assert made["standard_workflow_coverage_type"] == ["workers-comp"]
    assert (made["policy"], made["application_session"], made["workflow"]) == (None, None, "STANDARD")


async def test_a_quote(house: House) -> None:
    http, client = house.http, house.client
    jane, job = await client.contractor(), await client.job()
    wanted = {"job": job.id, "contractor": jane.id, "coverage_type": ["workers-comp"]}
    quote = await http.made("/quotes", wanted)
    assert {**quote, **wanted} == quote
    assert quote["rates"] == [{"coverage_type": "workers-comp", "net_rate": 250}]
    assert (quote["status"], quote["policy"], quote["net_rate"]) == ("OPEN", None, 250)
    later = quote["end_date"] + 86_400
    changed = (await http("PUT", f"/quotes/{quote['id']}", {"end_date": later, "name": "Mechanic"})).body
    assert changed == {**quote, "end_date": later}
    assert await http.got("/quotes?status=OPEN") == [changed]
    urls = {"success_url": "http://example.com/success", "cancel_url": "http://example.com/cancel"}
    session = await http.made("/apply/sessions", {"quote": quote, **urls})
    assert (session["quote"], session["contractor"]) == (quote["id"], jane.id)
    expired = await http("POST", f"/apply/sessions/{session['id']}/expire")
    assert (expired.status, expired.body["status"], expired.body["expired"]) == (200, "EXPIRED", True)


async def test_the_other_state_field_of_a_general_opt_in(house: House) -> None:
    jane = await house.client.contractor()
    sent = session_of(jane.id) | {"general_opt_in_work_state": "ny"}
    del sent["work_state"]
    assert (await house.http.made("/apply/sessions", sent))["work_state"] == "NY"


async def test_cancel_and_extend(house: House) -> None:
    http, client = house.http, house.client
    jane, other, job = await client.contractor(), await client.contractor(), await client.job()
    body = {"contractor": jane.id, "job": job.id}
    first = await http.made("/assignments", body)
    end = first["end_date"] + 86_400
    extended = await http("POST", "/assignments/extend", {"assignment": first["id"], "end_date": end})
    assert (extended.status, extended.body["end_date"]) == (200, end)
    by_job = await http.made("/assignments/extend", {"job_id": job.id, "end_date": end + 1})
    assert (by_job["id"], by_job["end_date"]) == (first["id"], end + 1)
    second = await http.made("/assignments", {**body, "contractor": other.id})
    refused = await http("POST", "/assignments/cancel", {"job_id": job.id})
    assert refused.code == (400, "invalid_input")
    assert {item["status"] for item in await http.got("/assignments")} == {"ACTIVE"}
    cancelled = await http.made("/assignments/cancel", {"job_id": job.id, "contractor": other.id, "reason": "ill"})
    assert (cancelled["id"], cancelled["status"], cancelled["cancel_reason"]) == (second["id"], "CANCELLED", "ill")
    assert (await http.made("/assignments/cancel", {"job_id": job.id}))["id"] == first["id"]
    assert (await http("POST", "/assignments/cancel", {"job_id": job.id})).code == (404, "resource_not_found")
    assert (await http("POST", "/assignments/cancel", {})).code == (400, "invalid_input")


async def test_events_and_categories(any_house: House) -> None:
    http, client = any_house.http, any_house.client
    jane, job = await client.opted_in(), await client.job()
    quote = await http.made("/quotes", {"job": job.id, "contractor": jane.id, "coverage_type": "workers-comp"})
    made = await http.made("/assignments", assignment_of(jane.id, job.id))
    await http("DELETE", f"/contractors/{jane.id}")
    await client.told(jane.id, "contractor.deleted")
    events = await http.got("/events?limit=100")
    assert events[0]["type"] == "contractor.deleted"
    assert events[0]["data"] == await http.got(f"/contractors/{jane.id}")
    by_type = {event["type"]: event for event in events}
    assert by_type["assignment.created"]["data"] == made
    assert by_type["quote.created"]["data"] == quote
    assert by_type["policy.active"]["data"]["id"] == made["policy"]
    assert by_type["application_session.completed"]["data"]["status"] == "APPLICATION_COMPLETE"
    approved = by_type["category.approved" if "category.approved" in by_type else "job_category.approved"]
    assert approved["data"] == await http.got(f"/category_codes/{job.category_code}")
    assert approved["data"]["approvals"][0]["coverage_type"] == "workers-comp"
    assert await http.got(f"/events/{approved['id']}") == approved
    assert await http.got("/events?type=quote.created,assignment.created") == [
        by_type["assignment.created"],
        by_type["quote.created"],
    ]
    assert await http.got(f"/events?limit=2&starting_after={events[1]['id']}") == events[2:4]
    assert await http.got(f"/events?limit=2&ending_before={events[3]['id']}") == events[1:3]
    assert await http.got("/category_codes") == [approved["data"]]
