"""The contract itself: services and methods spelled out, behaviour and a comment on every element, enums in step."""

import inspect
import re
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import pytest
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from optin.v1 import error_reason_pb2, resources_pb2

from server.api.statuses import MalformedRequest
from server.domain import enums, errors
from tests.api.methods import METHODS

SERVICES = {
    "ContractorService": [
        "CreateContractor",
        "GetContractor",
        "ListContractors",
        "UpdateContractor",
        "DeleteContractor",
    ],
    "JobService": [
        "CreateJob",
        "GetJob",
        "ListJobs",
        "UpdateJob",
        "CreateJobCategory",
        "ListJobCategories",
        "ApproveJobCategory",
        "RevokeJobCategoryApproval",
    ],
    "ApplicationSessionService": [
        "CreateApplicationSession",
        "GetApplicationSession",
        "ListApplicationSessions",
        "GetApplicationForm",
        "SubmitApplicationStep",
        "ReviewApplicationSession",
        "CancelApplicationSession",
        "ExpireApplicationSession",
    ],
    "AssignmentService": [
        "CreateAssignment",
        "BatchCreateAssignments",
        "GetAssignment",
        "ListAssignments",
        "CancelAssignment",
        "ExtendAssignment",
        "ListBindingDecisions",
    ],
    "PolicyService": ["GetPolicy", "ListPolicies", "CancelPolicy", "ReinstatePolicy"],
    "QuoteService": ["CreateQuote", "GetQuote", "ListQuotes", "UpdateQuote"],
    "EventService": ["ListEvents", "WatchEvents"],
}

FIELDS = {
    "Contractor": "id first_name last_name middle_name email phone address company_name withhold_premium metadata "
    "create_time update_time delete_time",
    "Address": "line1 line2 locality region postalcode country",
    "JobCategory": "code name approvals",
    "JobCategoryApproval": "coverage_type state net_rate approve_time",
    "Job": "id name description category_code address withhold_premium create_time update_time",
    "ApplicationSession": "id contractor is_general_opt_in work_state success_url cancel_url quote status step reasons "
    "url create_time expire_time complete_time",
    "ApplicationForm": "version questions documents",
    "Question": "id text type required states",
    "Document": "id title version text",
    "Quote": "id contractor job coverage_types effective_time end_time work_state residence_state category_code rates "
    "net_rate status expire_time policy create_time",
    "CoverageRate": "coverage_type net_rate",
    "Policy": "id number contractor coverage_types work_state residence_state category_code effective_time "
    "expire_time status origin application_session quote net_rate carrier_policy_number create_time cancel_time "
    "cancel_reason",
    "Assignment": "contractor job coverage_types effective_time end_time id work_state category_code policy binding "
    "status create_time cancel_time cancel_reason",
    "BindingDecision": "number decide_time trigger outcome reasons application_session policies approval work_state "
    "residence_state withholding withholding_source quote policy binding effective_time",
    "Event": "id type resource create_time contractor application_session job_category policy assignment quote",
    "Binding": "outcome workflow policies application_session reasons message net_rate "
    "standard_workflow_coverage_types",
}

ENUMS = {
    "CoverageType": "GENERAL PROFESSIONAL WORKERS_COMP MEDIA CYBER",
    "ApplicationSessionStatus": "CREATED STARTED MANUAL_REVIEW APPLICATION_COMPLETE INELIGIBLE EXPIRED CANCELLED",
    "ApplicationStep": "VERIFY_INFO APPLICATION_QUESTIONS ESIGNATURE_DOCUMENT FINAL_REVIEW DONE",
    "UnderwritingReason": "UNDER_AGE RECENT_LOSSES HAS_EMPLOYEES DECLINED_IN_REVIEW",
    "QuoteStatus": "OPEN ISSUED EXPIRED",
    "WithholdingSource": "PLATFORM CONTRACTOR JOB",
    "PolicyStatus": "PENDING ACTIVE CANCELLED EXPIRED FAILED",
    "PolicyOrigin": "GENERAL_OPT_IN QUOTE",
    "BindingWorkflow": "GENERAL_OPT_IN STANDARD",
    "AssignmentStatus": "ACTIVE CANCELLED",
    "ReviewDecision": "APPROVE DECLINE",
    "QuestionType": "BOOL INT TEXT",
    "BindingOutcome": "COVERAGE_REUSED COVERAGE_BOUND STANDARD_WORKFLOW BINDING_FAILED BINDING_PENDING",
    "BindingReason": "WORKERS_COMP_NOT_REQUESTED NO_GENERAL_OPT_IN OPT_IN_NOT_COMPLETE WORK_STATE_MISMATCH "
    "JOB_CATEGORY_NOT_APPROVED PREMIUM_NOT_WITHHELD WORK_STATE_NOT_OFFERED CARRIER_DECLINED CARRIER_UNAVAILABLE",
}

