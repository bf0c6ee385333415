"""Who gets a link, what it opens, and what the page takes from whom."""

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from optin.v1 import resources_pb2 as pb
from structlog.testing import capture_logs

from server.domain.callers import Role
from server.service import applications
from server.service.links import Links
from server.web.page import rate
from tests.support.canaries import CANARIES, canary, found_in
from tests.support.keys import made_key, made_platform
from tests.web.conftest import SECRET, House, Http, Serving
from tests.web.page.person import Page, Person
from tests.web.page.test_way import opt_in
from tests.web.test_guide import JANE, session_of

OTHER_SECRET = "another secret of these tests which is long enough"
TAGS = "<script>alert(1)</script>"
QUOTES = "\"><img src=x onerror=alert(1)>'"


def token_of(session: pb.ApplicationSession) -> str:
    return session.url.rpartition("/")[2]


async def started(house: House) -> tuple[Person, pb.ApplicationSession]:
    person, session = Person(house.http.port), await opt_in(house.client)
    await person.opens(session.url)
    return person, session


# Who gets one.


async def test_a_link_is_for_the_role_platform_on_both_faces(serve_http: Serving, database_url: str) -> None:
    platform = await made_platform(database_url)
    async with serve_http(database_url=database_url, environment="production") as house:

        async def http_of(role: Role) -> Http:
            return Http(house.http.port, Authorization=f"Bearer {await made_key(database_url, platform, role)}")

        ours, reader, underwriter = [await http_of(role) for role in Role]
        while (await underwriter("GET", "/category_codes")).status == 401:
            await asyncio.sleep(0.02)
        jane = await ours.made("/contractors", JANE)
        session = await ours.made("/apply/sessions", session_of(jane["id"]))
        assert (await ours.got("/apply/sessions"))[0]["url"] == session["url"]
        assert (await ours.got(f"/apply/sessions/{session['id']}"))["url"] == session["url"]
        for other in (reader, underwriter):
            assert (await other.got(f"/apply/sessions/{session['id']}"))["url"] is None
            assert [each["url"] for each in await other.got("/apply/sessions")] == [None]
        person = Person(house.http.port)
        assert (await person.opens(session["url"])).status == 200, "without a key: the link is one"


async def test_a_link_is_made_anew_with_each_answer_and_kept_nowhere(serve_http: Serving, tmp_path: Path) -> None:
    file = tmp_path / "optin.db"
    async with serve_http() as house:
        jane = await house.client.contractor()
        sent = session_of(jane.id)
        first = await house.http("POST", "/apply/sessions", sent, Idempotency_Key="a")
        on_the_wire = await house.client.get_session(first.body["id"])
        assert on_the_wire.url == first.body["url"]
        assert (await house.client.sessions_of(jane.id))[0].url == on_the_wire.url
        url = f"sqlite+aiosqlite:///{file}"
    moved = {"public_url": "https://apply.example.com/cover/", "link_secret": OTHER_SECRET}
    async with serve_http(database_url=url, **moved) as house:
        again = await house.http("POST", "/apply/sessions", sent, Idempotency_Key="a")
        assert again.headers["idempotent-replayed"] == "true"
        assert again.body["url"].startswith("https://apply.example.com/cover/apply/")
        assert again.body["url"].rpartition("/")[2] != first.body["url"].rpartition("/")[2]
        assert {**again.body, "url": ""} == {**first.body, "url": ""}
        await house.client.apply(first.body["id"])
        events = [str(event) for event in await house.client.events_of(first.body["id"])]
        assert events
        assert not any("/apply/" in event for event in events)
    written = file.read_bytes()
    assert jane.id.encode() in written
    assert b"/apply/W" not in written


