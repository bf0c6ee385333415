"""Whatever is sent, it is answered in our form, and never with a 500."""

import asyncio
import itertools
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.api.plain import event_data
from server.domain.errors import DomainError
from server.service.parsing import parsed
from server.web.asked import Changes
from server.web.http import DEEPEST_BODY, LARGEST_BODY
from server.web.operations import every
from tests.server.test_tls import Pki
from tests.web.conftest import House, Serving
from tests.web.test_guide import JANE

OPERATIONS = every(event_data)
ODD: list[Any] = [
    None,
    "",
    0,
    -1,
    10**30,
    1.5,
    True,
    [],
    {},
    [[]],
    {"id": 1},
    {"id": None},
    "\0",
    "x" * 9_000,
    ["a", 1],
]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"1e999",
    b'{"first_name": "\xff"}',
    b'{"first_name": "\\ud800"}',
    b'{"effective_date": 1e999}',
    b'{"effective_date": NaN}',
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b'{"metadata": {' + b",".join(b'"%d": ""' % n for n in range(5_000)) + b"}}",
]


async def test_bodies_that_are_no_requests(house: House) -> None:
    for operation, raw in itertools.product(OPERATIONS, BODIES):
        if operation.sends_a_body:
            answer = await house.http(operation.verb, operation.path.format(id="cn_none"), raw=raw)
            assert answer.code[0] in (400, 404), (operation.name, raw[:40])
    for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"):
        answer = await house.http("POST", "/contractors", JANE, Content_Type=kind)
        assert answer.code == (400, "invalid_input")
    assert (await house.http("POST", "/contractors", raw=b" " * (LARGEST_BODY + 1))).code == (413, "invalid_input")
    assert (
        await house.http("POST", "/contractors", JANE, Content_Type="application/json; charset=utf-8")
    ).status == 201


async def test_odd_values_in_every_field(house: House) -> None:
    for operation in OPERATIONS:
        if not operation.sends_a_body or operation.asks is None:
            continue
        properties = operation.asks.model_json_schema()["properties"]
        for value in ODD:
            body = dict.fromkeys(properties, value)
            answer = await house.http(operation.verb, operation.path.format(id="cn_none"), body)
            assert answer.code[0] in (400, 404), (operation.name, value)


async def test_odd_values_over_those_that_are_there(house: House) -> None:
    http, client = house.http, house.client
    jane = await http.made("/contractors", {**JANE, "withhold_premium": True, "metadata": {"a": "1"}})
    category = (await client.category()).code
    wanted = {"name": "J", "category_code": category, "address": {"region": "CA"}, "withhold_premium": True}
    job = await http.made("/jobs", wanted)
    quote = await http.made("/quotes", {"contractor": jane["id"], "job": job["id"], "coverage_type": ["workers-comp"]})
    models = {operation.path: operation.asks for operation in OPERATIONS if operation.verb == "PUT"}
    assert models.keys() == {f"/{path}/{{id}}" for path in ("contractors", "jobs", "quotes")}
    for path, made in zip(sorted(models), (jane, job, quote), strict=True):
        for name, value in itertools.product(models[path].model_json_schema()["properties"], ODD):
            answer = await http("PUT", path.format(id=made["id"]), {name: value})
            assert answer.status in (200, 400, 404), (path, name, value)
    # An object is no other kind of value, whatever was there.
    for path, made, name in (
        ("contractors", jane, "withhold_premium"),
        ("jobs", job, "withhold_premium"),
        ("quotes", quote, "coverage_type"),
        ("quotes", quote, "effective_date"),
        ("quotes", quote, "end_date"),
    ):
        refused = await http("PUT", f"/{path}/{made['id']}", {name: {"a": 1}})
        assert (refused.status, refused.body["fields"].keys()) == (400, {name})


@pytest.mark.parametrize("key", ["", "a"])
async def test_how_deep_a_body_may_be(house: House, key: str) -> None:
    async def sent(email: str, deep: int) -> tuple[int, str]:
        raw = json.dumps({**JANE, "email": email, "x": 0}).replace('"x": 0', f'"x": {"[" * deep}{"]" * deep}')
        answer = await house.http("POST", "/contractors", raw=raw.encode(), Idempotency_Key=key)
        return answer.status, answer.body.get("message", "")

    assert await sent("b@example.com", DEEPEST_BODY) == (400, "Lists and objects in the body must be at most 32 deep.")
    assert (await sent("a@example.com", DEEPEST_BODY - 1))[0] == 201


async def test_odd_ids_and_queries(house: House) -> None:
    for operation in OPERATIONS:
        for odd in ("%00", "%ff", "x" * 5_000, "..%2f..", "%F0%9F%98%80"):
            answer = await house.http(operation.verb, operation.path.format(id=odd))
            assert answer.status in (200, 400, 404)
            answer = await house.http(
                "GET", f"/{operation.path.strip('/').format(id='x')}?limit={odd}&status={odd}&a=%ff"
            )
            assert answer.status in (200, 400, 404, 405)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json(data: st.DataObject) -> None:
    """Nothing but a domain's own error comes out of parsing."""
    operation = data.draw(st.sampled_from([one for one in OPERATIONS if one.asks]))
    assert operation.asks
    names = list(operation.asks.model_json_schema().get("properties", {})) or ["x"]
    body = data.draw(st.dictionaries(st.sampled_from(names), JSON))
    try:
        if operation.verb == "PUT":
            Changes(operation.asks, body).onto(_Blank())
        else:
            parsed(operation.asks, body)
    except DomainError:
        pass


class _Blank:
    """A record that has nothing."""

    def __getattr__(self, name: str) -> None:
        return None


async def test_what_is_no_http(house: House) -> None:
    for sent in (b"\x00\xff\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.http.port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 4")
        writer.close()
    assert (await house.http("GET", "/jobs")).status == 200


async def test_who_says_nothing_is_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.web.server.HEAD_SECONDS", 0.05)
    for sent in (b"", b"GET / HTTP/1.1\r\nhost:"):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.http.port)
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_who_does_not_come_to_tls_is_left(serve_http: Serving, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.web.server.HEAD_SECONDS", 0.2)
    async with serve_http(**pki.settings(), host="127.0.0.1") as house:
        for sent in (b"", b"\x16\x03\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.http.port)
            writer.write(sent)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()


async def test_tls(serve_http: Serving, tmp_path: Path) -> None:
    pki = Pki(tmp_path, trustme.CA())
    pki.write()
    trusts = ssl.create_default_context(cadata=pki.ca.cert_pem.bytes().decode())

    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trusts)
        writer.write(b"GET /docs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async with serve_http(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem") as house:
        assert (await ask(house.http.port)).startswith(b"HTTP/1.1 200")
