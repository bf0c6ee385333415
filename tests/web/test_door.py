"""What the HTTP port takes from whom: forwarded addresses, other sites' pages, TLS, platforms over their limits."""

import asyncio
import http.client
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from server.api import tls
from server.config import Settings
from server.service import access
from tests.server.test_tls import SERVER, Pki
from tests.support.keys import made_key, made_platform
from tests.web.conftest import House, Http, Serving
from tests.web.page.person import Person
from tests.web.page.test_way import opt_in

SECRET = "x" * 32
OUTSIDE = {"environment": "production", "insecure_behind_proxy": True}


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    made = Pki(tmp_path, trustme.CA())
    made.write()
    return made


@pytest.mark.parametrize(
    ("proxies", "forwarded", "told"),
    [
        ("", "203.0.113.9", "127.0.0.1"),
        ("10.0.0.0/8", "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.0/8, 10.0.0.0/8", "198.51.100.7, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "unknown", None),
    ],
)
async def test_forwarded_addresses_count_from_proxies_that_are_trusted(
    serve_http: Serving, proxies: str, forwarded: str, told: str | None
) -> None:
    async with serve_http(trusted_proxies=proxies) as house:
        session = await opt_in(house.client)
        await Person(house.http.port, x_forwarded_for=forwarded).applies(session)
        [(signatures,)] = house.rows("SELECT signatures FROM application_sessions")
        assert {each["ip_address"] or None for each in json.loads(signatures)} == {told}


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"Host": "localhost:8080"}, True),
        ({"Host": "[::1]:8080"}, True),
        ({"Host": "LOCALHOST"}, True),
        ({"Host": "evil.example"}, False),
        ({"Host": "127.0.0.1.evil.example:8080"}, False),
        ({"Host": "["}, False),
        ({"Host": ""}, False),
        ({"Origin": "http://127.0.0.1:8080"}, True),
        ({"Origin": "http://localhost:3000"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
async def test_an_open_sandbox_takes_nothing_from_other_sites_pages(
    house: House, headers: dict[str, str], taken: bool
) -> None:
    session = await opt_in(house.client)

    def expire() -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", house.http.port, timeout=30)
        connection.putrequest("POST", f"/api/v1/apply/sessions/{session.id}/expire", skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, body

    status, body = await asyncio.to_thread(expire)
    assert (status, body.get("error_code")) == ((200, None) if taken else (403, "insufficient_permissions"))
    kept = await house.client.get_session(session.id)
    assert (kept.status != session.status) is taken


async def test_where_keys_are_needed_a_server_may_have_any_name(serve_http: Serving) -> None:
    async with serve_http(environment="production") as house:
        key = await made_key(house.url)
        http = Http(house.http.port, Authorization=f"Bearer {key}", Host="api.example.com", Origin="https://a.example")
        while (answer := await http("GET", "/jobs")).status == 401:
            await asyncio.sleep(0.02)
        assert answer.status == 200


def answered(port: int, ca: trustme.CA) -> int:
    """The status of one request over a connection of its own; 0: its certificate is not the CA's."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    connection = http.client.HTTPSConnection(SERVER, port, context=context, timeout=30)
    try:
        connection.request("GET", "/docs")
        return connection.getresponse().status
    except ssl.SSLCertVerificationError:
        return 0
    finally:
        connection.close()


async def test_it_has_the_certificate_of_grpc_and_takes_up_replaced_ones(
    serve_http: Serving, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.0)
    another = trustme.CA()
    async with serve_http(**pki.settings(mutual=True), host="127.0.0.1") as house:
        assert await asyncio.to_thread(answered, house.http.port, pki.ca) == 200, "no client certificate is asked for"
        (pki.folder / "cert.pem").write_text("half-written")
        assert await asyncio.to_thread(answered, house.http.port, pki.ca) == 200
        pki.write(another)
        assert await asyncio.to_thread(answered, house.http.port, another) == 200
        assert await asyncio.to_thread(answered, house.http.port, pki.ca) == 0


async def test_a_refusal_for_a_platforms_limits_is_held(serve_http: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float | None] = []

    async def hold(_: access.Access, seconds_left: float | None = None) -> None:
        held.append(seconds_left)

    monkeypatch.setattr(access.Access, "hold", hold)
    async with serve_http(environment="production") as house:
        platform = await made_platform(house.url, calls_in_flight=0)
        http = Http(house.http.port, Authorization=f"Bearer {await made_key(house.url, platform)}")
        while (answer := await http("GET", "/jobs")).status == 401:
            await asyncio.sleep(0.02)
        assert answer.code == (429, "rate_limit")
    assert held == [None]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, ""),
        ({"link_secret": SECRET, "database_url": "postgresql+asyncpg://a@b/c"}, ""),
        ({"database_url": "postgresql+asyncpg://a@b/c"}, "OPTIN_LINK_SECRET"),
        ({"environment": "production"}, "OPTIN_LINK_SECRET"),
        ({"host": "0.0.0.0", "insecure_behind_proxy": True}, "--public-url"),
        ({"insecure_behind_proxy": True}, "--public-url"),
        ({"insecure_behind_proxy": True, "public_url": "https://a.example"}, "--trusted-proxies"),
        (
            OUTSIDE | {"public_url": "https://a.example", "trusted_proxies": "10.0.0.1", "link_secret": SECRET},
            "",
        ),
    ],
)
def test_it_is_refused_where_links_could_not_be_trusted(values: dict[str, Any], sentence: str) -> None:
    refusal = Settings(http_port=8080, **values).refusal
    assert sentence in refusal
    assert bool(refusal) is bool(sentence)
    assert "http-port" not in Settings(**values).refusal, "without the port nothing of it is asked"


@pytest.mark.parametrize(
    "values",
    [
        {"link_secret": "short"},
        {"link_secret": f"{SECRET},"},
        {"public_url": "apply.example.com"},
        {"public_url": "https://a.example/?x=1"},
        {"public_url": "ftp://a.example"},
        {"trusted_proxies": "proxy.example.com"},
        {"trusted_proxies": "10.0.0.0/8,"},
        {"trusted_proxies": "*"},
    ],
)
def test_settings_that_are_none(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Settings(**values)