async def test_a_server_without_a_page_gives_no_links(serve_http: Serving) -> None:
    async with serve_http() as house:
        session = await opt_in(house.client)
    async with serve_http(database_url=house.url, http_port=None, link_secret="") as without:
        assert (await without.client.get_session(session.id)).url == ""
    known = {"http_port": None, "public_url": "https://apply.example.com"}
    async with serve_http(database_url=house.url, **known) as elsewhere:
        found = await elsewhere.client.get_session(session.id)
        assert found.url == f"https://apply.example.com/apply/{token_of(session)}", "the page is another server's"


async def test_secrets_change_one_by_one(serve_http: Serving) -> None:
    async with serve_http() as house:
        session = await opt_in(house.client)
    async with serve_http(database_url=house.url, link_secret=f"{OTHER_SECRET},{SECRET}") as both:
        assert (await Person(both.http.port).opens(urlsplit(session.url).path)).status == 200
        new = await both.client.get_session(session.id)
        assert token_of(new) != token_of(session)
    async with serve_http(database_url=house.url, link_secret=OTHER_SECRET) as changed:
        person = Person(changed.http.port)
        assert (await person.opens(urlsplit(new.url).path)).status == 200
        assert (await person.opens(urlsplit(session.url).path)).status == 404


# What it opens.


async def test_a_token_that_was_not_signed_here_opens_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST_WRONG_A_MINUTE", 1_000)
    person, session = await started(house)
    form, token = person.page, token_of(session)
    payload, _, signature = token.rpartition(".")
    other = await opt_in(house.client)
    forged = [
        "x",
        payload,
        f"{payload}.",
        f"{payload}.{signature[:-1]}",
        f"{payload}.{signature[1:]}A",
        f"{token_of(other).rpartition('.')[0]}.{signature}",
        token[::-1],
        token + "x" * 5_000,
        "%00",
        "%F0%9F%98%80",
        f"{session.contractor}.{session.id}",
        person.page.fields["mark"],
    ]
    for each in forged:
        page = await person.opens(f"/apply/{each}")
        assert (page.status, page.links) == (404, {}), each
        assert "This link does not work" in page.text
        posted = await person.posts(f"/apply/{each}/information", {**form.fields, "first_name": "Eve"})
        assert posted.status == 404
    assert (await house.client.get_contractor(session.contractor)).first_name == "Jane"


async def test_what_was_signed_for_others_opens_nothing(house: House) -> None:
    session, other = await opt_in(house.client), await opt_in(house.client)
    links = Links("http://127.0.0.1", [SECRET])

    def token(*named: str) -> str:
        return str(links._tokens.dumps(named))

    person = Person(house.http.port)
    for wrong in (
        token("pf_other", session.contractor, session.id),
        token("pf_default", other.contractor, session.id),
        token("pf_default", session.contractor, "ias_none"),
    ):
        assert (await person.opens(f"/apply/{wrong}")).status == 404
    assert (await person.opens(f"/apply/{token('pf_default', session.contractor, session.id)}")).status == 200


