"""Personal values, which the contract marks with `debug_redact`, taken out of messages.

`redacted` stands between a message and whatever is logged, traced or put into an error; where a person may have been
named in a field that is not marked, `in_a_line` hides that too.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from google.protobuf import descriptor_pool, text_format
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from server.domain.errors import LOOKS_LIKE_AN_ID
from server.domain.personal import MARK

M = TypeVar("M", bound=Message)

Hides = Callable[[FieldDescriptor, object], bool]
"""Whether a value of a field that is no message is hidden."""

MOST_CHARACTERS = 2_000  # of a message in a log
STATE = re.compile(r"[A-Z]{2}")


def redacted(message: M) -> M:
    """A copy in which marked texts are `[redacted]`, and marked numbers, flags and enums are not set."""
    return _copy(message, _is_marked)


def in_a_line(message: Message) -> str:
    """The message as text for a log, of a bounded length.

    Of texts only those are shown that have the form of an id or a state: what was sent as an id may be anything, a
    person's name too.
    """
    line = text_format.MessageToString(_copy(message, _may_name_a_person), as_one_line=True)
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]}..."


def _is_marked(field: FieldDescriptor, _: object) -> bool:
    return bool(field.GetOptions().debug_redact)


def _may_name_a_person(field: FieldDescriptor, value: object) -> bool:
    if isinstance(value, str):
        return _is_marked(field, value) or not (LOOKS_LIKE_AN_ID.fullmatch(value) or STATE.fullmatch(value))
    return _is_marked(field, value) or isinstance(value, bytes)


def _everything(_: FieldDescriptor, __: object) -> bool:
    return True


def _copy(message: M, hides: Hides) -> M:
    copy = type(message)()
    copy.CopyFrom(message)
    _hide(copy, hides)
    return copy


def _hide(message: Message, hides: Hides) -> None:
    if isinstance(message, Any):
        _hide_packed(message, hides)
        return
    for field, value in message.ListFields():
        inside = _everything if _is_marked(field, value) else hides
        if field.message_type is None:
            _hide_values(message, field, hides)
        elif field.message_type.GetOptions().map_entry:
            _hide_map(message, field, field.message_type, inside)
        else:
            for item in value if field.is_repeated else (value,):
                _hide(item, inside)


def _hide_values(message: Message, field: FieldDescriptor, hides: Hides) -> None:
    """Of a field that is no message."""
    value = getattr(message, field.name)
    if not field.is_repeated:
        if hides(field, value):
            message.ClearField(field.name)
            if (mark := _mark(value)) is not None:
                setattr(message, field.name, mark)
        return
    shown = [_mark(item) if hides(field, item) else item for item in value]
    message.ClearField(field.name)
    getattr(message, field.name).extend(item for item in shown if item is not None)


def _hide_map(message: Message, field: FieldDescriptor, entry: Descriptor, hides: Hides) -> None:
    """As a whole: a key may be as personal as what it stands for."""
    keys, values = entry.fields
    entries = getattr(message, field.name)
    has_messages = values.message_type is not None
    if any(hides(keys, key) or (not has_messages and hides(values, value)) for key, value in entries.items()):
        marks = [None if has_messages else _mark(part) for part in next(iter(entries.items()))]
        entries.clear()
        if None not in marks:
            entries[marks[0]] = marks[1]
    elif has_messages:
        for value in entries.values():
            _hide(value, hides)


def _hide_packed(packed: Any, hides: Hides) -> None:
    """What cannot be read is not shown."""
    try:
        inner = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(packed.TypeName()))()
        inner.ParseFromString(packed.value)
    except (KeyError, DecodeError):
        packed.Clear()
        return
    _hide(inner, hides)
    packed.value = inner.SerializeToString(deterministic=True)


def _mark(value: object) -> str | bytes | None:
    """What stands in a value's place; nothing for a number."""
    if isinstance(value, bytes):
        return MARK.encode()
    return MARK if isinstance(value, str) else None
