"""What is another platform's behaves as what does not exist, for every method of the API."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from optin.v1 import assignment_service_pb2 as assignments
from optin.v1 import contractor_service_pb2 as contractors
from optin.v1 import job_service_pb2 as jobs
from optin.v1 import resources_pb2 as pb

from server.domain.callers import Role
from server.service.roles import ROLES
from tests.access.calls import WATCH, Ids, answered, ghosts, populated, requests
from tests.access.conftest import House
from tests.api.methods import LISTS, METHODS
from tests.conftest import Clock
from tests.support.client import Client, Refusal
from tests.support.keys import made_key, sends

TOO_LONG = "Bearer opk_" + "x" * 44
BAD = (
    (),
    (("authorization", ""),),
    (("authorization", "Bearer"),),
    (("authorization", "Bearer opk_short"),),
    (("authorization", TOO_LONG),),
    (("authorization", "Bearer opk_" + "A" * 43),),
    (("authorization", "Basic b3BrOg=="),),
)


def tomorrow(clock: Clock) -> int:
    return int((clock.now + timedelta(days=1)).replace(hour=0).timestamp())


async def everything(client: Client) -> list[Any]:
    """All that a platform can list of its own."""
    return [await answered(client, method, GetMessageClass(METHODS[method].input_type)()) for method in LISTS]


def told(answer: bytes | Refusal, ids: Ids) -> str:
    """The answer without the ids that were sent."""
    text = f"{answer.code} {answer.message} {answer.status}" if isinstance(answer, Refusal) else repr(answer)
    for value in ids.values():
        text = text.replace(value, "an id")
    return text


def test_every_method_is_called() -> None:
    ids = Ids(**dict.fromkeys(Ids.__dataclass_fields__, "x"))
    assert requests(ids, 0).keys() == METHODS.keys()


async def test_nobody_reads_changes_or_learns_of_what_is_anothers(house: House, clock: Clock) -> None:
    us, them = await house.whole_client_of(house.ours), await house.client_of(house.theirs)
    ids = await populated(us, tomorrow(clock))
    before = await everything(us)
    nothing = ghosts(ids)
    sent, ghostly = requests(ids, tomorrow(clock)), requests(nothing, tomorrow(clock))
    for method, request in sent.items():
        if request == ghostly[method]:  # it names nothing
            continue
        got, expected = await answered(them, method, request), await answered(them, method, ghostly[method])
        assert told(got, ids) == told(expected, nothing), method
        if isinstance(got, Refusal):
            wanted = StatusCode.NOT_FOUND if Role.PLATFORM in ROLES[method] else StatusCode.PERMISSION_DENIED
            assert got.code is wanted, method
        elif "Batch" in method:
            results = assignments.BatchCreateAssignmentsResponse.FromString(got).results
            assert {result.error.code for result in results} == {StatusCode.NOT_FOUND.value[0]}
        else:
            assert "/List" in method or method == WATCH, method
            assert got == b"", method
    assert await everything(us) == before


async def test_without_a_key_that_counts_nothing_is_answered(house: House, clock: Clock) -> None:
    us, stranger = await house.whole_client_of(house.ours), await house.client()
    ids = await populated(us, tomorrow(clock))
    before = await everything(us)
    revoked, expired = await made_key(house.url, house.ours), await made_key(house.url, house.ours, lifetime=DAY)
    clock.now += timedelta(days=400)
    bad = [*BAD, (("authorization", f"Bearer {expired}"),), (("authorization", f"Bearer {revoked}"),) * 2]
    for method, request in requests(ids, tomorrow(clock)).items():
        for metadata in bad:
            answer = await answered(stranger, method, request, *metadata)
            assert isinstance(answer, Refusal), method
            assert (answer.code, answer.info.reason) == (StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIALS")
            assert answer.info.metadata == {}
    clock.now -= timedelta(days=400)
    assert await everything(us) == before


DAY = timedelta(days=1)


async def test_a_reader_changes_nothing(house: House, clock: Clock) -> None:
    us, reader = await house.whole_client_of(house.ours), await house.client_of(house.ours, Role.READER)
    ids = await populated(us, tomorrow(clock))
    before = await everything(us)
    for method, request in requests(ids, tomorrow(clock)).items():
        answer = await answered(reader, method, request)
        if Role.READER in ROLES[method]:
            assert isinstance(answer, bytes), method
        else:
            assert isinstance(answer, Refusal), method
            assert (answer.code, answer.info.reason) == (StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")
            assert answer.info.metadata == {"role": "reader", "method": method}
    assert await everything(us) == before


async def test_an_underwriter_works_for_every_platform_and_does_nothing_else(house: House, clock: Clock) -> None:
    us = await house.whole_client_of(house.ours)
    underwriter = await house.client_of(house.theirs, Role.UNDERWRITER)
    ids = await populated(us, tomorrow(clock))
    for method, request in requests(ids, tomorrow(clock)).items():
        if method.endswith("CreateJobCategory"):
            continue
        answer = await answered(underwriter, method, request)
        if Role.UNDERWRITER in ROLES[method]:
            assert isinstance(answer, bytes), (method, str(answer))
            assert answer, method
        else:
            assert isinstance(answer, Refusal), method
            assert answer.info.reason == "ROLE_NOT_ALLOWED"
    assert (await us.get_session(ids.reviewed)).status == pb.APPLICATION_SESSION_STATUS_INELIGIBLE
    found = await underwriter.jobs.ListJobCategories(jobs.ListJobCategoriesRequest())
    assert ids.category in {category.code for category in found.job_categories}
    made = await underwriter.jobs.CreateJobCategory(
        jobs.CreateJobCategoryRequest(job_category=pb.JobCategory(name="Its own"))
    )
    mine = await us.jobs.ListJobCategories(jobs.ListJobCategoriesRequest())
    assert made.job_category.code not in {category.code for category in mine.job_categories}


async def test_request_ids_and_emails_are_free_and_page_tokens_bound(house: House) -> None:
    us, them = await house.whole_client_of(house.ours), await house.client_of(house.theirs)

    def jane(last_name: str) -> Message:
        contractor = pb.Contractor(first_name="Jane", last_name=last_name, email="jane@example.com", phone="5551234567")
        contractor.address.region = "CA"
        return contractors.CreateContractorRequest(contractor=contractor, request_id="the-same")

    made = [await client.contractors.CreateContractor(jane(name)) for client, name in ((us, "Doe"), (them, "Roe"))]
    assert made[0].contractor.id != made[1].contractor.id
    for client in (us, them):
        await client.contractor()
    page = await us.contractors.ListContractors(contractors.ListContractorsRequest(page_size=1))
    stolen = contractors.ListContractorsRequest(page_size=1, page_token=page.next_page_token)
    answer = await answered(them, "optin.v1.ContractorService/ListContractors", stolen)
    assert isinstance(answer, Refusal)
    assert answer.info.reason == "INVALID_PAGE_TOKEN"


async def test_a_watcher_sees_its_own_events_and_ends_with_its_key(house: House, clock: Clock) -> None:
    us, them = await house.whole_client_of(house.ours), await house.client_of(house.theirs)
    secret = await made_key(house.url, house.theirs, lifetime=2 * DAY)
    watcher = await house.client(*sends(secret))
    async with asyncio.timeout(10):
        while isinstance(await answered(watcher, LISTS[0], GetMessageClass(METHODS[LISTS[0]].input_type)()), Refusal):
            pass
        channel: Any = watcher.channel
        stream = channel.unary_stream(f"/{WATCH}")(b"", metadata=())
        reading = asyncio.ensure_future(stream.read())
        await us.opted_in()
        theirs = await them.contractor()
        await them.delete(theirs.id)
        assert theirs.id.encode() in await reading
        reading = asyncio.ensure_future(stream.read())
        clock.now = datetime.now(UTC) + 3 * DAY  # the key's time is by the clock of who made it
        with pytest.raises(Exception, match="UNAUTHENTICATED"):
            await reading