async def test_who_guesses_is_turned_away_and_who_asks_too_often(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, session = await started(house)
    answers = [(await person.opens("/apply/guess")).status for _ in range(rate.MOST_WRONG_A_MINUTE + 1)]
    assert answers == [404] * rate.MOST_WRONG_A_MINUTE + [429]
    page = await person.opens(session.url)
    assert (page.status, page.headers["retry-after"]) == (429, "60"), "nor may one that is right be found"
    monkeypatch.setattr(rate, "MINUTE", 0.0)
    counts = rate.Rate()
    for _ in range(rate.MOST_A_MINUTE * 2):
        counts.count("203.0.113.1")


def test_the_counts_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST_A_MINUTE", 3)
    counts = rate.Rate()
    for _ in range(3):
        counts.count("2001:db8::1")
    with pytest.raises(rate.TooMany):
        counts.count("2001:db8::ffff")  # of the same network
    counts.count("2001:db8:0:1::1")
    monkeypatch.setattr(rate, "MOST_ADDRESSES", 0)
    for address in ("203.0.113.1", "203.0.113.2", "no address"):
        counts.count(address)
    with pytest.raises(rate.TooMany):
        counts.count("203.0.113.4")  # beyond what is counted one by one


# Forms of others.


async def test_a_form_that_was_not_made_for_this_browser_and_session_is_not_taken(house: House) -> None:
    person, session = await started(house)
    stranger, _ = await started(house)
    form = person.page
    for cookies, mark in (
        (person.cookies, ""),
        (person.cookies, "x" * 43),
        (person.cookies, "é"),
        ({}, form.fields["mark"]),
        ({"optin_form": ""}, form.fields["mark"]),
        (stranger.cookies, form.fields["mark"]),
        (person.cookies, stranger.page.fields["mark"]),
    ):
        sender = Person(house.http.port)
        sender.cookies = dict(cookies)
        page = await sender.posts(form.action, {**form.fields, "mark": mark, "first_name": "Eve"})
        assert page.status == 403
        assert "Nothing was saved" in page.text
        assert page.fields["first_name"] == "Eve", "what was typed is kept"
    assert (await house.client.get_contractor(session.contractor)).first_name == "Jane"
    assert (await house.client.get_session(session.id)).status == pb.APPLICATION_SESSION_STATUS_CREATED
    assert (await sender.sends()).status == 303, "sent again, it is taken"


async def test_the_cookie_tells_nothing_and_goes_nowhere_else(serve_http: Serving) -> None:
    async with serve_http(public_url="https://apply.example.com/cover") as house:
        person, session = Person(house.http.port), await opt_in(house.client)
        await person.opens(f"/apply/{token_of(session)}/information")  # as a proxy forwards it
        assert re.fullmatch(
            r"optin_form=[\w-]{43}; HttpOnly; Path=/cover/apply/; SameSite=lax; Secure",
            person.page.headers["set-cookie"],
        )
        assert person.page.action == f"/cover/apply/{token_of(session)}/information"
    async with serve_http(database_url=house.url) as house:
        person = Person(house.http.port)
        await person.opens(f"/apply/{token_of(session)}")
        assert "Secure" not in person.page.headers["set-cookie"]
        await person.sends()
        assert "set-cookie" not in (await person.opens(f"/apply/{token_of(session)}")).headers


@pytest.mark.parametrize(
    ("method", "body", "content_type", "status"),
    [
        ("POST", b"{}", "application/json", 400),
        ("POST", b"first_name=x", "text/plain", 400),
        ("POST", b"--x", "multipart/form-data; boundary=x", 400),
        ("POST", b"first_name=%ff%fe", "application/x-www-form-urlencoded", 400),
        ("POST", b"\xff=x", "application/x-www-form-urlencoded", 400),
        ("POST", b"a=" + b"x" * 65_536, "application/x-www-form-urlencoded", 413),
        ("POST", b"&".join(b"a=%d" % n for n in range(201)), "application/x-www-form-urlencoded", 400),
        ("DELETE", None, "", 405),
        ("PUT", b"a=b", "application/x-www-form-urlencoded", 405),
    ],
)
async def test_what_is_no_form_is_refused_as_a_page(
    house: House, method: str, body: bytes | None, content_type: str, status: int
) -> None:
    person, session = await started(house)
    page = await person.asks(method, f"{session.url}/information", body, content_type=content_type)
    assert page.status == status
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>" in page.html
    assert (await house.client.get_session(session.id)).status == pb.APPLICATION_SESSION_STATUS_CREATED


async def test_pages_that_are_none(house: House) -> None:
    person, session = await started(house)
    for path in ("/nonsense", "/information/x", "/leave/x"):
        page = await person.opens(session.url + path)
        assert (page.status, "There is no such page" in page.text) == (404, True)


# What is shown.


async def test_what_people_type_is_shown_as_text(house: House) -> None:
    for typed in (TAGS, QUOTES):
        jane = await house.client.contractor(
            first_name=typed,
            middle_name=typed,
            last_name=typed,
            address=pb.Address(line1=typed, line2=typed, locality=typed, region="CA"),
        )
        person, session = Person(house.http.port), await house.client.session(jane.id)
        await person.opens(session.url)
        pages = [person.page]
        wrong = dict.fromkeys(person.page.fields.keys() - {"mark"}, typed)
        pages.append(await person.sends(**wrong))
        await person.opens(session.url)
        await person.goes_on()
        pages.append(await person.sends(years_experience=typed, age_18_or_over=typed))
        await person.goes_on(**person.good_answers())
        pages.append(await person.sends(**dict.fromkeys(person.documents(), typed + "x")))
        await person.goes_on(**dict.fromkeys(person.documents(), f"{typed} {typed}"))
        pages.append(person.page)
        for page in pages:
            assert page.status in (200, 422)
            assert "<script" not in page.html
            assert "<img" not in page.html
            assert typed in page.text or typed in page.fields.values()


async def test_every_page_has_the_headers_of_its_kind(house: House) -> None:
    person, session = await started(house)
    closed = await opt_in(house.client)
    await house.client.cancel_session(closed.id)
    pages: dict[str, Page] = {
        "screen": person.page,
        "wrong": await person.sends(first_name=""),
        "redirect": await person.asks("GET", session.url),
        "away": await person.opens(closed.url),
        "none": await person.opens("/apply/none"),
        "method": await person.asks("PUT", session.url),
    }
    for what, page in pages.items():
        assert page.headers["cache-control"] == "no-store", what
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["request-id"]
        assert len(page.html.encode()) < 50_000
        if page.html:
            policy = page.headers["content-security-policy"].split("; ")
            assert {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy)
            assert not re.search(r"\b(src|srcset|@import|url\()\b", page.html), "nothing is asked of anybody"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://localhost:3000/x", "http://localhost:3000"),
        ("https://user:pass@yourapp.com/x;y", "https://yourapp.com:443"),
        ("https://JÜRGEN.example", "https://xn--jrgen-kva.example:443"),
        ("http://[::1]:8000/", "http:"),
        ("https://a.example/;script-src *", "https://a.example:443"),
    ],
)
async def test_forms_may_lead_to_the_two_urls_only(house: House, url: str, origin: str) -> None:
    jane = await house.client.contractor()
    session = await house.client.session(jane.id, success_url=url)
    page = await Person(house.http.port).opens(session.url)
    [action] = [part for part in page.headers["content-security-policy"].split("; ") if part.startswith("form-action")]
    assert set(action.split()) == {"form-action", "'self'", origin, "https://yourapp.com:443"}


