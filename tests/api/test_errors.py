"""The error contract (spec 9), for every method and seen as a client sees it."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import error_reason_pb2, job_service_pb2
from optin.v1 import event_service_pb2 as events_pb
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import quote_service_pb2 as quotes_pb
from optin.v1 import resources_pb2 as pb
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from server.api import handler
from server.domain.errors import StorageUnavailable
from server.domain.ports import Conflict
from server.domain.records import Policy
from server.storage.sqlite import SqliteStorage
from tests.api.methods import LISTS, METHODS, encoded, filled, leaves, request_of
from tests.conftest import Serving
from tests.support.client import WORKERS_COMP, Answer, Client, Refusal, refused

CODES = {
    "INVALID_ARGUMENT": {"INVALID_FIELD", "INVALID_PAGE_TOKEN", "MALFORMED_REQUEST"},
    "NOT_FOUND": {"RESOURCE_NOT_FOUND"},
    "ALREADY_EXISTS": {"DUPLICATE_EMAIL", "REQUEST_ID_REUSED"},
    "FAILED_PRECONDITION": {
        "PREMIUM_WITHHOLDING_REQUIRED",
        "WORK_STATE_NOT_OFFERED",
        "APPLICATION_STEP_OUT_OF_ORDER",
        "APPLICATION_ALREADY_COMPLETE",
        "APPLICATION_CLOSED",
        "APPLICATION_NOT_IN_REVIEW",
        "POLICY_NOT_ACTIVE",
    },
    "UNAVAILABLE": {"STORAGE_UNAVAILABLE"},
    "ABORTED": {"CONCURRENT_UPDATE"},
    "RESOURCE_EXHAUSTED": {"OVERLOADED"},
    "INTERNAL": {"INTERNAL"},
}
REASONS = error_reason_pb2.ErrorReason.keys()
NO_TIME = Timestamp(seconds=-(2**63), nanos=-1)
WHOLE = [method for method in METHODS if "/Batch" not in method]  # what is wrong with an item is in its result
BY_ID = [method for method in METHODS if "id" in request_of(method).DESCRIPTOR.fields_by_name]


def assert_contract(refusal: Refusal) -> None:
    """What holds for every error that our code gives."""
    assert refusal.reason in CODES[refusal.code.name]
    assert f"ERROR_REASON_{refusal.reason}" in REASONS
    assert refusal.info.domain == "optin.v1"
    assert (refusal.status.code, refusal.status.message) == (refusal.code.value[0], refusal.message)
    assert refusal.message
    for value in refusal.told.values():
        assert value in refusal.message, "the metadata has the message's variable parts, and no more"
    assert refusal.metadata["x-call-id"]
    kinds = {type(detail).__name__ for detail in refusal.details}
    expected = {
        "INVALID_FIELD": {"BadRequest"},
        "INVALID_PAGE_TOKEN": {"BadRequest"},
        "RESOURCE_NOT_FOUND": {"ResourceInfo"},
        "STORAGE_UNAVAILABLE": {"RetryInfo"},
        "CONCURRENT_UPDATE": {"RetryInfo"},
        "OVERLOADED": {"RetryInfo"},
    }.get(refusal.reason, set())
    assert kinds == {"ErrorInfo"} | expected
    if refusal.reason == "INVALID_FIELD":
        assert refusal.told["fields"].split(", ") == [
            v.field for bad in refusal.of(error_details_pb2.BadRequest) for v in bad.field_violations
        ]
        assert all(v.description for bad in refusal.of(error_details_pb2.BadRequest) for v in bad.field_violations)
    for resource in refusal.of(error_details_pb2.ResourceInfo):
        assert refusal.told == {"resource_type": resource.resource_type, "resource_name": resource.resource_name}
    for retry in refusal.of(error_details_pb2.RetryInfo):
        assert retry.retry_delay.ToTimedelta().total_seconds() > 0


async def everything(client: Client) -> list[bytes]:
    """All that any list shows."""
    assert len(LISTS) == 8
    return [(await client.raw(method, b"")).body for method in LISTS]


# What does not parse


async def test_bytes_that_are_no_message(client: Client) -> None:
    before = await everything(client)
    for method, descriptor in METHODS.items():
        for body in (b"\xff" * 12, b"\x0a\x05abc", b"\x07"):
            refusal = await refused(client.raw(method, body))
            assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST"), method
            assert refusal.told == {"message_type": descriptor.input_type.full_name}
            assert_contract(refusal)
    assert await everything(client) == before


async def test_strings_that_are_no_utf_8(client: Client) -> None:
    tried = 0
    for method, descriptor in METHODS.items():
        for path in leaves(descriptor.input_type):
            if path[-1].cpp_type != path[-1].CPPTYPE_STRING:
                continue
            refusal = await refused(client.raw(method, encoded(path, b"Jos\xe9")))
            assert refusal.reason == "MALFORMED_REQUEST", (method, [field.name for field in path])
            assert_contract(refusal)
            tried += 1
    assert tried > 100


# Fields


async def test_hostile_values_in_every_field_of_every_method(any_client: Client) -> None:
    """Whatever is sent, the answer is ours and nothing is written."""
    client = any_client
    jane = await client.opted_in()
    made = (await client.assign(jane.id, (await client.job()).id)).assignment
    await client.told(made.id, "assignment.created")  # the last that was made: on PostgreSQL events come out later
    before = await everything(client)
    texts = ("\0", "x" * 10_000, "a\0b", "' OR 1=1 --", "é" * 6_000, "%s{0}{fields}", "\u202e\ufeff", "\r\n\r\n")
    for text in texts:
        for number in (99, -1, 2**31 - 1):
            for method in WHOLE:
                if method.endswith("CreateJobCategory") and text.isprintable() and len(text) <= 64:
                    continue  # an odd name is a name
                request = filled(method, text, number, NO_TIME)
                refusal = await refused(client.raw(method, request))
                assert refusal.code.name in ("INVALID_ARGUMENT", "NOT_FOUND"), (method, text)
                assert_contract(refusal)
    assert await everything(client) == before


async def test_all_bad_fields_at_once_by_their_proto_paths(client: Client) -> None:
    address = pb.Address(line1="x" * 201, line2="\0", locality="x" * 101, region="XX", postalcode="1", country="CA")
    places = {f"address.{name}" for name in ("line1", "line2", "locality", "region", "postalcode", "country")}
    contractor = pb.Contractor(
        first_name="x" * 10_000, middle_name="\0", email="no", phone="no", address=address, company_name="x" * 201
    )
    contractor.metadata["\0"] = "x" * 10_000
    names = {"first_name", "last_name", "middle_name", "email", "phone", "company_name", "metadata"}
    cases: list[tuple[str, Any, set[str]]] = [
        (
            "optin.v1.ContractorService/CreateContractor",
            contractors_pb.CreateContractorRequest(contractor=contractor, request_id="x" * 65),
            {"request_id"} | {f"contractor.{name}" for name in names | places},
        ),
        (
            "optin.v1.ContractorService/ListContractors",
            contractors_pb.ListContractorsRequest(page_size=-1, email="\0"),
            {"page_size", "email"},
        ),
        (
            "optin.v1.JobService/CreateJob",
            job_service_pb2.CreateJobRequest(job=pb.Job(name="\0", description="\0", address=address), request_id="é"),
            {"request_id", "job.name", "job.description", "job.category_code"} | {f"job.{place}" for place in places},
        ),
        (
            "optin.v1.ApplicationSessionService/CreateApplicationSession",
            sessions_pb.CreateApplicationSessionRequest(
                application_session=pb.ApplicationSession(is_general_opt_in=True, work_state="XX", quote="qt_1"),
                request_id="\n",
            ),
            {"request_id"}
            | {
                f"application_session.{name}"
                for name in ("contractor", "work_state", "success_url", "cancel_url", "quote")
            },
        ),
        (
            "optin.v1.ApplicationSessionService/SubmitApplicationStep",
            sessions_pb.SubmitApplicationStepRequest(
                verify_info=sessions_pb.VerifyInfo(first_name=" ", phone="1", address=address), request_id="\x7f"
            ),
            {"id", "request_id", "verify_info.first_name", "verify_info.phone"}
            | {f"verify_info.{place}" for place in places},
        ),
        (
            "optin.v1.AssignmentService/CreateAssignment",
            assignments_pb.CreateAssignmentRequest(
                assignment=pb.Assignment(effective_time=NO_TIME, end_time=NO_TIME), request_id="x" * 65
            ),
            {"request_id"} | {f"assignment.{name}" for name in ("contractor", "job", "effective_time", "end_time")},
        ),
        (
            "optin.v1.PolicyService/CancelPolicy",
            policies_pb.CancelPolicyRequest(reason="x" * 10_000, request_id="x" * 65),
            {"id", "reason", "request_id"},
        ),
        (
            "optin.v1.QuoteService/CreateQuote",
            quotes_pb.CreateQuoteRequest(
                quote=pb.Quote(coverage_types=[99], effective_time=NO_TIME, end_time=NO_TIME), request_id="x" * 65
            ),
            {"request_id"}
            | {f"quote.{name}" for name in ("contractor", "job", "coverage_types", "effective_time", "end_time")},
        ),
    ]
    before = await everything(client)
    for method, request, fields in cases:
        refusal = await refused(client.raw(method, request))
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", fields), method
        assert_contract(refusal)
    assert await everything(client) == before


async def test_an_empty_request_names_what_is_missing(client: Client) -> None:
    for method in METHODS:
        if method in LISTS or "/Watch" in method or "/CreateJobCategory" in method:
            continue
        refusal = await refused(client.raw(method, b""))
        assert refusal.reason == "INVALID_FIELD", method
        assert_contract(refusal)


async def test_timestamps_that_are_none(client: Client) -> None:
    jane, job = await client.opted_in(), await client.job()
    good = Timestamp(seconds=1_701_561_600)
    for seconds, nanos in ((0, -1), (0, 10**9), (-62_135_596_801, 0), (253_402_300_800, 0), (2**63 - 1, 0)):
        bad = Timestamp(seconds=seconds, nanos=nanos)
        for times, fields in (
            ((bad, bad), {"assignment.effective_time", "assignment.end_time"}),
            ((bad, good), {"assignment.effective_time"}),
            ((good, bad), {"assignment.end_time"}),
        ):
            request = assignments_pb.CreateAssignmentRequest(
                assignment=pb.Assignment(
                    contractor=jane.id,
                    job=job.id,
                    effective_time=times[0],
                    end_time=times[1],
                    coverage_types=[WORKERS_COMP],
                )
            )
            refusal = await refused(client.assignments.CreateAssignment(request))
            assert refusal.fields >= fields, (seconds, nanos)
            assert_contract(refusal)
    assert await client.assignments_of(jane.id) == []


async def test_fields_are_checked_before_references(client: Client) -> None:
    request = assignments_pb.CreateAssignmentRequest(
        assignment=pb.Assignment(contractor="cn_1", job="jb_1", effective_time=NO_TIME)
    )
    assert (await refused(client.assignments.CreateAssignment(request))).fields == {"assignment.effective_time"}


async def test_more_bad_items_than_metadata_can_carry(client: Client) -> None:
    """Details travel in trailing metadata, which clients bound: an error has to arrive as what it is."""
    session = await client.session((await client.contractor()).id)
    await client.submit(session.id, verify_info=sessions_pb.VerifyInfo())
    answers = [sessions_pb.Answer(question=f"no_{number}") for number in range(100)]
    unknown = await refused(
        client.submit(session.id, application_questions=sessions_pb.ApplicationQuestions(answers=answers))
    )
    for answer in answers:
        answer.question = "x" * 1_000
    too_long = await refused(
        client.submit(session.id, application_questions=sessions_pb.ApplicationQuestions(answers=answers))
    )
    for answer in answers:
        answer.question = "x"
    too_many = await refused(
        client.submit(session.id, application_questions=sessions_pb.ApplicationQuestions(answers=answers * 20))
    )
    for refusal in (unknown, too_long, too_many):
        assert refusal.reason == "INVALID_FIELD"
        assert_contract(refusal)
        assert len(str(refusal)) < 24_000
    states = job_service_pb2.ApproveJobCategoryRequest(
        category_code="jc_1", coverage_type=WORKERS_COMP, states=["XX"] * 10_000
    )
    assert (await refused(client.jobs.ApproveJobCategory(states))).fields == {"states"}


# References


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("optin.v1.EventService/ListEvents", events_pb.ListEventsRequest(types=["none"] * 201)),
        ("optin.v1.EventService/WatchEvents", events_pb.WatchEventsRequest(types=["none"] * 201)),
        ("optin.v1.JobService/ApproveJobCategory", jobs_pb.ApproveJobCategoryRequest(states=["XX"] * 201)),
        (
            "optin.v1.JobService/RevokeJobCategoryApproval",
            jobs_pb.RevokeJobCategoryApprovalRequest(states=["XX"] * 201),
        ),
        (
            "optin.v1.QuoteService/CreateQuote",
            quotes_pb.CreateQuoteRequest(quote=pb.Quote(coverage_types=[WORKERS_COMP] * 201)),
        ),
    ],
)
async def test_a_list_too_long_to_be_looked_through(client: Client, method: str, request_: Message) -> None:
    """Else a single request of 250 KB keeps everybody waiting for seconds."""
    error = await refused(client.raw(method, request_))
    (rule,) = {
        violation.description
        for bad in error.of(error_details_pb2.BadRequest)
        for violation in bad.field_violations
        if violation.field.rpartition(".")[2] in ("types", "states", "coverage_types")
    }
    assert rule == "must have at most 200 items"


async def test_an_id_of_whatever_shape_refers_to_nothing(any_client: Client) -> None:
    names = ("cn_1", "x", "é", " ", "\0", "cn_\0", "x" * 10_000, "' OR 1=1 --", "cn_01J9Z3NDEKTSV4RRFFQ69G5FAV")
    for method in BY_ID:
        for name in names:
            request: Any = request_of(method)
            request.id = name
            if method.endswith("SubmitApplicationStep"):
                request.final_review.SetInParent()
            if method.endswith("ReviewApplicationSession"):
                request.decision = pb.REVIEW_DECISION_APPROVE
            if method.endswith("ExtendAssignment"):
                request.end_time.GetCurrentTime()
            refusal = await refused(any_client.raw(method, request))
            assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND"), (method, name)
            assert_contract(refusal)
            assert refusal.told["resource_name"] in ("", name)
        request.id = ""
        assert "id" in (await refused(any_client.raw(method, request))).fields, method


async def test_references_of_whatever_shape_refer_to_nothing(any_client: Client) -> None:
    client = any_client
    jane, job = await client.opted_in(), await client.job()
    await client.told(job.category_code, "job_category.approved")  # whose event is the last
    before = await everything(client)
    for name in ("x", "é", "\0", "cn_\0", "x" * 10_000, "' OR 1=1 --"):
        calls: list[tuple[str, Any]] = [
            ("contractor", client.assign(name, job.id)),
            ("contractor", client.assign(name, job.id, validate_only=True)),
            ("job", client.assign(jane.id, name)),
            ("contractor", client.session(name)),
            ("quote", client.quote_session(name)),
            ("contractor", client.quote(name, job.id)),
            ("job", client.quote(jane.id, name)),
            ("quote", client.quotes.UpdateQuote(quotes_pb.UpdateQuoteRequest(quote=pb.Quote(id=name, job=job.id)))),
            ("assignment", client.decisions(name)),
            ("job_category", client.job(name)),
            (
                "job",
                client.jobs.UpdateJob(job_service_pb2.UpdateJobRequest(job=pb.Job(id=name, name="New"))),
            ),
            (
                "job_category",
                client.jobs.UpdateJob(job_service_pb2.UpdateJobRequest(job=pb.Job(id=job.id, category_code=name))),
            ),
            (
                "contractor",
                client.contractors.UpdateContractor(
                    contractors_pb.UpdateContractorRequest(contractor=pb.Contractor(id=name, last_name="New"))
                ),
            ),
            (
                "job_category",
                client.jobs.ApproveJobCategory(
                    job_service_pb2.ApproveJobCategoryRequest(category_code=name, coverage_type=WORKERS_COMP)
                ),
            ),
            (
                "job_category",
                client.jobs.RevokeJobCategoryApproval(
                    job_service_pb2.RevokeJobCategoryApprovalRequest(category_code=name, coverage_type=WORKERS_COMP)
                ),
            ),
        ]
        for kind, call in calls:
            refusal = await refused(call)
            assert (refusal.reason, refusal.told["resource_type"]) == ("RESOURCE_NOT_FOUND", kind), name
            assert refusal.told["resource_name"] in ("", name)
            assert_contract(refusal)
    assert await everything(client) == before


async def test_filters_of_whatever_shape_find_nothing_or_are_refused(any_client: Client) -> None:
    client = any_client
    await client.assign((await client.opted_in()).id, (await client.job()).id)
    for method in LISTS:
        for name in ("contractor", "job", "category_code", "email", "resource", "work_state"):
            for value in ("x", " ", "\u3000", "\0", "x" * 10_000, "%", "' OR 1=1 --"):
                request: Any = request_of(method)
                if name not in request.DESCRIPTOR.fields_by_name:
                    continue
                setattr(request, name, value)
                (answer,) = await asyncio.gather(client.raw(method, request), return_exceptions=True)
                if isinstance(answer, grpc.aio.AioRpcError):
                    assert Refusal(answer).fields == {name}, (method, value)
                else:
                    assert isinstance(answer, Answer)
                    assert answer.body == b"", (method, value)


# What is told


async def test_personal_values_are_never_repeated(any_client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in messages nor in details, trailing metadata or the log, whatever is wrong with them."""
    client = any_client
    jane = await client.contractor(email="hush.secret@example.com")
    session = await client.session(jane.id)
    await client.submit(session.id, verify_info=sessions_pb.VerifyInfo())
    for method in WHOLE:
        for text in ("hush secret\n", "hush_secret@\t", "hush_secret\0", "hush_secret" * 1_000):
            refusal = await refused(client.raw(method, filled(method, text, 99, NO_TIME)))
            assert "hush" not in str(refusal), method
    secret = pb.Contractor(
        first_name="hushfirst",
        last_name="hushlast",
        email="HUSH.Secret@example.com",
        phone="5559870000",
        address=pb.Address(line1="hushstreet", locality="hushtown", region="CA"),
        company_name="hushcompany",
        metadata={"hushkey": "hushvalue"},
    )
    duplicate = contractors_pb.CreateContractorRequest(contractor=secret)
    refusals = [await refused(client.contractors.CreateContractor(duplicate))]
    assert refusals[0].reason == "DUPLICATE_EMAIL"
    secret.phone, secret.address.region = "hushphone", "hushregion"
    refusals.append(await refused(client.contractors.CreateContractor(duplicate)))
    questions = sessions_pb.ApplicationQuestions(
        answers=[sessions_pb.Answer(question="hushq", string_value="hushanswer")]
    )
    refusals.append(await refused(client.submit(session.id, application_questions=questions)))
    for refusal in refusals:
        assert "hush" not in str(refusal).lower()
        assert "5559870000" not in str(refusal)
    out, err = capsys.readouterr()
    assert "optin.v1.ContractorService/CreateContractor" in out, "the log is there to be looked at"
    assert "hush" not in (out + err).lower()
    assert "5559870000" not in out + err


