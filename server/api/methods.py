"""The methods that a server offers, each found at once by its path.

gRPC asks its handlers one after the other, and makes a call's metadata anew whenever it is asked for it: here it is
kept as it was made to find the method.
"""

from collections.abc import Mapping
from contextvars import ContextVar

import grpc

from server.domain.observing import Metadata

METADATA: ContextVar[Metadata] = ContextVar("metadata")
"""Of the call whose task asks for it."""


class Methods(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self._by_path: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}

    def add(self, service: str, methods: "Mapping[str, grpc.RpcMethodHandler[bytes, bytes]]") -> None:
        """`service`: its full name."""
        self._by_path |= {f"/{service}/{name}": handler for name, handler in methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """Called in the call's own task, whose context its handler has too."""
        METADATA.set(handler_call_details.invocation_metadata or ())
        return self._by_path.get(handler_call_details.method)