async def test_neither_links_nor_personal_values_are_logged(house: House) -> None:
    with capture_logs() as logs:
        jane = await house.client.contractor(**_fields(canary()))
        person = Person(house.http.port, agent=CANARIES["user_agent"])
        session = await house.client.session(jane.id, success_url=CANARIES["url"], cancel_url=CANARIES["url"])
        await person.opens(session.url)
        await person.sends(phone="canary", first_name=CANARIES["changed"])
        await person.applies(session, name=CANARIES["legal_name"])
        await person.opens(f"{session.url}/canary")
        await person.opens(f"{session.url}canary")
    lines = [line for line in logs if line["event"] == "call"]
    assert {"POST /apply/{token}/information", "GET /apply/{token}"} <= {line["method"] for line in lines}
    assert found_in(str(logs)) == []
    assert token_of(session)[:20] not in str(logs)


def _fields(contractor: pb.Contractor) -> dict[str, Any]:
    return {field.name: value for field, value in contractor.ListFields()}


async def test_a_fault_of_ours_tells_nothing_but_its_number(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("an inner matter")

    person, session = await started(house)
    monkeypatch.setattr(applications, "get", fail)
    page = await person.opens(session.url)
    assert page.status == 500
    assert "an inner matter" not in page.html
    assert page.headers["request-id"] in page.text