async def test_the_call_id_is_the_callers_or_made(client: Client) -> None:
    method = "optin.v1.ContractorService/ListContractors"
    bad = contractors_pb.ListContractorsRequest(page_size=-1)
    made = (await client.raw(method, b"")).trailing["x-call-id"]
    assert made
    assert (await client.raw(method, b"")).trailing["x-call-id"] != made
    assert (await refused(client.raw(method, bad))).metadata["x-call-id"]
    for call_id in ("6f1c3b1e-8f0a-4a55-9a0b-0d4f3a7f2c11", "a" * 64):
        assert (await client.raw(method, b"", ("x-call-id", call_id))).trailing["x-call-id"] == call_id
        assert (await refused(client.raw(method, bad, ("x-call-id", call_id)))).metadata["x-call-id"] == call_id
    for call_id in ("a" * 65, "with space", "a" * 5_000):
        assert (await client.raw(method, b"", ("x-call-id", call_id))).trailing["x-call-id"] != call_id


# Faults of the server


def assert_internal(refusal: Refusal, *secrets: str) -> None:
    """A fixed text and the call id, and not a word more."""
    assert_contract(refusal)
    assert (refusal.code.name, refusal.reason) == ("INTERNAL", "INTERNAL")
    call_id = str(refusal.metadata["x-call-id"])
    assert refusal.told == {"call_id": call_id}
    fixed = "Something went wrong on our side; please tell support the call id {}."
    assert refusal.message == fixed.format(call_id)
    for secret in secrets:
        assert secret not in str(refusal)


