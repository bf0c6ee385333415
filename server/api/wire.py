"""Bytes put together by hand, where a message would only be taken apart and made again.

https://protobuf.dev/programming-guides/encoding/#structure
"""

from functools import lru_cache

from google.protobuf.descriptor import FieldDescriptor

LENGTH_DELIMITED = 2


def tag(field: FieldDescriptor) -> bytes:
    """What stands before a field that holds a message."""
    return _varint(field.number << 3 | LENGTH_DELIMITED)


def sized(message: bytes) -> bytes:
    """A message's bytes behind their length, as its field's tag is followed by."""
    return _varint(len(message)) + message


@lru_cache(1_000)
def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
