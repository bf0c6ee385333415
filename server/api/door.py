"""What a call says of itself in its metadata, and who its caller is."""

from typing import Any

import grpc

from server.api.methods import METADATA
from server.api.tls import certificate_names
from server.domain.callers import Caller
from server.domain.observing import Metadata
from server.domain.record import record
from server.service import roles
from server.service.access import Access
from server.service.call_log import CALL_ID, loggable, new_call_id

AUTHORIZATION = "authorization"


@record(frozen=True, slots=True)
class Told:
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
        metadata = METADATA.get()
        for key, value in metadata:
            if key == CALL_ID and isinstance(value, str):
                call_id = call_id or loggable(value)
            elif key == AUTHORIZATION:
                authorization.append(str(value))
        names = certificate_names(context) if self._asks_for_certificates else ()
        return Told(call_id or new_call_id(), tuple(authorization), names, metadata)

    def caller(self, told: Told, method: str) -> Caller:
        """Raises InvalidCredentials, RoleNotAllowed."""
        caller = self.access.caller(told.authorization, told.certificates)
        roles.require(caller, method)
        return caller