@pytest.mark.parametrize(
    ("raised", "code", "reason", "most"),
    [
        (StorageUnavailable(), "UNAVAILABLE", "STORAGE_UNAVAILABLE", 1),
        (Conflict(), "ABORTED", "CONCURRENT_UPDATE", 1 + 3),  # the unit is run again at most 3 times
    ],
)
async def test_what_may_be_sent_again(
    client: Client, monkeypatch: pytest.MonkeyPatch, raised: Exception, code: str, reason: str, most: int
) -> None:
    await client.contractor()  # after the first rounds of what the server does by itself
    tries = 0

    async def failing(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStorage, "write", failing)
        refusal = await refused(client.contractor())
    assert (refusal.code.name, refusal.reason, refusal.told) == (code, reason, {})
    assert_contract(refusal)
    assert 1 <= tries <= most, "and the server itself tried no more often than it says"
    assert (await client.contractor()).id


class OddCarrier:
    """Raises what nobody foresaw, until told otherwise."""

    def issue(self, policy: Policy) -> Any:
        raise ZeroDivisionError(f"SELECT secret FROM /etc/passwd -- {policy.contractor}")


async def test_a_carrier_that_raises(serve: Serving, database_url: str) -> None:
    async with serve(database_url=database_url, carrier=OddCarrier()) as client:
        jane, job = await client.opted_in(), await client.job()
        refusal = await refused(client.assign(jane.id, job.id, request_id="a"))
        assert_internal(refusal, "Zero", "SELECT", "passwd", jane.id)
        assert await client.assignments_of(jane.id) == await client.policies_of(jane.id) == []
        assert (await client.assign(jane.id, job.id, pb.COVERAGE_TYPE_CYBER, request_id="a")).assignment.id


