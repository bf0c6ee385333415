"""Every method of the API, from the descriptors, and request bytes made from them."""

from collections.abc import Iterator
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import (
    application_session_service_pb2,
    assignment_service_pb2,
    contractor_service_pb2,
    event_service_pb2,
    job_service_pb2,
    policy_service_pb2,
    quote_service_pb2,
)

FILES = (
    contractor_service_pb2,
    job_service_pb2,
    application_session_service_pb2,
    assignment_service_pb2,
    policy_service_pb2,
    quote_service_pb2,
    event_service_pb2,
)
METHODS: dict[str, MethodDescriptor] = {
    f"{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def _requires_nothing(message: Descriptor) -> bool:
    behaviours = [field.GetOptions().Extensions[field_behavior_pb2.field_behavior] for field in message.fields]
    return all(field_behavior_pb2.REQUIRED not in behaviour for behaviour in behaviours)


LISTS = [name for name, method in METHODS.items() if "/List" in name and _requires_nothing(method.input_type)]
"""Those that list the platform's: the decisions about one assignment are no such list."""

Path = tuple[FieldDescriptor, ...]


def request_of(method: str) -> Message:
    request: Message = GetMessageClass(METHODS[method].input_type)()
    return request


def leaves(message: Descriptor) -> Iterator[Path]:
    """The way to each field of a request that is not a message, and to each timestamp."""
    for field in message.fields:
        inner = field.message_type
        if inner is None or inner.full_name == Timestamp.DESCRIPTOR.full_name:
            yield (field,)
        else:
            yield from ((field, *rest) for rest in leaves(inner))


def encoded(path: Path, value: bytes) -> bytes:
    """A message in which this string or bytes field, messages deep, is `value`, UTF-8 or not."""
    for field in reversed(path):
        value = encoded_field(field.number, value)
    return value


def encoded_field(number: int, value: bytes) -> bytes:
    """A field that has a length: a string, bytes or a message."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def filled(method: str, text: str, number: int, time: Timestamp) -> Message:
    """A request whose every field is set: strings to `text`, enums and numbers to `number`; of a oneof, the last."""
    request = request_of(method)
    _fill(request, text, number, time)
    return request


def _fill(message: Any, text: str, number: int, time: Timestamp) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)[text] = text
        elif field.message_type is not None and field.is_repeated:
            _fill(getattr(message, field.name).add(), text, number, time)
        elif isinstance(getattr(message, field.name), Timestamp):
            getattr(message, field.name).CopyFrom(time)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            _fill(getattr(message, field.name), text, number, time)
        else:
            value = {FieldDescriptor.CPPTYPE_STRING: text, FieldDescriptor.CPPTYPE_BOOL: True}.get(
                field.cpp_type, number
            )
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
