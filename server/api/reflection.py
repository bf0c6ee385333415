"""Server reflection, v1 and v1alpha, over the committed descriptor set.

Not the stock servicer: that one offers v1alpha only, finds no methods, and has no comments, since Python keeps none
in its descriptors.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import grpc
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

from server.api.door import Door
from server.api.statuses import abort
from server.domain.errors import InvalidCredentials

HEALTH = "grpc.health.v1.Health"
# The messages of the two are the same on the wire, so that one method serves both.
REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")

# A client asks a few dozen times; without an end, one stream could keep the server sending files.
REQUESTS_MAX = 1_000

Context = grpc.aio.ServicerContext[bytes, bytes]


def load_descriptor_set() -> bytes:
    """The descriptor set of the stubs that are installed, with their imports and comments."""
    return files("optin.v1").joinpath("optin.binpb").read_bytes()


def reflection_handlers(
    descriptor_set: bytes, served: Sequence[str], door: Door | None = None
) -> list[grpc.GenericRpcHandler]:
    """Handlers that list these services, health and reflection, and describe all that the set declares.

    Any key opens the door; without one, it is open. The set has to contain the imports of its files.
    """
    listed = tuple(dict.fromkeys((*served, HEALTH, *REFLECTION)))
    # No (de)serializer: what one raises would reach the client as UNKNOWN, with the exception's text.
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
        _Reflection(_declared(descriptor_set), listed, door).info
    )
    return [grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": handler}) for service in REFLECTION]


class _Reflection:
    def __init__(self, declarations: "_Declarations", listed: Sequence[str], door: Door | None) -> None:
        self._declarations = declarations
        self._door = door
        self._listed = pb.ListServiceResponse(service=[pb.ServiceResponse(name=name) for name in listed])

    async def info(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        if self._door is not None:
            told = self._door.told_by(context)
            try:
                self._door.access.caller(told.authorization, told.certificates)
            except InvalidCredentials as error:
                await abort(context, error, told.call_id)
        count = 0
        async for raw in requests:
            count += 1
            if count > REQUESTS_MAX:
                await context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED, f"a stream may carry {REQUESTS_MAX} requests; open another"
                )
            try:
                request = pb.ServerReflectionRequest.FromString(raw)
            except DecodeError:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, "the request does not parse as a ServerReflectionRequest"
                )
            yield self._answer(request).SerializeToString()

    def _answer(self, request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        """The answer; to ask for what does not exist fails the request, not the stream."""
        response = pb.ServerReflectionResponse(valid_host=request.host, original_request=request)
        known = self._declarations
        # Names are looked up, never parsed: one of any length costs no more than another.
        match request.WhichOneof("message_request"):
            case "list_services":
                response.list_services_response.CopyFrom(self._listed)
            case "file_by_filename":
                _give_file(response, known.files.get(request.file_by_filename))
            case "file_containing_symbol":
                _give_file(response, known.symbols.get(request.file_containing_symbol))
            case "file_containing_extension":
                asked = request.file_containing_extension
                of_type = known.extensions.get(asked.containing_type, {})
                _give_file(response, of_type.get(asked.extension_number))
            case "all_extension_numbers_of_type":
                _give_numbers(response, known.extensions.get(request.all_extension_numbers_of_type))
            case _:
                _give_error(response, grpc.StatusCode.INVALID_ARGUMENT, "the request asks for nothing")
        return response


def _give_file(response: pb.ServerReflectionResponse, found: Sequence[bytes] | None) -> None:
    if found is None:
        _give_error(response, grpc.StatusCode.NOT_FOUND, "not found")
    else:
        response.file_descriptor_response.file_descriptor_proto.extend(found)


def _give_numbers(response: pb.ServerReflectionResponse, found: Iterable[int] | None) -> None:
    if found is None:
        _give_error(response, grpc.StatusCode.NOT_FOUND, "not found")
    else:
        numbers = response.all_extension_numbers_response
        numbers.base_type_name = response.original_request.all_extension_numbers_of_type
        numbers.extension_number.extend(sorted(found))


def _give_error(response: pb.ServerReflectionResponse, code: grpc.StatusCode, text: str) -> None:
    response.error_response.error_code = code.value[0]
    response.error_response.error_message = text


class _Declarations:
    """All that some files declare. A file stands for itself and its imports, serialized, itself first."""

    def __init__(self, protos: Mapping[str, FileDescriptorProto]) -> None:
        serialized = {name: proto.SerializeToString() for name, proto in protos.items()}
        self.files = {name: [serialized[part] for part in _with_imports(name, protos)] for name in protos}
        self.symbols: dict[str, Sequence[bytes]] = {}
        self.extensions: dict[str, dict[int, Sequence[bytes]]] = {}  # of every message, be it empty
        for proto in protos.values():
            self._add_file(proto)

    def _add_file(self, proto: FileDescriptorProto) -> None:
        file = self.files[proto.name]
        scope = f"{proto.package}." if proto.package else ""
        self._add_extensions(scope, proto.extension, file)
        self._add_enums(scope, proto.enum_type, file)
        for message in proto.message_type:
            self._add_message(scope, message, file)
        for service in proto.service:
            self.symbols[scope + service.name] = file
            for method in service.method:
                self.symbols[f"{scope}{service.name}.{method.name}"] = file

    def _add_message(self, scope: str, message: DescriptorProto, file: Sequence[bytes]) -> None:
        name = scope + message.name
        self.symbols[name] = file
        self.extensions.setdefault(name, {})
        for field in message.field:
            self.symbols[f"{name}.{field.name}"] = file
        for oneof in message.oneof_decl:
            self.symbols[f"{name}.{oneof.name}"] = file
        self._add_extensions(f"{name}.", message.extension, file)
        self._add_enums(f"{name}.", message.enum_type, file)
        for nested in message.nested_type:
            self._add_message(f"{name}.", nested, file)

    def _add_extensions(self, scope: str, added: Iterable[FieldDescriptorProto], file: Sequence[bytes]) -> None:
        for extension in added:
            self.symbols[scope + extension.name] = file
            self.extensions.setdefault(extension.extendee.removeprefix("."), {})[extension.number] = file

    def _add_enums(self, scope: str, enums: Iterable[EnumDescriptorProto], file: Sequence[bytes]) -> None:
        for enum in enums:
            self.symbols[scope + enum.name] = file
            for value in enum.value:
                self.symbols[scope + value.name] = file  # protobuf scopes a value as its enum's sibling


@cache
def _declared(descriptor_set: bytes) -> _Declarations:
    """By the set, with health and reflection; made once, since a process may start many servers, as tests do."""
    ours = FileDescriptorSet.FromString(descriptor_set).file
    return _Declarations({proto.name: proto for proto in (*_files_of_packages(), *ours)})


def _with_imports(name: str, protos: Mapping[str, FileDescriptorProto]) -> Iterable[str]:
    """The file, then all that it imports, each once."""
    found = {name: None}
    waiting = [name]
    while waiting:
        new = [imported for imported in protos[waiting.pop()].dependency if imported not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return found


def _files_of_packages() -> Iterable[FileDescriptorProto]:
    """The files of health and reflection, without comments, as the packages that serve them bring them."""
    yield FileDescriptorProto.FromString(health_pb2.DESCRIPTOR.serialized_pb)
    v1alpha = FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    yield v1alpha
    # No package has v1, which differs from v1alpha in that word alone.
    v1 = FileDescriptorProto()
    text_format.Parse(text_format.MessageToString(v1alpha).replace("v1alpha", "v1"), v1)
    yield v1
