"""What was answered over HTTP is erased with its contractor."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from server.commands.contractor import print_erasure
from server.config import Settings
from server.domain.personal import MARK
from server.web import erasing, stored
from server.web.page import leaving
from tests.web.conftest import House
from tests.web.page.person import Person
from tests.web.test_guide import session_of

CANARY = {
    "first_name": "Canary",
    "middle_name": "Canary",
    "last_name": "Canary",
    "email": "canary@example.com",
    "phone": "5551234567",
    "company_name": "Canary Inc",
    "address": {"line1": "1 Canary St", "line2": "Canary", "locality": "Canary", "region": "CA", "postalcode": 94102},
    "metadata": {"canary": "Canary"},
}


async def test_repeats_show_nothing_personal(any_house: House) -> None:
    http, client = any_house.http, any_house.client
    job = await client.job()
    jane = (await http("POST", "/contractors", CANARY, Idempotency_Key="jane")).body
    session = session_of(jane["id"]) | {"success_url": "https://x.example/canary", "cancel_url": "https://x.example/c"}
    applied = await http.made("/apply/sessions", session, Idempotency_Key="session")
    wanted = {"contractor": jane["id"], "job": job.id}
    made = await http.made("/assignments", wanted, Idempotency_Key="made")
    drop = {"assignment": made["id"], "reason": "Canary is ill"}
    dropped = await http.made("/assignments/cancel", drop, Idempotency_Key="drop")
    quoted = wanted | {"coverage_type": ["workers-comp"]}
    quote = await http.made("/quotes", quoted, Idempotency_Key="quote")
    other = await http.made("/contractors", CANARY | {"email": "other@example.com"}, Idempotency_Key="other")
    await http("DELETE", f"/contractors/{jane['id']}", Idempotency_Key="gone")
    await print_erasure(Settings(database_url=any_house.url), jane["id"])

    async def again(path: str, body: Any, key: str) -> Any:
        answer = await http("POST", path, body, Idempotency_Key=key)
        assert answer.headers["idempotent-replayed"] == "true"
        return answer.body

    erased = await again("/contractors", CANARY, "jane")
    assert b"anary" not in orjson.dumps(erased)
    assert {name for name in jane if erased[name] != jane[name]} == {*CANARY}
    assert {name for name, value in erased["address"].items() if value != "[redacted]"} == {"region", "country"}
    assert erased["metadata"] == {"[redacted]": "[redacted]"}
    # The same as what is shown of the records, which the domain's own rule has erased.
    assert await again("/assignments/cancel", drop, "drop") == await http.got(f"/assignments/{made['id']}")
    assert await again("/assignments/cancel", drop, "drop") == dropped | {"cancel_reason": "[redacted]"}
    urls = {"success_url": "[redacted]", "cancel_url": "[redacted]"}
    assert await again("/apply/sessions", session, "session") == applied | urls
    assert {**await http.got(f"/apply/sessions/{applied['id']}"), **urls}["success_url"] == "[redacted]"
    assert await again("/assignments", wanted, "made") == made
    assert await again("/quotes", quoted, "quote") == quote
    assert await again("/contractors", CANARY | {"email": "other@example.com"}, "other") == other


@pytest.mark.parametrize(
    "answer", [None, {"years_experience": "7"}, {"losses_last_3_years": "yes"}], ids=["left", "complete", "in review"]
)
async def test_the_link_of_who_is_erased_leads_to_a_page(house: House, answer: dict[str, str] | None) -> None:
    client, person = house.client, Person(house.http.port)
    jane = await client.contractor()
    session = await client.session(jane.id)
    await person.opens(session.url)
    form = person.page
    if answer:
        await person.applies(session, **answer)
    await client.delete(jane.id)
    await print_erasure(Settings(database_url=house.url), jane.id)
    pages = [await person.opens(f"{session.url}{path}") for path in ("", "/documents", "/leave")]
    pages.append(await person.posts(form.action, form.fields))
    assert [page.status for page in pages] == [200] * 4
    assert all("This application is closed" in page.text for page in pages)


def test_no_form_leads_to_what_is_erased() -> None:
    session = SimpleNamespace(success_url=MARK, cancel_url="https://yourapp.com/cancel")
    assert leaving.origins(session) == ["https://yourapp.com:443"]  # type: ignore[arg-type]


def test_what_has_no_contractor_stays() -> None:
    kept = stored.packed(b'{"id":"jb_1","object":"jobs","name":"Canary"}')
    assert erasing.erased_response(kept, "jb_1") == kept
