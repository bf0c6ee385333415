"""Lists, page by page (spec 2): sizes, tokens, and every row exactly once."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import resources_pb2 as pb

from server.service.paging import DIGEST_BYTES
from tests.api.methods import LISTS, METHODS, request_of
from tests.conftest import NOW
from tests.support.client import WORKERS_COMP, Client, Refusal, refused

TOMORROW = int(NOW.timestamp()) + 86_400
CATEGORIES = "optin.v1.JobService/ListJobCategories"
# Events are listed the other way round, oldest first: see test_events.
NEWEST_FIRST = [method for method in LISTS if not method.endswith("/ListEvents")]


async def page(client: Client, method: str, **fields: Any) -> tuple[list[str], str]:
    """The ids on a page, and the token of the next."""
    request: Any = request_of(method)
    for name, value in fields.items():
        setattr(request, name, value)
    answer: Any = GetMessageClass(METHODS[method].output_type).FromString((await client.raw(method, request)).body)
    items = getattr(answer, METHODS[method].output_type.fields_by_number[1].name)
    return [getattr(item, "id", "") or item.code for item in items], answer.next_page_token


async def pages(client: Client, method: str, **fields: Any) -> list[list[str]]:
    """All the pages."""
    found, token = await page(client, method, **fields)
    result = [found]
    while token:
        found, token = await page(client, method, page_token=token, **fields)
        result.append(found)
    return result


def flat(found: list[list[str]]) -> list[str]:
    return [id_ for ids in found for id_ in ids]


async def _contractor(client: Client) -> str:
    return (await client.contractor()).id


async def _job(client: Client) -> str:
    return (await client.job((await client.category(approved=False)).code)).id


async def _category(client: Client) -> str:
    return (await client.category(approved=False)).code


async def _session(client: Client) -> str:
    return (await client.session((await client.contractor()).id)).id


async def _assignment(client: Client) -> str:
    return (await client.assign((await client.contractor()).id, await _job(client))).assignment.id


async def _quote(client: Client) -> str:
    return (await client.quote((await client.contractor()).id, (await client.job()).id)).id


async def _policy(client: Client) -> str:
    return (await client.assign((await client.opted_in()).id, (await client.job()).id)).assignment.policy


MAKERS: dict[str, Callable[[Client], Awaitable[str]]] = {
    "optin.v1.ContractorService/ListContractors": _contractor,
    "optin.v1.JobService/ListJobs": _job,
    CATEGORIES: _category,
    "optin.v1.ApplicationSessionService/ListApplicationSessions": _session,
    "optin.v1.AssignmentService/ListAssignments": _assignment,
    "optin.v1.PolicyService/ListPolicies": _policy,
    "optin.v1.QuoteService/ListQuotes": _quote,
}


def assert_bad_token(refusal: Refusal) -> None:
    assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
    assert refusal.fields == {"page_token"}
    assert refusal.told == {}


def test_every_list_is_tested() -> None:
    assert list(MAKERS) == NEWEST_FIRST


async def test_nothing_is_one_empty_page(any_client: Client) -> None:
    for method in NEWEST_FIRST:
        assert await pages(any_client, method) == [[]]


async def test_page_sizes(any_client: Client) -> None:
    client = any_client
    made = sorted(await asyncio.gather(*(_category(client) for _ in range(201))), reverse=True)
    for size, lengths in (
        (0, [50, 50, 50, 50, 1]),
        (1, [1] * 201),
        (67, [67, 67, 67]),
        (200, [200, 1]),
        (201, [200, 1]),
        (2**31 - 1, [200, 1]),
    ):
        found = await pages(client, CATEGORIES, page_size=size)
        assert [len(ids) for ids in found] == lengths, size
        assert flat(found) == made, "newest first"


async def test_negative_page_sizes(client: Client) -> None:
    for method in NEWEST_FIRST:
        for size in (-1, -(2**31)):
            refusal = await refused(page(client, method, page_size=size))
            assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", {"page_size"}), method


@pytest.mark.parametrize("method", NEWEST_FIRST)
async def test_each_row_exactly_once_while_others_arrive(any_client: Client, method: str) -> None:
    client, make = any_client, MAKERS[method]
    before = [await make(client) for _ in range(9)]
    stop = asyncio.Event()

    async def insert() -> None:
        while not stop.is_set():
            await make(client)

    inserting = [asyncio.create_task(insert()) for _ in range(3)]
    walks = [flat(await pages(client, method, page_size=2)) for _ in range(2)]
    stop.set()
    await asyncio.gather(*inserting)
    for seen in walks:
        assert [id_ for id_ in seen if id_ in before] == before[::-1]
        assert len(seen) == len(set(seen))
        assert seen == sorted(seen, reverse=True)
    assert len(flat(await pages(client, method))) > len(before)


async def test_each_row_exactly_once_over_two_servers(servers: list[Client]) -> None:
    """A token is as good at another server of the platform."""
    made = [await _category(servers[number % len(servers)]) for number in range(7)]
    seen, token = await page(servers[0], CATEGORIES, page_size=2)
    turn = 0
    while token:
        turn += 1
        found, token = await page(servers[turn % len(servers)], CATEGORIES, page_size=2, page_token=token)
        seen += found
    assert sorted(seen) == sorted(made)


async def test_a_token_serves_its_method_and_filters_alone(any_client: Client) -> None:
    client = any_client
    jane = await client.opted_in()
    await client.session(jane.id)
    category = (await client.category()).code
    for _ in range(2):
        await client.assign(jane.id, (await client.job(category)).id)
        await client.assign(jane.id, (await client.job()).id)
        await client.contractor()
        await client.quote(jane.id, (await client.job()).id)
    filters: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
        "optin.v1.ContractorService/ListContractors": [({}, {"email": "a@example.com"})],
        "optin.v1.JobService/ListJobs": [({}, {"category_code": category}), ({"category_code": category}, {})],
        CATEGORIES: [],
        "optin.v1.ApplicationSessionService/ListApplicationSessions": [
            ({}, {"contractor": jane.id}),
            ({}, {"is_general_opt_in": True}),
            ({"is_general_opt_in": True}, {"is_general_opt_in": False}),
            ({"work_state": "CA"}, {"work_state": "NY"}),
            ({"contractor": jane.id}, {"contractor": jane.id, "status": 1}),
        ],
        "optin.v1.AssignmentService/ListAssignments": [
            ({}, {"contractor": jane.id}),
            ({"contractor": jane.id}, {"job": jane.id}),
            ({"outcome": 2}, {"outcome": 1}),
        ],
        "optin.v1.PolicyService/ListPolicies": [({}, {"contractor": jane.id}), ({}, {"status": 4})],
        "optin.v1.QuoteService/ListQuotes": [
            ({}, {"contractor": jane.id}),
            ({"contractor": jane.id}, {"job": jane.id}),
            ({"status": 1}, {"status": 2}),
        ],
    }
    tokens: dict[str, str] = {}
    for method, pairs in filters.items():
        tokens[method] = (await page(client, method, page_size=1))[1]
        assert tokens[method]
        assert (await page(client, method, page_size=200, page_token=tokens[method]))[0], "the size may differ"
        for made_with, sent_with in pairs:
            token = (await page(client, method, page_size=1, **made_with))[1]
            assert token, (method, made_with)
            assert (await page(client, method, page_token=token, **made_with))[0]
            assert_bad_token(await refused(page(client, method, page_token=token, **sent_with)))
    for method in filters:
        for other, token in tokens.items():
            if other != method:
                assert_bad_token(await refused(page(client, method, page_token=token)))


async def test_a_filter_in_another_case_is_the_same_filter(client: Client) -> None:
    method = "optin.v1.ApplicationSessionService/ListApplicationSessions"
    jane = await client.contractor()
    for _ in range(2):
        await client.session(jane.id)
    _, token = await page(client, method, page_size=1, work_state="CA")
    assert len((await page(client, method, page_token=token, work_state="ca"))[0]) == 1


async def test_forged_tokens(any_client: Client) -> None:
    client = any_client
    for _ in range(2):
        await _category(client)
    _, token = await page(client, CATEGORIES, page_size=1)
    digest = base64.urlsafe_b64decode(token)[:DIGEST_BYTES]
    forged = ["x", "é", "\0", "=", "====", " ", token[:-4], token + "AAAA", token.lower(), "A" * 10_000, f"{token} "]
    forged += [
        base64.urlsafe_b64encode(content).decode()
        for content in (digest, digest + b"\0", digest + b"\xff", digest + b"' OR 1=1 --", b"jc_1", digest + b"z" * 900)
    ]
    for method in NEWEST_FIRST:
        for bad in forged:
            assert_bad_token(await refused(page(client, method, page_token=bad)))


async def test_what_is_gone_leaves_no_hole(any_client: Client) -> None:
    """The row that a token stands on may be deleted meanwhile."""
    client, method = any_client, "optin.v1.ContractorService/ListContractors"
    made = [await _contractor(client) for _ in range(5)]
    first, token = await page(client, method, page_size=2)
    assert first == [made[4], made[3]]
    await client.delete(made[3])
    await client.delete(made[1])
    assert await page(client, method, page_size=9, page_token=token) == ([made[2], made[0]], "")


async def test_the_decisions_about_an_assignment_page_by_page(any_client: Client) -> None:
    """Three, made by an assignment and two quotes: the key of a page is the decision's number."""
    client, jane = any_client, await any_client.contractor()
    category = (await client.category()).code
    await client.approve(category, pb.COVERAGE_TYPE_GENERAL)
    job, dates = await client.job(category), {"start": TOMORROW, "end": TOMORROW + 86_400}
    made, other = [
        (await client.assign(jane.id, job.id, pb.COVERAGE_TYPE_GENERAL, WORKERS_COMP, **dates)).assignment.id
        for _ in range(2)
    ]
    for type_ in (WORKERS_COMP, pb.COVERAGE_TYPE_GENERAL):
        await client.issue((await client.quote(jane.id, job.id, type_)).id)

    async def numbers(assignment: str, **fields: Any) -> tuple[list[int], str]:
        request = assignments_pb.ListBindingDecisionsRequest(assignment=assignment, **fields)
        answer = await client.assignments.ListBindingDecisions(request)
        return [decision.number for decision in answer.binding_decisions], answer.next_page_token

    assert await numbers(made) == ([3, 2, 1], "")
    first, token = await numbers(made, page_size=2)
    assert (first, await numbers(made, page_token=token)) == ([3, 2], ([1], ""))
    assert_bad_token(await refused(numbers(other, page_token=token)))
    digest = base64.urlsafe_b64decode(token)[:DIGEST_BYTES]
    for key in (b"", b"0", b"-1", b"x", b"1" * 30, made.encode()):
        forged = base64.urlsafe_b64encode(digest + key).decode()
        assert_bad_token(await refused(numbers(made, page_token=forged)))
    assert (await refused(numbers(made, page_size=-1))).fields == {"page_size"}
    assert (await refused(numbers(""))).fields == {"assignment"}
    assert (await refused(numbers("an_none"))).told == {"resource_type": "assignment", "resource_name": "an_none"}
