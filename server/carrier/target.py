"""Where a remote carrier is, as the setting names it."""

import re


def address_of(target: str) -> str:
    """The address in `grpc://host:port`. Raises ValueError."""
    match = re.fullmatch(r"grpc://((?:[\w.-]+|\[[\w:.]+\]):([0-9]{1,5}))", target)
    if not match or not 1 <= int(match[2]) <= 65535:
        raise ValueError("must be in-house or grpc://HOST:PORT")
    return match[1]
