"""Responses as they are kept for repeats: JSON behind a mark that no protobuf message begins with."""

MARK = b"\0"  # a field of the number 0, which there is not


def packed(body: bytes) -> bytes:
    return MARK + body


def is_ours(response: bytes) -> bool:
    return response.startswith(MARK)


def unpacked(response: bytes) -> bytes:
    return response.removeprefix(MARK)
