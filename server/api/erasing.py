"""What was answered and told about a contractor, as it is stored, without what is personal.

Stored bytes have no type beside them. An event says itself what it is about; a response to a change is one resource,
whose id comes first and has the prefix of its kind.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import quote_service_pb2 as quotes_pb
from optin.v1 import resources_pb2 as pb

from server.api.redact import redacted

ABOUT_A_CONTRACTOR: Mapping[str, type[Message]] = {
    "cn": contractors_pb.CreateContractorResponse,
    "ias": sessions_pb.CreateApplicationSessionResponse,
    "qt": quotes_pb.CreateQuoteResponse,
    "pl": policies_pb.CancelPolicyResponse,
    "an": assignments_pb.CreateAssignmentResponse,
}
"""By the prefix of the resource's id, one of the responses that have it: what others have besides is kept as it is."""


def erased_event(data: bytes, contractor: str) -> bytes:
    """What an event is about; as it was, when that is another contractor's."""
    return _erased(pb.Event.FromString(data), contractor)


def erased_response(body: bytes, contractor: str) -> bytes:
    """A response to a change; as it was, when it is about another contractor or none."""
    if contractor.encode() not in body:
        return body
    prefix = _first(_first(body)).partition(b"_")[0].decode()
    kind = ABOUT_A_CONTRACTOR.get(prefix)
    return body if kind is None else _erased(kind.FromString(body), contractor)


def _erased(message: Message, contractor: str) -> bytes:
    for field, value in message.ListFields():
        if field.message_type is not None and not field.is_repeated and _is_about(value, contractor):
            value.CopyFrom(redacted(value))
    return message.SerializeToString(deterministic=True)


def _is_about(resource: Message, contractor: str) -> bool:
    if isinstance(resource, pb.Contractor):
        return resource.id == contractor
    return bool(getattr(resource, "contractor", "") == contractor)


def _first(message: bytes) -> bytes:
    """What the message's field 1 holds, which is a message or a text."""
    fields: Any = UnknownFieldSet(Empty.FromString(message))  # its types do not know that it is a sequence
    data: bytes = next(field.data for field in fields if field.field_number == 1)
    return data
