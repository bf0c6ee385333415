"""Lists: keyset pages, newest first, with opaque tokens bound to the filters they were made with (spec 2)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from server.domain.errors import InvalidPageToken
from server.domain.ports import Page

T = TypeVar("T")

Place = str | Page
"""The token of the page before; or the page itself, which its caller knows by its ids and which has no next."""

DEFAULT_SIZE = 50
LARGEST_SIZE = 200
DIGEST_BYTES = 9
ID = re.compile(r"[a-z]{2,3}_[0-9A-Z]{26}")
NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def paged(
    fetch: Callable[[Page], Sequence[T]],
    key: Callable[[T], str],
    *,
    size: int,
    token: Place,
    bound_to: Sequence[object],
    key_form: re.Pattern[str] = ID,
) -> tuple[list[T], str]:
    """A page and the token of the next, empty when this is the last.

    `size`: 0 is the default, more than the largest is the largest. Raises InvalidPageToken.
    """
    if isinstance(token, Page):
        return list(fetch(token)), ""
    size = min(size or DEFAULT_SIZE, LARGEST_SIZE)
    digest = hashlib.sha256(repr(bound_to).encode()).digest()[:DIGEST_BYTES]
    items = list(fetch(Page(size + 1, _last_key(token, digest, key_form))))
    if len(items) <= size:
        return items, ""
    return items[:size], base64.urlsafe_b64encode(digest + key(items[size - 1]).encode()).decode()


def _last_key(token: str, digest: bytes, form: re.Pattern[str]) -> str:
    if not token:
        return ""
    try:
        content = base64.b64decode(token, altchars=b"-_", validate=True)
        last = content[DIGEST_BYTES:].decode("ascii")
    except (ValueError, binascii.Error):
        raise InvalidPageToken from None
    if content[:DIGEST_BYTES] != digest or not form.fullmatch(last):
        raise InvalidPageToken
    return last
