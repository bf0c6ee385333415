"""A message as plain values, for parsing: only the fields that are set, so that unset and zero stay apart."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import resources_pb2 as pb

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799  # years 1 to 9999
NANOS_PER_SECOND = 1_000_000_000


def to_plain(message: Message) -> Any:
    """Messages become dicts, timestamps datetimes, field masks lists of paths, enums their numbers."""
    if isinstance(message, Timestamp):
        return to_datetime(message)
    if isinstance(message, FieldMask):
        return list(message.paths)
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def event_data(data: bytes) -> tuple[str, dict[str, Any]]:
    """What an event holds, from its bytes: the name of its field, and its plain values."""
    event = pb.Event.FromString(data)
    kind = event.WhichOneof("data") or ""
    return kind, to_plain(getattr(event, kind))


def to_datetime(time: Timestamp) -> datetime | None:
    """Truncated to microseconds; None when it is out of the type's own range."""
    seconds, nanos = time.seconds, time.nanos
    if not (FIRST_SECOND <= seconds <= LAST_SECOND and 0 <= nanos < NANOS_PER_SECOND):
        return None
    return EPOCH + timedelta(0, seconds, nanos // 1000)


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is None:
        return list(value) if field.is_repeated else value
    if field.message_type.GetOptions().map_entry:
        return dict(value)
    return [to_plain(item) for item in value] if field.is_repeated else to_plain(value)
