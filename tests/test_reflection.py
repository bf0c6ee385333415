"""Reflection, asked by a real grpcurl and by raw streams."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import (
    ErrorResponse,
    ExtensionRequest,
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from server.api.reflection import REFLECTION, REQUESTS_MAX, load_descriptor_set, reflection_handlers

GRPCURL = Path(sys.executable).parent / "grpcurl"
SERVED = ["optin.v1.AssignmentService", "optin.v1.PolicyService"]
LISTED = [*SERVED, "grpc.health.v1.Health", *REFLECTION]
V1, V1ALPHA = REFLECTION

NOT_FOUND = ErrorResponse(error_code=grpc.StatusCode.NOT_FOUND.value[0], error_message="not found")


@asynccontextmanager
async def serving(handlers: Sequence[grpc.GenericRpcHandler]) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(handlers))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with serving(reflection_handlers(load_descriptor_set(), SERVED)) as address:
        yield address


async def grpcurl(address: str, *arguments: str) -> str:
    """What grpcurl prints, which is on stderr if it fails."""
    process = await asyncio.create_subprocess_exec(
        GRPCURL, "-plaintext", address, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return (err if process.returncode else out).decode()


async def send(address: str, service: str, *requests: bytes) -> AsyncIterator[bytes]:
    """The answers of one stream."""
    async with grpc.aio.insecure_channel(address) as channel:
        stream = channel.stream_stream(f"/{service}/ServerReflectionInfo")(iter(requests))
        async for answer in stream:
            yield answer


async def ask(address: str, request: ServerReflectionRequest, service: str = V1) -> ServerReflectionResponse:
    """The one answer to one request, checked to repeat it."""
    answers = [answer async for answer in send(address, service, request.SerializeToString())]
    [response] = map(ServerReflectionResponse.FromString, answers)
    assert response.original_request == request
    return response


def files_of(response: ServerReflectionResponse) -> list[FileDescriptorProto]:
    assert response.WhichOneof("message_response") == "file_descriptor_response"
    return [FileDescriptorProto.FromString(file) for file in response.file_descriptor_response.file_descriptor_proto]


# grpcurl. The pinned one speaks v1alpha; v1 is asked by the raw streams below.


async def test_grpcurl_lists_the_services(address: str) -> None:
    assert (await grpcurl(address, "list")).split() == sorted(LISTED)


async def test_grpcurl_lists_the_methods_of_a_service(address: str) -> None:
    methods = (await grpcurl(address, "list", "optin.v1.AssignmentService")).split()
    assert "optin.v1.AssignmentService.CreateAssignment" in methods


async def test_grpcurl_describes_a_service_with_its_comments(address: str) -> None:
    text = await grpcurl(address, "describe", "optin.v1.AssignmentService")
    assert "is a service:\n// Puts contractors on jobs" in text
    assert "\n  // Creates an assignment and decides how it is covered." in text


async def test_grpcurl_describes_a_method_with_its_comments(address: str) -> None:
    text = await grpcurl(address, "describe", "optin.v1.AssignmentService.CreateAssignment")
    assert "is a method:\n// Creates an assignment and decides how it is covered." in text
    assert "rpc CreateAssignment ( .optin.v1.CreateAssignmentRequest )" in text


async def test_grpcurl_describes_a_message_with_its_comments(address: str) -> None:
    text = await grpcurl(address, "describe", "optin.v1.GetAssignmentRequest")
    assert "is a message:\n// " in text
    assert "\n  // The assignment's id.\n  string id = 1 [(.google.api.field_behavior) = REQUIRED];" in text


@pytest.mark.parametrize("name", ["google.rpc.ErrorInfo", "google.rpc.BadRequest.FieldViolation"])
async def test_grpcurl_knows_the_details_of_errors(address: str, name: str) -> None:
    assert (await grpcurl(address, "describe", name)).startswith(f"{name} is a message:\n//")


@pytest.mark.parametrize("name", LISTED)
async def test_grpcurl_describes_all_that_is_listed(address: str, name: str) -> None:
    assert (await grpcurl(address, "describe", name)).startswith(f"{name} is a service:\n")


async def test_grpcurl_says_that_a_symbol_is_not_found(address: str) -> None:
    assert "Symbol not found: optin.v1.Nothing" in await grpcurl(address, "describe", "optin.v1.Nothing")


async def test_grpcurl_needs_v1alpha_alone() -> None:
    v1alpha = reflection_handlers(load_descriptor_set(), SERVED)[REFLECTION.index(V1ALPHA)]
    async with serving([v1alpha]) as address:
        assert "// Gets one assignment" in await grpcurl(
            address, "describe", "optin.v1.AssignmentService.GetAssignment"
        )


# Raw streams.


@pytest.mark.parametrize("service", REFLECTION)
async def test_the_services_are_listed(address: str, service: str) -> None:
    response = await ask(address, ServerReflectionRequest(host="here", list_services="*"), service)
    assert [listed.name for listed in response.list_services_response.service] == LISTED
    assert response.valid_host == "here"


async def test_a_service_served_and_brought_is_listed_once() -> None:
    async with serving(reflection_handlers(load_descriptor_set(), LISTED)) as address:
        response = await ask(address, ServerReflectionRequest(list_services=""))
    assert [listed.name for listed in response.list_services_response.service] == LISTED


@pytest.mark.parametrize("service", REFLECTION)
@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("optin.v1.AssignmentService", "optin/v1/assignment_service.proto"),
        ("optin.v1.AssignmentService.CreateAssignment", "optin/v1/assignment_service.proto"),
        ("optin.v1.GetAssignmentRequest", "optin/v1/assignment_service.proto"),
        ("optin.v1.GetAssignmentRequest.id", "optin/v1/assignment_service.proto"),
        ("optin.v1.BindingOutcome", "optin/v1/resources.proto"),
        ("optin.v1.BINDING_OUTCOME_COVERAGE_BOUND", "optin/v1/resources.proto"),
        ("google.rpc.QuotaFailure.Violation.subject", "google/rpc/error_details.proto"),
        ("google.protobuf.FieldDescriptorProto.TYPE_STRING", "google/protobuf/descriptor.proto"),
        ("google.api.field_behavior", "google/api/field_behavior.proto"),
        ("grpc.reflection.v1.ServerReflectionRequest.message_request", "grpc_reflection/v1/reflection.proto"),
        (f"{V1}.ServerReflectionInfo", "grpc_reflection/v1/reflection.proto"),
        (f"{V1ALPHA}.ServerReflectionInfo", "grpc_reflection/v1alpha/reflection.proto"),
        ("grpc.health.v1.Health.Check", "grpc_health/v1/health.proto"),
    ],
)
async def test_every_kind_of_symbol_is_found(address: str, service: str, symbol: str, file: str) -> None:
    response = await ask(address, ServerReflectionRequest(file_containing_symbol=symbol), service)
    assert files_of(response)[0].name == file


@pytest.mark.parametrize("service", REFLECTION)
async def test_a_file_comes_with_its_imports_and_comments(address: str, service: str) -> None:
    asked = "optin/v1/assignment_service.proto"
    files = files_of(await ask(address, ServerReflectionRequest(file_by_filename=asked), service))
    assert sorted(file.name for file in files[1:]) == [
        "google/api/field_behavior.proto",
        "google/protobuf/any.proto",
        "google/protobuf/descriptor.proto",
        "google/protobuf/timestamp.proto",
        "google/rpc/status.proto",
        "optin/v1/access.proto",
        "optin/v1/resources.proto",
    ]
    assert files[0].name == asked
    assert any(
        "Puts contractors on jobs" in location.leading_comments for location in files[0].source_code_info.location
    )


@pytest.mark.parametrize("symbol", LISTED)
async def test_what_is_listed_can_be_built_from_one_answer(address: str, symbol: str) -> None:
    files = {
        file.name: file for file in files_of(await ask(address, ServerReflectionRequest(file_containing_symbol=symbol)))
    }
    pool = DescriptorPool()

    def build(name: str) -> None:
        file = files.pop(name, None)
        if file is not None:
            for imported in file.dependency:
                build(imported)
            pool.Add(file)

    build(next(iter(files)))
    assert not files
    assert pool.FindServiceByName(symbol).full_name == symbol


async def test_an_extension_is_found_by_its_number(address: str) -> None:
    field_behavior = ExtensionRequest(containing_type="google.protobuf.FieldOptions", extension_number=1052)
    response = await ask(address, ServerReflectionRequest(file_containing_extension=field_behavior))
    assert files_of(response)[0].name == "google/api/field_behavior.proto"


@pytest.mark.parametrize(
    ("message", "numbers"), [("google.protobuf.FieldOptions", [1052]), ("optin.v1.GetAssignmentRequest", [])]
)
async def test_the_extensions_of_a_message_are_numbered(address: str, message: str, numbers: list[int]) -> None:
    response = await ask(address, ServerReflectionRequest(all_extension_numbers_of_type=message))
    assert response.WhichOneof("message_response") == "all_extension_numbers_response"
    assert response.all_extension_numbers_response.base_type_name == message
    assert response.all_extension_numbers_response.extension_number == numbers


@pytest.mark.parametrize("service", REFLECTION)
@pytest.mark.parametrize(
    "request_",
    [
        ServerReflectionRequest(file_by_filename="optin/v1/nothing.proto"),
        ServerReflectionRequest(file_containing_symbol="optin.v1.AssignmentService.Nothing"),
        ServerReflectionRequest(file_containing_symbol="optin.v1"),
        ServerReflectionRequest(file_containing_symbol=""),
        ServerReflectionRequest(file_containing_symbol="a" * 1025),
        ServerReflectionRequest(file_by_filename="../" * 30_000),
        ServerReflectionRequest(file_containing_extension=ExtensionRequest(containing_type="nothing")),
        ServerReflectionRequest(
            file_containing_extension=ExtensionRequest(
                containing_type="google.protobuf.FieldOptions", extension_number=-1
            )
        ),
        ServerReflectionRequest(all_extension_numbers_of_type="optin.v1.AssignmentService"),
    ],
    ids=lambda request: str(request)[:60] if isinstance(request, ServerReflectionRequest) else request,
)
async def test_what_is_unknown_is_not_found(address: str, service: str, request_: ServerReflectionRequest) -> None:
    assert (await ask(address, request_, service)).error_response == NOT_FOUND


async def test_a_request_for_nothing_is_invalid(address: str) -> None:
    response = await ask(address, ServerReflectionRequest())
    assert response.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_what_is_not_found_does_not_end_the_stream(address: str) -> None:
    requests = [ServerReflectionRequest(file_containing_symbol=name).SerializeToString() for name in ("nothing", V1)]
    first, second = [ServerReflectionResponse.FromString(answer) async for answer in send(address, V1, *requests)]
    assert first.error_response == NOT_FOUND
    assert files_of(second)


@pytest.mark.parametrize("service", REFLECTION)
@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x22\x05opt", b"\x22\x02\xc3\x28"])  # the last is not UTF-8
async def test_bytes_that_do_not_parse_are_an_invalid_argument(address: str, service: str, raw: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _ = [answer async for answer in send(address, service, raw)]
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details() == "the request does not parse as a ServerReflectionRequest"


async def test_the_requests_of_a_stream_are_bounded(address: str) -> None:
    answers = send(address, V1, *[b""] * (REQUESTS_MAX + 1))
    for _ in range(REQUESTS_MAX):
        await anext(answers)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(answers)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
