"""What a call says of itself in its metadata, and who its caller is."""

import re
from typing import Any, NamedTuple

import grpc
from uuid_utils import uuid7

from server.api.statuses import CALL_ID
from server.api.tls import certificate_names
from server.domain.callers import Caller
from server.domain.observing import Metadata
from server.service.access import Access

AUTHORIZATION = "authorization"
PRINTABLE = re.compile(r"[\x21-\x7e]{1,64}")


class Told(NamedTuple):
    call_id: str  # the caller's, when it is one that can stand in a log; else a new one
    authorization: tuple[str, ...]
    certificates: tuple[str, ...]  # names in the one that it has shown
    metadata: Metadata


class Door:
    """Where callers are known, by their keys or certificates."""

    def __init__(self, access: Access, *, asks_for_certificates: bool) -> None:
        self.access = access
        self._asks_for_certificates = asks_for_certificates

    def told_by(self, context: grpc.aio.ServicerContext[Any, Any]) -> Told:
        call_id, authorization = "", []
        metadata = context.invocation_metadata() or ()
        for key, value in metadata:
            if key == CALL_ID and isinstance(value, str) and PRINTABLE.fullmatch(value):
                call_id = call_id or value
            elif key == AUTHORIZATION:
                authorization.append(str(value))
        names = certificate_names(context) if self._asks_for_certificates else ()
        return Told(call_id or str(uuid7()), tuple(authorization), names, metadata)

    def caller(self, told: Told) -> Caller:
        """Raises InvalidCredentials."""
        return self.access.caller(told.authorization, told.certificates)
