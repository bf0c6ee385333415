"""The way through an application, and out of it again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from optin.v1 import resources_pb2 as pb

from server.domain.trail import Act
from tests.conftest import Clock
from tests.support.client import Client
from tests.test_remote import Carrier
from tests.web.conftest import House, Serving
from tests.web.page.person import AGENT, Page, Person

SUBMIT = "optin.v1.ApplicationSessionService/SubmitApplicationStep"
COMPLETE = pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE
STARTED = pb.APPLICATION_SESSION_STATUS_STARTED


async def opt_in(client: Client, **changes: Any) -> pb.ApplicationSession:
    return await client.session((await client.contractor(**changes)).id)


def told(session: pb.ApplicationSession, status: str, where: str = "cancel") -> str:
    return f"https://yourapp.com/{where}?session={session.id}&status={status}"


async def test_an_opt_in(any_house: House) -> None:
    client, person = any_house.client, Person(any_house.http.port)
    jane = await client.contractor()
    session = await client.session(jane.id)
    end = await person.applies(session)
    assert end.location == told(session, "APPLICATION_COMPLETE", "success")
    assert (await client.get_session(session.id)).status == COMPLETE
    bound = await client.assign(jane.id, (await client.job()).id)
    assert bound.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND


async def test_an_application_for_a_quote(any_house: House) -> None:
    client, person = any_house.client, Person(any_house.http.port)
    jane = await client.contractor()
    category = await client.category()
    await client.approve(category.code, pb.COVERAGE_TYPE_GENERAL)
    job = await client.job(category.code, "NY")
    waiting = await client.assign(jane.id, job.id)
    quote = await client.quote(jane.id, job.id, pb.COVERAGE_TYPE_GENERAL, pb.COVERAGE_TYPE_WORKERS_COMP)
    session = await client.quote_session(quote.id)
    await person.opens(session.url)
    assert "your work in New York: General liability, Workers' compensation" in person.page.text
    end = await person.applies(session)
    assert end.location == told(session, "APPLICATION_COMPLETE", "success")
    assert (await client.get_quote(quote.id)).policy
    assert waiting.outcome == pb.BINDING_OUTCOME_STANDARD_WORKFLOW


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"age_18_or_over": "no"}, "INELIGIBLE"),
        ({"losses_last_3_years": "yes"}, "MANUAL_REVIEW"),
        ({"has_employees": "yes"}, "MANUAL_REVIEW"),
        ({"has_employees": "yes", "age_18_or_over": "no"}, "INELIGIBLE"),
        ({"other_workers_comp": "yes"}, "APPLICATION_COMPLETE"),
    ],
)
async def test_each_answer_leads_where_it_should(house: House, answer: dict[str, str], status: str) -> None:
    person, session = Person(house.http.port), await opt_in(house.client)
    end = await person.applies(session, **answer)
    kept = await house.client.get_session(session.id)
    assert pb.ApplicationSessionStatus.Name(kept.status) == f"APPLICATION_SESSION_STATUS_{status}"
    if status != "MANUAL_REVIEW":
        assert end.location == told(session, status, "success" if "COMPLETE" in status else "cancel")
        return
    for page in (end, await person.opens(session.url), await person.opens(f"{session.url}/questions")):
        assert (page.status, page.action) == (200, "")
        assert "Your application is in review" in page.text
        assert page.links == {"Go back to the platform": told(session, status, "success")}


async def test_what_is_corrected_is_on_record_and_the_rest_is_left(house: House) -> None:
    client, person = house.client, Person(house.http.port)
    address = pb.Address(line1="9 Elm St", locality="Reno", region="NV", postalcode="895011234")
    jane = await client.contractor(middle_name="Q", phone="+442079460958", address=address)
    session = await client.session(jane.id)
    await person.opens(session.url)
    shown = {name: value for name, value in person.page.fields.items() if name != "mark"}
    assert shown == {
        "first_name": "Jane",
        "middle_name": "Q",
        "last_name": "Doe",
        "phone": "+44 20 7946 0958",
        "line1": "9 Elm St",
        "line2": "",
        "locality": "Reno",
        "region": "NV",
        "postalcode": "89501-1234",
    }
    await person.goes_on()
    assert await client.get_contractor(jane.id) == jane
    await person.opens(person.page.links["Back"])
    await person.goes_on(last_name=" Roe ", middle_name="", line2="Unit 2", region="CA", postalcode="94102")
    corrected = await client.get_contractor(jane.id)
    assert (corrected.last_name, corrected.middle_name, corrected.phone) == ("Roe", "", "+442079460958")
    line = pb.Address(
        line1="9 Elm St", line2="Unit 2", locality="Reno", region="CA", postalcode="94102", country=jane.address.country
    )
    assert corrected.address == line
    await person.goes_on(**person.good_answers())
    wrong = await person.sends(**dict.fromkeys(person.documents(), "Jane Doe"))
    assert wrong.status == 422
    assert "Fraud notice: Type your name as it is on record: Jane Roe" in wrong.text
    assert (await person.sends(**dict.fromkeys(person.documents(), "jane   ROE"))).location.endswith("/submit")


async def test_a_contractor_without_a_zip_code_may_correct_the_street(house: House) -> None:
    person = Person(house.http.port)
    jane = await house.client.contractor(address=pb.Address(region="CA"))
    session = await house.client.session(jane.id)
    await person.opens(session.url)
    await person.goes_on(line1="1 New St")
    kept = (await house.client.get_contractor(jane.id)).address
    assert (kept.line1, kept.region, kept.postalcode) == ("1 New St", "CA", "")


BAD: list[tuple[str, str, str]] = [
    ("first_name", "", "Enter your first name"),
    ("first_name", "x" * 101, "Enter your first name"),
    ("middle_name", "x" * 101, "Enter a middle name"),
    ("last_name", " ", "Enter your last name"),
    ("phone", "12", "Enter a phone number"),
    ("phone", "", "Enter a phone number"),
    ("line1", "x" * 201, "Enter a street"),
    ("line2", "x" * 201, "Enter an apartment"),
    ("locality", "x" * 101, "Enter a city"),
    ("region", "", "Choose a state"),
    ("region", "XX", "Choose a state"),
    ("postalcode", "9410", "Enter a ZIP code"),
    ("postalcode", "", "Enter a ZIP code"),
]


@pytest.mark.parametrize(("name", "typed", "sentence"), BAD)
async def test_a_bad_field_says_so_and_keeps_what_was_typed(house: House, name: str, typed: str, sentence: str) -> None:
    person, session = Person(house.http.port), await opt_in(house.client)
    await person.opens(session.url)
    page = await person.sends(**{name: typed, "line1" if name != "line1" else "locality": "kept as typed"})
    assert page.status == 422
    assert (
        page.html.count(f'aria-describedby="{name}-hint {name}-error"')
        + page.html.count(f'aria-describedby="{name}-error"')
        == 1
    )
    assert page.html.count('class="error"') == 1
    assert f'<p class="error" id="{name}-error">{sentence}' in page.html
    assert f'<a href="#{name}">{sentence}' in page.html, "and at the top"
    assert "<title>Error: " in page.html
    assert page.fields.get(name, "") == (typed if name != "region" else "")
    assert "kept as typed" in page.fields.values()
    assert (await house.client.get_session(session.id)).status == pb.APPLICATION_SESSION_STATUS_CREATED


@pytest.mark.parametrize("typed", ["", "81", "-1", "7.5", "seven", "99999999999"])
async def test_every_question_wants_its_kind_of_answer(house: House, typed: str) -> None:
    person, session = Person(house.http.port), await opt_in(house.client)
    await person.opens(session.url)
    await person.goes_on()
    page = await person.sends(years_experience=typed, age_18_or_over="maybe", has_employees="no")
    assert page.status == 422
    assert [line.partition('"')[0] for line in page.html.split('class="error" id="')[1:]] == [
        f"{name}-error" for name in ("age_18_or_over", "losses_last_3_years", "years_experience", "other_workers_comp")
    ]
    assert (
        "How many years of experience do you have in this kind of work? Enter a whole number from 0 to 80." in page.text
    )
    assert (page.fields["years_experience"], page.fields["has_employees"]) == (typed, "no")


async def test_each_document_is_signed_in_the_version_that_was_read(house: House) -> None:
    person, session = Person(house.http.port), await opt_in(house.client)
    await person.opens(session.url)
    await person.goes_on()
    await person.goes_on(**person.good_answers())
    form = await house.client.form(session.id)
    for document in form.documents:
        assert document.title in person.page.text
        assert document.text in person.page.text, "in full, before its name is typed"
    signed = dict.fromkeys(person.documents(), "Jane Doe")
    page = await person.sends(**signed | {"fraud_notice": "Somebody Else", "esign_consent.version": "0"})
    assert page.html.count('class="error"') == 2
    assert "Fraud notice: Type your name as it is on record: Jane Doe" in page.text
    assert "Consent to sign electronically: This document has changed since you opened the page." in page.text
    page = await person.sends(**signed | {"premium_withholding": "x" * 501})
    assert "Premium withholding: Type your name" in page.text


async def test_half_done_it_goes_on_where_it_stopped(house: House, clock: Clock) -> None:
    person, session = Person(house.http.port), await opt_in(house.client)
    await person.opens(session.url)
    await person.goes_on()
    await person.goes_on(**person.good_answers())
    left = await person.opens(person.page.links["Leave and finish later"])
    assert left.location == told(session, "STARTED")
    clock.now += timedelta(days=20)
    back = Person(house.http.port)
    await back.opens(session.url)
    assert back.page.action.endswith("/documents")
    assert "until December 22, 2026" in back.page.text
    await back.opens(back.page.links["Questions"])
    assert back.page.fields["years_experience"] == "7", "what was answered stands there"
    assert back.page.fields["age_18_or_over"] == "yes"
    assert "the steps after it come again" in back.page.text


async def test_a_step_ahead_leads_to_the_one_that_is_due(house: House) -> None:
    person, session = Person(house.http.port), await opt_in(house.client)
    await person.opens(session.url)
    for name in ("questions", "documents", "submit"):
        assert (await person.asks("GET", f"{session.url}/{name}")).location.endswith("/information")
    ahead = await person.posts(f"{session.url}/submit", {"mark": person.page.fields["mark"]})
    page = await person.opens(ahead.location)
    assert "This application has gone on elsewhere" in page.text
    assert page.action.endswith("/information")
    unknown = await person.opens(f"{session.url}/information?notice=<script>")
    assert 'role="status"' not in unknown.html


async def test_two_windows(house: House) -> None:
    session = await opt_in(house.client)
    one, two = Person(house.http.port), Person(house.http.port)
    await one.opens(session.url)
    two.cookies = one.cookies  # of the same browser
    await one.goes_on()
    await one.goes_on(**one.good_answers())
    await two.opens(session.url)
    await one.goes_on(**dict.fromkeys(one.documents(), "Jane Doe"))
    await two.opens(two.page.links["Your information"])
    await two.goes_on(first_name="Janet")
    behind = await one.sends()
    assert "This application has gone on elsewhere" in (await one.opens(behind.location)).text
    assert one.page.action.endswith("/questions")
    assert (await house.client.get_session(session.id)).status == STARTED


async def test_what_is_sent_twice_counts_once(house: House) -> None:
    person, session = Person(house.http.port), await opt_in(house.client)
    await person.opens(session.url)
    assert [(await person.sends()).location.rpartition("/")[2] for _ in range(2)] == ["questions", "questions"]
    await person.opens(session.url)
    answers = person.good_answers()
    assert [(await person.sends(**answers)).location.rpartition("/")[2] for _ in range(2)] == ["documents"] * 2
    await person.opens(session.url)
    await person.goes_on(**dict.fromkeys(person.documents(), "Jane Doe"))
    ends = [(await person.sends()).location for _ in range(2)]
    assert ends == [told(session, "APPLICATION_COMPLETE", "success")] * 2


@pytest.mark.parametrize("how", ["expired", "run out", "cancelled", "withdrawn", "deleted"])
async def test_a_closed_application_only_leads_away(house: House, clock: Clock, how: str) -> None:
    client, person = house.client, Person(house.http.port)
    jane = await client.contractor()
    session = await client.session(jane.id)
    await person.opens(session.url)
    form = person.page
    match how:
        case "expired":
            await client.expire_session(session.id)
        case "run out":
            clock.now += timedelta(days=30)
        case "cancelled":
            await client.cancel_session(session.id)
        case "withdrawn":
            await client.apply(session.id)
            await client.cancel_session(session.id)
        case _:
            await client.delete(jane.id)
    before = await client.get_session(session.id)
    status = "EXPIRED" if how in ("expired", "run out") else "CANCELLED"
    pages: list[Page] = [await person.opens(f"{session.url}{path}") for path in ("", "/documents", "/leave")]
    pages.append(await person.posts(form.action, {**form.fields, "first_name": "Janet"}))
    assert [page.location for page in pages] == [told(session, status)] * 4
    assert await client.get_session(session.id) == before
    assert (await client.get_contractor(jane.id)).first_name == "Jane"


async def test_a_quote_that_was_issued_meanwhile(house: House) -> None:
    client, person = house.client, Person(house.http.port)
    jane, job = await client.contractor(), await client.job()
    quote = await client.quote(jane.id, job.id)
    session = await client.quote_session(quote.id)
    await person.opens(session.url)
    await client.issue(quote.id)
    page = await person.sends()
    assert page.status == 409
    assert "This application is no longer needed" in page.text


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://yourapp.com", "https://yourapp.com/?session={id}&status=STARTED"),
        ("https://yourapp.com/a?b=c&d=%20e", "https://yourapp.com/a?b=c&d=%20e&session={id}&status=STARTED"),
        ("https://yourapp.com/a?", "https://yourapp.com/a?session={id}&status=STARTED"),
        ("https://yourapp.com/a?b#top", "https://yourapp.com/a?b&session={id}&status=STARTED#top"),
        ("http://localhost:3000/#/done", "http://localhost:3000/?session={id}&status=STARTED#/done"),
        ("https://jürgen.example/ä b", "https://xn--jrgen-kva.example/%C3%A4%20b?session={id}&status=STARTED"),
        ("https://evil.example/\\a", "https://evil.example//a?session={id}&status=STARTED"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x?session={id}&status=STARTED"),
    ],
)
async def test_the_way_out_is_told_what_became_of_it(house: House, url: str, location: str) -> None:
    person = Person(house.http.port)
    jane = await house.client.contractor()
    session = await house.client.session(jane.id, cancel_url=url)
    await person.opens(session.url)
    await person.sends()
    left = await person.opens(f"{session.url}/leave")
    assert left.location == location.format(id=session.id)


async def test_an_agent_and_an_address_are_those_of_the_connection(house: House) -> None:
    person, session = Person(house.http.port, x_forwarded_for="203.0.113.9"), await opt_in(house.client)
    await person.applies(session)
    [(signatures,)] = house.rows(f"SELECT signatures FROM application_sessions WHERE id = '{session.id}'")
    assert signatures.count('"ip_address":"127.0.0.1"') == 3
    assert signatures.count(AGENT) == 3


async def test_the_trail_tells_who_it_was(house: House) -> None:
    person, session = Person(house.http.port), await opt_in(house.client)
    await person.applies(session)
    acts = [Act(*act) for (told,) in house.rows("SELECT acts FROM trail ORDER BY id") for act in json.loads(told)]
    by = [act.actor for act in acts if act.action == SUBMIT and act.resource == session.id]
    assert by == ["contractor"] * 4


async def test_a_remote_carrier_is_asked_and_waited_for(serve_http: Serving) -> None:
    async with serve_http(carrier=Carrier()) as house:
        client, person = house.client, Person(house.http.port)
        jane, job = await client.contractor(), await client.job()
        session = await client.quote_session((await client.quote(jane.id, job.id)).id)
        assert (await person.applies(session)).location == told(session, "APPLICATION_COMPLETE", "success")
