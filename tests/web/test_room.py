"""Which requests hold a place, which are refused before their bodies come, and what becomes of them at stop."""

import asyncio
import json
from typing import Any

import pytest

from server.domain.callers import Role
from server.service.access import Access
from tests.support.keys import made_key, made_platform
from tests.web.conftest import House, Http, Serving, Slow
from tests.web.page.person import Person
from tests.web.page.test_way import opt_in
from tests.web.test_access import http_of
from tests.web.test_guide import JANE

JOBS = "/api/v1/jobs"
FORM = "application/x-www-form-urlencoded"


async def changing(house: House) -> "asyncio.Task[Any]":
    """A call that holds a place, for as long as nothing can be written."""
    call = asyncio.create_task(house.http("POST", "/contractors", JANE))
    await asyncio.sleep(0.3)
    return call


async def test_who_comes_when_there_are_too_many(serve_http: Serving) -> None:
    async with serve_http(calls_in_flight=1) as house:
        session = await opt_in(house.client)
        with house.held_up():
            held = await changing(house)
            refused = await house.http("GET", "/contractors")
            assert refused.code == (503, "general_error")
            assert (refused.headers["retry-after"], refused.body["reason"]) == ("1", "OVERLOADED")
            # Before the body is received: these never come.
            assert await (await Slow.begun(house.http.port, JOBS, b"{}")).status() == 503
            form = f"/apply/{session.url.rpartition('/')[2]}/information"
            assert await (await Slow.begun(house.http.port, form, b"a=b", FORM)).status() == 503
        assert (await held).status == 201
        assert (await house.http("GET", "/contractors")).status == 200


async def test_a_request_whose_body_does_not_come_keeps_no_other_out(serve_http: Serving) -> None:
    async with serve_http(calls_in_flight=1) as house:
        session = await opt_in(house.client)
        person = Person(house.http.port)
        await person.opens(session.url)
        begun = [await Slow.begun(house.http.port, JOBS, b'{"name": 1}') for _ in range(3)]
        begun += [await Slow.begun(house.http.port, person.page.action, b"mark=x", FORM) for _ in range(3)]
        await asyncio.sleep(0.2)
        assert await house.client.job()
        assert (await house.http("GET", "/jobs")).status == 200
        assert (await person.opens(session.url)).status == 200
        statuses = []
        for slow in begun:
            slow.send()
            statuses.append(await slow.status())
        assert statuses == [400] * 3 + [403] * 3, "each is answered when its body has come"


async def test_it_counts_for_no_platforms_calls_at_the_same_time(serve_http: Serving) -> None:
    async with serve_http(environment="production") as house:
        http = await http_of(house, await made_platform(house.url, calls_in_flight=1))
        key = f"authorization: {http.headers['Authorization']}\r\n"
        slow = await Slow.begun(house.http.port, JOBS, b"{}", more=key)
        await asyncio.sleep(0.2)
        assert (await http("GET", "/jobs")).status == 200
        slow.send()
        assert await slow.status() == 400


async def test_who_may_not_call_is_refused_before_the_body_comes(
    serve_http: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold(_: Access) -> None: ...

    monkeypatch.setattr(Access, "hold", hold)
    async with serve_http(environment="production") as house:
        platform, limited = await made_platform(house.url), await made_platform(house.url, calls_in_flight=0)
        reader = await http_of(house, platform, Role.READER)
        limited_key = await made_key(house.url, limited)
        over = Http(house.http.port, Authorization=f"Bearer {limited_key}")
        while (await over("GET", "/jobs")).status == 401:
            pass
        for told, status in (
            ("Bearer x", 401),
            (reader.headers["Authorization"], 403),
            (over.headers["Authorization"], 429),
        ):
            slow = await Slow.begun(house.http.port, JOBS, b"{}", more=f"authorization: {told}\r\n")
            assert await slow.status() == status
        slow = await Slow.begun(house.http.port, "/apply/none/information", b"a=b", FORM)
        assert await slow.status() == 404, "nor is a form waited for whose link is none"


async def test_bodies_have_a_bound_of_their_own(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.web.http.BODY_SECONDS", 0.1)
    session = await opt_in(house.client)
    form = f"/apply/{session.url.rpartition('/')[2]}/information"
    assert await (await Slow.begun(house.http.port, JOBS, b"{}")).status() == 400
    assert await (await Slow.begun(house.http.port, form, b"a=b", FORM)).status() == 400


async def test_a_stop_lets_a_call_finish(serve_http: Serving) -> None:
    async with serve_http(calls_in_flight=1) as house:
        slow = await Slow.begun(house.http.port, JOBS, json.dumps({"name": 1}).encode())
        await asyncio.sleep(0.2)
        hold = house.held_up()
        hold.__enter__()
        held = await changing(house)
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, hold.__exit__, None, None, None)
        loop.call_later(0.3, slow.send)
    assert (await held).status == 201
    assert await slow.status() == 503, "what has not come in is to be sent again"
    with pytest.raises(ConnectionRefusedError):
        await house.http("GET", "/jobs")
