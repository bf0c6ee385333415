"""Personal fields: each is marked or known not to be personal, and what is marked is taken out wherever it lies."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status
from optin.carrier.v1 import carrier_service_pb2 as carrier_pb
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import resources_pb2 as pb

from server.api import render
from server.api.erasing import ABOUT_A_CONTRACTOR, erased_event, erased_response
from server.api.redact import MOST_CHARACTERS, in_a_line, redacted
from server.domain.personal import MARK, Record, erased
from tests.api.methods import METHODS
from tests.storage import records
from tests.support.canaries import canary, found_in

NOT_PERSONAL = {
    # Ids, which are ours, and what callers choose to tell their own requests apart.
    "id",
    "contractor",
    "job",
    "quote",
    "policy",
    "policies",
    "assignment",
    "application_session",
    "resource",
    "after",
    "request_id",
    "page_token",
    # What insurance goes by.
    "region",
    "country",
    "state",
    "states",
    "work_state",
    "residence_state",
    "category_code",
    "code",
    # Names of things: of categories, event types, questions, documents and fields.
    "optin.v1.JobCategory.name",
    "types",
    "question",
    "document",
    "version",
    "paths",
    # A sentence that is put together from enums.
    "optin.v1.Binding.message",
}
"""By name, or full name: fields of requests that hold texts and are not marked. Whoever adds a field decides."""


def is_marked(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().debug_redact)


def fields(message: Descriptor, seen: set[str] | None = None) -> Iterator[FieldDescriptor]:
    """Of the message and of all in it, marked ones without what is in them."""
    seen = set() if seen is None else seen
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    for field in message.fields:
        yield field
        if field.message_type is not None and not is_marked(field):
            yield from fields(field.message_type, seen)


def test_every_text_in_a_request_is_marked_or_known_not_to_be_personal() -> None:
    requests = [method.input_type for method in METHODS.values()]
    requests += [method.input_type for method in carrier_pb.DESCRIPTOR.services_by_name["CarrierService"].methods]
    texts = {
        field
        for request in requests
        for field in fields(request)
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and not is_marked(field)
    }
    assert [f.full_name for f in texts if f.name not in NOT_PERSONAL and f.full_name not in NOT_PERSONAL] == []
    assert {name for field in texts for name in (field.name, field.full_name)} >= NOT_PERSONAL


# What is stored.

RENDERED: list[tuple[Record, Any]] = [
    (records.full_contractor(records.contractor()), render.contractor),
    (records.full_session(records.session("cn_1")), lambda record: render.application_session(record, records.NOW)),
    (records.full_quote(records.quote("cn_1", "jb_1")), lambda record: render.quote(record, records.NOW)),
    (records.full_policy(records.policy("cn_1")), lambda record: render.policy(record, records.NOW)),
    (records.full_assignment(records.assignment("cn_1", "jb_1")), render.assignment),
]


@pytest.mark.parametrize(("record", "rendered"), RENDERED, ids=lambda value: type(value).__name__)
def test_an_erased_record_reads_as_its_message_is_redacted(record: Record, rendered: Any) -> None:
    assert rendered(erased(record)) == redacted(rendered(record))


def test_each_change_answers_with_a_resource_that_begins_with_its_id() -> None:
    """`erased_response` finds the type of a stored response by it."""
    known = {response.DESCRIPTOR.fields[0].message_type.full_name for response in ABOUT_A_CONTRACTOR.values()}
    for name, method in METHODS.items():
        if "request_id" not in method.input_type.fields_by_name:
            continue
        resource, *others = method.output_type.fields
        assert resource.number == 1, name
        assert resource.message_type is not None, name
        assert resource.message_type.fields_by_number[1].name in ("id", "code"), name
        is_a_contractors = resource.name == "contractor" or "contractor" in resource.message_type.fields_by_name
        assert (resource.message_type.full_name in known) == is_a_contractors, name
        assert [field.name for field in others if is_marked(field) or field.message_type] == [], name


def test_each_event_is_about_a_contractor_or_has_nothing_personal() -> None:
    for field in pb.Event.DESCRIPTOR.oneofs_by_name["data"].fields:
        is_a_contractors = field.name == "contractor" or "contractor" in field.message_type.fields_by_name
        assert is_a_contractors or not any(map(is_marked, fields(field.message_type))), field.name


def test_a_stored_response_keeps_all_but_what_is_personal() -> None:
    made = pb.Assignment(id="an_1", contractor="cn_1", cancel_reason="for Jane")
    extended = assignments_pb.ExtendAssignmentResponse(assignment=made, outcome=pb.BINDING_OUTCOME_COVERAGE_BOUND)
    after = assignments_pb.ExtendAssignmentResponse.FromString(erased_response(extended.SerializeToString(), "cn_1"))
    extended.assignment.cancel_reason = MARK
    assert after == extended


@pytest.mark.parametrize(
    "response",
    [
        contractors_pb.CreateContractorResponse(contractor=canary(id="cn_2", metadata={"boss": "cn_1"})),
        assignments_pb.CancelAssignmentResponse(
            assignment=pb.Assignment(id="an_1", contractor="cn_2", cancel_reason="as cn_1 was")
        ),
        contractors_pb.CreateContractorResponse(),
    ],
)
def test_what_is_another_contractors_is_as_it_was(response: Any) -> None:
    body = response.SerializeToString(deterministic=True)
    assert erased_response(body, "cn_1") == body
    of_a_job = pb.JobCategory(code="jc_1", name="like cn_1")
    assert (
        erased_event(pb.Event(job_category=of_a_job).SerializeToString(), "cn_1")
        == pb.Event(job_category=of_a_job).SerializeToString()
    )


# Messages.


def test_the_message_itself_is_left_alone() -> None:
    jane = canary(id="cn_1")
    before = jane.SerializeToString(deterministic=True)
    after = redacted(jane)
    assert found_in(str(after)) == []
    assert (after.id, after.address.region, after.address.line1, dict(after.metadata)) == (
        "cn_1",
        "CA",
        MARK,
        {MARK: MARK},
    )
    assert jane.SerializeToString(deterministic=True) == before


def test_answers_are_not_shown_whatever_their_kind() -> None:
    answers = [{"bool_value": True}, {"int_value": 5}, {"string_value": "Canary"}]
    step = sessions_pb.ApplicationQuestions(answers=[sessions_pb.Answer(question="q", **a) for a in answers])
    after = redacted(step)
    assert [answer.WhichOneof("value") for answer in after.answers] == [None, None, "string_value"]
    assert after.answers[2].string_value == MARK


def test_packed_messages_are_redacted_and_unknown_ones_dropped() -> None:
    status = Status(message="as it was")
    for part in (canary(), pb.JobCategory(code="jc_1")):
        status.details.add().Pack(part)
    status.details.add(type_url="type.googleapis.com/of.Nobody", value=b"Canary")
    status.details.add(type_url="type.googleapis.com/optin.v1.Contractor", value=b"\xffCanary")
    after = redacted(status)
    assert found_in(after.SerializeToString()) == []
    jane, category = pb.Contractor(), pb.JobCategory()
    assert after.details[0].Unpack(jane)
    assert after.details[1].Unpack(category)
    assert (jane, category) == (redacted(canary()), pb.JobCategory(code="jc_1"))
    assert after.details[2:] == [Packed(), Packed()]


def every_kind() -> Any:
    """A message with a marked field of each kind."""
    types = FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="tests/every.proto", package="tests", syntax="proto3")
    message = file.message_type.add(name="Every")
    inner = message.nested_type.add(name="Inner")
    inner.field.add(name="text", number=1, type=types.TYPE_STRING, label=types.LABEL_OPTIONAL)
    inner.field.add(name="number", number=2, type=types.TYPE_INT32, label=types.LABEL_OPTIONAL)
    kinds = {"texts": types.TYPE_STRING, "numbers": types.TYPE_INT32, "raws": types.TYPE_BYTES}
    for number, (name, kind) in enumerate(kinds.items(), 1):
        message.field.add(name=name, number=number, type=kind, label=types.LABEL_REPEATED)
    message.field.add(name="raw", number=4, type=types.TYPE_BYTES, label=types.LABEL_OPTIONAL)
    inners = {"whole": types.LABEL_OPTIONAL, "wholes": types.LABEL_REPEATED}
    for number, (name, label) in enumerate(inners.items(), 5):
        message.field.add(
            name=name, number=number, type=types.TYPE_MESSAGE, type_name=".tests.Every.Inner", label=label
        )
    maps = {"counts": (types.TYPE_INT32, ""), "inners": (types.TYPE_MESSAGE, ".tests.Every.Inner")}
    for number, (name, (kind, type_name)) in enumerate(maps.items(), 7):
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=types.TYPE_STRING, label=types.LABEL_OPTIONAL)
        entry.field.add(name="value", number=2, type=kind, type_name=type_name or None, label=types.LABEL_OPTIONAL)
        message.field.add(
            name=name,
            number=number,
            type=types.TYPE_MESSAGE,
            type_name=f".tests.Every.{entry.name}",
            label=types.LABEL_REPEATED,
        )
    for field in message.field:
        field.options.debug_redact = True
    plain = message.field.add(name="plain", number=9, type=types.TYPE_MESSAGE, label=types.LABEL_REPEATED)
    plain.type_name = ".tests.Every.PlainEntry"
    entry = message.nested_type.add(name="PlainEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=types.TYPE_STRING, label=types.LABEL_OPTIONAL)
    entry.field.add(
        name="value", number=2, type=types.TYPE_MESSAGE, type_name=".tests.Every", label=types.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("tests.Every"))


def test_every_kind_of_field_is_redacted() -> None:
    kind = every_kind()
    made = kind(texts=["a", "b"], numbers=[1], raws=[b"a"], raw=b"a", counts={"a": 1})
    made.whole.text, made.whole.number = "a", 1
    made.wholes.add(text="a")
    made.inners["a"].text = "a"
    outer = kind()
    outer.plain["key"].CopyFrom(made)
    mark = MARK.encode()
    bare = kind(texts=[MARK, MARK], raws=[mark], raw=mark, whole={"text": MARK}, wholes=[{"text": MARK}])
    assert redacted(made) == bare
    assert redacted(outer).plain == {"key": bare}
    assert redacted(outer).plain.keys() == {"key"}


def test_in_a_line_only_ids_and_states_are_shown() -> None:
    request = assignments_pb.CreateAssignmentRequest(
        assignment=pb.Assignment(contractor="cn_01", job="Canary", work_state="CA"), request_id="canary@example.com"
    )
    line = in_a_line(request)
    assert found_in(line) == []
    assert "\n" not in line
    assert 'contractor: "cn_01"' in line
    assert 'work_state: "CA"' in line
    assert f'job: "{MARK}"' in line


def test_a_line_has_a_bounded_length() -> None:
    batch = assignments_pb.BatchCreateAssignmentsRequest(
        requests=[assignments_pb.CreateAssignmentRequest(request_id="x")] * 200
    )
    assert len(in_a_line(batch)) == MOST_CHARACTERS + len("...")


def test_what_the_contract_does_not_know_is_not_shown() -> None:
    unknown = canary(id="cn_1").SerializeToString() + b"\xfa\x3f\x06Canary"
    assert found_in(in_a_line(pb.Contractor.FromString(unknown))) == []
