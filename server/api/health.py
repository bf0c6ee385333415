"""grpc.health.v1.Health."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

SERVICE = "grpc.health.v1.Health"
Response = health_pb2.HealthCheckResponse
Context = grpc.aio.ServicerContext[bytes, bytes]


class Health:
    """The health of each service, and of "": NOT_SERVING until told otherwise.

    Not the stock servicer: that one begins with SERVING, tells a second watcher of a service nothing more once the
    first has left, and never ends a watch, so that every stop would take its whole grace.
    """

    def __init__(self) -> None:
        self._serving: dict[str, bool] = {}
        self._stopped = False
        self._changed = asyncio.Condition()

    @property
    def handler(self) -> grpc.GenericRpcHandler:
        # No (de)serializer: what one raises would reach the caller as UNKNOWN, with the exception's text.
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Check": grpc.unary_unary_rpc_method_handler(self._check),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def set(self, services: Sequence[str], *, serving: bool) -> None:
        async with self._changed:
            self._serving |= dict.fromkeys(services, serving)
            self._changed.notify_all()

    async def stop(self) -> None:
        """NOT_SERVING for good; tells those who watch, and ends their calls."""
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()

    async def _check(self, raw: bytes, context: Context) -> bytes:
        service = await _service_of(raw, context)
        if service not in self._serving:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no service of this name.")
        return self._answer(self._status(service))

    async def _watch(self, raw: bytes, context: Context) -> AsyncIterator[bytes]:
        service = await _service_of(raw, context)
        told = None
        while True:
            async with self._changed:
                while not self._stopped and self._status(service) == told:
                    await self._changed.wait()
                status = self._status(service)
            if status == told:
                return
            yield self._answer(status)
            told = status

    @staticmethod
    def _answer(status: int) -> bytes:
        return Response(status=status).SerializeToString()

    def _status(self, service: str) -> int:
        if service not in self._serving:
            return Response.SERVICE_UNKNOWN
        return Response.SERVING if self._serving[service] and not self._stopped else Response.NOT_SERVING


async def _service_of(raw: bytes, context: Context) -> str:
    try:
        return health_pb2.HealthCheckRequest.FromString(raw).service
    except DecodeError:
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT, "The request does not parse as grpc.health.v1.HealthCheckRequest."
        )