async def test_a_carrier_that_raises_harms_no_neighbour(serve: Serving, database_url: str) -> None:
    async with serve(database_url=database_url, carrier=OddCarrier()) as client:
        jane, john, job = await client.opted_in(), await client.contractor(), await client.job()
        calls = [client.assign((jane if n % 2 else john).id, job.id) for n in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        for number, result in enumerate(results):
            if number % 2:
                assert isinstance(result, grpc.aio.AioRpcError)
                assert_internal(Refusal(result), "Zero")
            else:
                assert isinstance(result, assignments_pb.CreateAssignmentResponse)
                assert result.outcome == pb.BINDING_OUTCOME_STANDARD_WORKFLOW
        assert await client.assignments_of(jane.id) == []
        assert len(await client.assignments_of(john.id)) == 10


@pytest.mark.parametrize("way", ["read", "write"])
async def test_a_storage_that_raises(client: Client, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    jane = await client.contractor()

    async def broken(*_: object) -> None:
        raise LookupError("SELECT * FROM contractors; /var/lib/optin.db is odd")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStorage, way, broken)
        call = client.contractor() if way == "write" else client.assign(jane.id, jane.id, validate_only=True)
        assert_internal(await refused(call), "Lookup", "SELECT", "optin.db")
    assert (await client.contractor()).id


async def test_a_log_that_cannot_be_written(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes no answer: what was done is done."""

    class FullDisk:
        def info(self, *_: object, **__: object) -> None:
            raise OSError("no space left on /var/log")

    monkeypatch.setattr(handler, "log", FullDisk())
    jane = await client.contractor()
    assert_contract(await refused(client.session(jane.id, "XX")))


async def test_a_database_that_is_not_what_it_was(
    serve: Serving, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The driver's own words, which repeat what was sent, reach neither the caller nor the log."""
    async with serve(database_url=postgres_url) as client:
        engine = create_async_engine(make_url(postgres_url))
        async with engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE contractors RENAME COLUMN phone TO telephone")
        await engine.dispose()
        refusal = await refused(client.contractor(first_name="hushfirst", phone="5559870000"))
        assert_internal(refusal, "telephone", "phone", "contractors", "INSERT", "hushfirst")
        out, err = capsys.readouterr()
        assert str(refusal.metadata["x-call-id"]) in out, "support finds the call in the log"
        assert "hushfirst" not in out + err
        assert "5559870000" not in out + err
