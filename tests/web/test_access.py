"""Who may call, whose resources they see, and what is kept of it."""

import base64

from structlog.testing import capture_logs

from server.domain.callers import Role
from tests.access.calls import populated
from tests.access.conftest import House as Keys
from tests.access.test_trail import acts, entries
from tests.conftest import NOW
from tests.support.keys import made_key, made_platform
from tests.web.conftest import House, Http, Serving
from tests.web.test_guide import JANE

CLOSED = {"environment": "production"}
TOMORROW = int(NOW.timestamp()) // 86_400 * 86_400 + 86_400


async def http_of(house: House, platform: str, role: Role = Role.PLATFORM) -> Http:
    http = Http(house.http.port, Authorization=f"Bearer {await made_key(house.url, platform, role)}")
    while (await http("GET", "/category_codes")).status == 401:
        pass
    return http


async def test_keys(serve_http: Serving) -> None:
    async with serve_http(**CLOSED) as house:
        http = await http_of(house, "pf_default")
        key = http.headers["Authorization"].removeprefix("Bearer ")
        basic = base64.b64encode(f"{key}:".encode()).decode()
        assert (await Http(house.http.port)("GET", "/jobs", Authorization=f"Basic {basic}")).status == 200
        for scheme in ("bearer", "BEARER", "BeArEr"):
            assert (await Http(house.http.port)("GET", "/jobs", Authorization=f"{scheme} {key}")).status == 200
        assert (await Http(house.http.port)("GET", "/jobs", Authorization=f"BASIC {basic}")).status == 200
        for bad in ("", "Bearer", f"Bearer {key}x", "Basic !", "Basic w6k6", f"Token {key}"):
            refused = await Http(house.http.port)("GET", "/jobs", Authorization=bad)
            assert refused.code == (401, "invalid_api_key")
            assert refused.headers["www-authenticate"] == "Bearer"


async def test_what_is_sent_is_checked_where_no_key_is_needed(house: House) -> None:
    assert (await house.http("GET", "/jobs", Authorization="Bearer x")).code == (401, "invalid_api_key")


async def test_roles_limits_and_walls(serve_http: Serving, database_url: str) -> None:
    ours = await made_platform(database_url)
    theirs = await made_platform(database_url, calls_per_second=1)
    async with serve_http(database_url=database_url, **CLOSED) as house:
        us, reader = await http_of(house, ours), await http_of(house, ours, Role.READER)
        underwriter = await http_of(house, theirs, Role.UNDERWRITER)
        assert (await reader("POST", "/contractors", JANE)).code == (403, "insufficient_permissions")
        assert (await underwriter("GET", "/contractors")).code in [
            (403, "insufficient_permissions"),
            (429, "rate_limit"),
        ]
        jane = await us.made("/contractors", JANE)
        assert await reader.got(f"/contractors/{jane['id']}") == jane
        ids = await populated(house.client, TOMORROW)
        default = {
            "contractors": ids.contractor,
            "jobs": ids.job,
            "apply/sessions": ids.session,
            "quotes": ids.quote,
            "assignments": ids.assignment,
            "policies": ids.policy,
            "events": ids.event,
            "category_codes": ids.category,
        }
        for path, id_ in default.items():
            assert (await us("GET", f"/{path}/{id_}")).code == (404, "resource_not_found")
            if path != "contractors":
                assert await us.got(f"/{path}") == []
        for path in ("contractors", "jobs", "quotes"):
            refused = await us(
                "PUT", f"/{path}/{default[path]}", {"name": "x", "first_name": "x", "end_date": TOMORROW}
            )
            assert refused.code == (404, "resource_not_found")
        assert (await us("DELETE", f"/contractors/{ids.contractor}")).code == (404, "resource_not_found")
        named = {"job": ids.job, "contractor": jane["id"]}
        assert (await us("POST", "/assignments", named)).code == (404, "resource_not_found")
        assert (await us("POST", "/assignments/cancel", {"job_id": ids.job})).code == (404, "resource_not_found")
        assert (await us("POST", "/assignments/cancel", {"assignment": ids.assignment})).status == 404
        # An underwriter's work is with every platform.
        while (seen := await underwriter("GET", f"/apply/sessions/{ids.session}")).status == 429:
            assert seen.code == (429, "rate_limit")
            assert seen.headers["retry-after"] == "1"
        assert seen.body["id"] == ids.session


async def test_the_trail_and_the_log(serve_http: Serving, database_url: str) -> None:
    platform = await made_platform(database_url)
    async with serve_http(database_url=database_url, **CLOSED) as house:
        http = await http_of(house, platform)
        with capture_logs() as logs:
            jane = await http.made("/contractors", JANE, X_Call_Id="c1")
            await http("DELETE", f"/contractors/{jane['id']}")
            await http("DELETE", f"/contractors/{jane['id']}")
        found = acts(await entries(Keys(database_url, 0, platform, "", None), platform))  # type: ignore[arg-type]
    done = [(act.action, act.resource) for act in found if act.resource == jane["id"]]
    assert done == [
        ("optin.v1.ContractorService/CreateContractor", jane["id"]),
        ("optin.v1.ContractorService/DeleteContractor", jane["id"]),
    ]
    lines = [(line["method"], line["code"], line.get("reason")) for line in logs if line["event"] == "call"]
    assert lines == [
        ("POST /api/v1/contractors", "OK", None),
        ("DELETE /api/v1/contractors/{id}", "OK", None),
        ("DELETE /api/v1/contractors/{id}", "NOT_FOUND", "RESOURCE_NOT_FOUND"),
    ]
    assert logs[0]["call_id"] == "c1"
    assert logs[0]["caller"].startswith("key_")
    assert "jane.doe" not in str(logs)