DESCRIPTOR_SET = Path(resources_pb2.__file__).with_name("optin.binpb")
OURS = [
    file for file in FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes()).file if file.package.startswith("optin.")
]


def in_caps(name: str) -> str:
    """`BindingOutcome` as `BINDING_OUTCOME`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def messages(file: FileDescriptorProto) -> Iterator[tuple[str, tuple[int, ...], DescriptorProto]]:
    """Each message that is written in the file, with its path in the source info; not the entries of maps."""

    def nested(
        prefix: str, path: tuple[int, ...], message: DescriptorProto
    ) -> Iterator[tuple[str, tuple[int, ...], DescriptorProto]]:
        name = f"{prefix}{message.name}"
        if not message.options.map_entry:
            yield name, path, message
        for index, inner in enumerate(message.nested_type):
            yield from nested(f"{name}.", (*path, DescriptorProto.NESTED_TYPE_FIELD_NUMBER, index), inner)

    for index, message in enumerate(file.message_type):
        yield from nested("", (FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER, index), message)


def fields() -> Iterator[tuple[str, FieldDescriptorProto]]:
    for file in OURS:
        for name, _, message in messages(file):
            for field in message.field:
                yield f"{name}.{field.name}", field


def our_enums() -> Iterator[EnumDescriptorProto]:
    for file in OURS:
        yield from file.enum_type
        for _, _, message in messages(file):
            yield from message.enum_type


def elements(file: FileDescriptorProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    """All that deserves a comment, by name and path."""
    for index, service in enumerate(file.service):
        path: tuple[int, ...] = (FileDescriptorProto.SERVICE_FIELD_NUMBER, index)
        yield service.name, path
        for number, method in enumerate(service.method):
            yield f"{service.name}.{method.name}", (*path, 2, number)
    for name, path, message in messages(file):
        yield name, path
        for number, field in enumerate(message.field):
            yield f"{name}.{field.name}", (*path, DescriptorProto.FIELD_FIELD_NUMBER, number)
        synthetic = {field.oneof_index for field in message.field if field.proto3_optional}
        for number, oneof in enumerate(message.oneof_decl):
            if number not in synthetic:
                yield f"{name}.{oneof.name}", (*path, DescriptorProto.ONEOF_DECL_FIELD_NUMBER, number)
    for index, enum in enumerate(file.enum_type):
        path = (FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER, index)
        yield enum.name, path
        for number, value in enumerate(enum.value):
            yield value.name, (*path, EnumDescriptorProto.VALUE_FIELD_NUMBER, number)


def test_the_services_have_exactly_their_methods() -> None:
    found: dict[str, list[str]] = {}
    for method in METHODS:
        service, _, name = method.partition("/")
        found.setdefault(service.removeprefix("optin.v1."), []).append(name)
    assert found == SERVICES


def test_each_service_has_a_file_of_its_own() -> None:
    for file in OURS:
        if file.package != "optin.v1":
            continue
        expected = re.sub(r"(?<!^)(?=[A-Z])", "_", file.service[0].name).lower() if file.service else None
        assert len(file.service) <= 1
        assert expected is None or file.name == f"optin/v1/{expected}.proto"


def test_messages_are_named_after_their_methods() -> None:
    for name, method in METHODS.items():
        short = name.partition("/")[2]
        assert (method.input_type.name, method.output_type.name) == (f"{short}Request", f"{short}Response")
        assert (method.client_streaming, method.server_streaming) == (False, short.startswith("Watch"))


def test_responses_wrap_what_they_are_about() -> None:
    for name, method in METHODS.items():
        first = method.output_type.fields_by_number[1]
        if "/List" in name:
            assert first.is_repeated
            assert method.output_type.fields_by_name["next_page_token"].number == 2
            assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
        elif first.message_type is not None and not first.is_repeated:
            assert first.name == re.sub(r"(?<!^)(?=[A-Z])", "_", first.message_type.name).lower()


def test_resources_have_exactly_their_fields() -> None:
    for name, names in FIELDS.items():
        message = resources_pb2.DESCRIPTOR.message_types_by_name[name]
        assert {field.name for field in message.fields} == set(names.split()), name
    assert set(FIELDS) == set(resources_pb2.DESCRIPTOR.message_types_by_name)


def test_every_field_has_its_behaviour() -> None:
    count = 0
    for name, field in fields():
        behaviour = list(field.options.Extensions[field_behavior_pb2.field_behavior])
        assert behaviour, name
        assert field_behavior_pb2.FIELD_BEHAVIOR_UNSPECIFIED not in behaviour, name
        count += 1
    assert count > 150


def test_scalars_are_optional_where_unset_and_zero_differ() -> None:
    optional = {name for name, field in fields() if field.proto3_optional and "optin.carrier" not in name}
    assert optional >= {
        "Contractor.withhold_premium",
        "Job.withhold_premium",
        "ListApplicationSessionsRequest.is_general_opt_in",
        "VerifyInfo.first_name",
        "VerifyInfo.middle_name",
        "VerifyInfo.last_name",
        "VerifyInfo.phone",
    }


def test_times_are_timestamps_and_named_so() -> None:
    for name, field in fields():
        assert (field.type_name == ".google.protobuf.Timestamp") == field.name.endswith("_time"), name
        if field.name == "net_rate":
            assert field.type == FieldDescriptorProto.TYPE_INT32


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_every_element_has_a_comment(file: FileDescriptorProto) -> None:
    comments = {tuple(location.path): location.leading_comments for location in file.source_code_info.location}
    for name, path in elements(file):
        comment = comments.get(path, "").strip()
        assert comment, name
        assert comment.rstrip("}` \n").endswith((".", ":", ")", '"')) or "\n    " in comment, (name, comment)


def test_every_enum_has_its_zero_and_its_prefix() -> None:
    for enum in our_enums():
        prefix = in_caps(enum.name)
        assert (enum.value[0].name, enum.value[0].number) == (f"{prefix}_UNSPECIFIED", 0)
        assert all(value.name.startswith(f"{prefix}_") for value in enum.value), enum.name
        assert [value.number for value in enum.value] == list(range(len(enum.value))), enum.name


def test_enums_have_exactly_their_values() -> None:
    for name, names in ENUMS.items():
        assert proto_values(resources_pb2.DESCRIPTOR.enum_types_by_name[name]) == {
            value: number for number, value in enumerate(names.split(), 1)
        }
    assert set(ENUMS) == set(resources_pb2.DESCRIPTOR.enum_types_by_name)


def proto_values(enum: EnumDescriptor) -> dict[str, int]:
    """Without the zero and the prefix."""
    prefix = f"{in_caps(enum.name)}_"
    return {value.name.removeprefix(prefix): value.number for value in enum.values if value.number}


def test_the_domains_enums_are_the_protos_number_by_number() -> None:
    domain = {
        name: {member.name: member.value for member in enum}
        for name, enum in inspect.getmembers(enums, inspect.isclass)
        if issubclass(enum, IntEnum) and enum is not IntEnum
    }
    on_the_wire = {name: proto_values(enum) for name, enum in resources_pb2.DESCRIPTOR.enum_types_by_name.items()}
    assert on_the_wire.items() <= domain.items()


def test_every_error_has_its_reason_and_every_reason_its_error() -> None:
    found = {MalformedRequest.reason, "INTERNAL"}
    waiting = [errors.DomainError]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith("server.") and "reason" in vars(cls):
            found.add(cls.reason)
    reasons = proto_values(error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"])
    assert found == set(reasons)


def test_every_reason_names_its_code_and_gives_an_example() -> None:
    (file,) = [file for file in OURS if file.name == "optin/v1/error_reason.proto"]
    comments = {tuple(location.path): location.leading_comments for location in file.source_code_info.location}
    for number, value in enumerate(file.enum_type[0].value):
        if value.number:
            comment = comments[FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER, 0, 2, number]
            assert re.match(r" ?[A-Z_]+\. ", comment), value.name
            assert f'"reason": "{value.name.removeprefix("ERROR_REASON_")}"' in comment, value.name


def test_the_descriptor_set_brings_its_imports_and_the_error_details() -> None:
    pool = descriptor_pool.DescriptorPool()
    names: set[str] = set()
    for file in FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes()).file:
        assert set(file.dependency) <= names, "each file after what it imports"
        pool.Add(file)
        names.add(file.name)
    assert {"google/rpc/error_details.proto", "google/protobuf/timestamp.proto"} <= names
    for service in SERVICES:
        assert pool.FindServiceByName(f"optin.v1.{service}").methods
