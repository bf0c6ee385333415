"""grpc.health.v1.Health."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Request = health_pb2.HealthCheckRequest
Response = health_pb2.HealthCheckResponse
Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class Health(health_pb2_grpc.HealthServicer):
    """The health of each service, and of "": NOT_SERVING until told otherwise.

    Not the stock servicer: that one begins with SERVING, tells a second watcher of a service nothing more once the
    first has left, and never ends a watch, so that every stop would take its whole grace.
    """

    def __init__(self) -> None:
        self._serving: dict[str, bool] = {}
        self._stopped = False
        self._changed = asyncio.Condition()

    async def set(self, services: Sequence[str], *, serving: bool) -> None:
        async with self._changed:
            self._serving |= dict.fromkeys(services, serving)
            self._changed.notify_all()

    async def stop(self) -> None:
        """NOT_SERVING for good; tells those who watch, and ends their calls."""
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()

    async def Check(self, request: Request, context: Context) -> Response:
        if request.service not in self._serving:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no service of this name.")
        return Response(status=self._status(request.service))

    async def Watch(self, request: Request, context: Context) -> AsyncIterator[Response]:
        told = None
        while True:
            async with self._changed:
                while not self._stopped and self._status(request.service) == told:
                    await self._changed.wait()
                status = self._status(request.service)
            if status == told:
                return
            yield Response(status=status)
            told = status

    def _status(self, service: str) -> int:
        if service not in self._serving:
            return Response.SERVICE_UNKNOWN
        return Response.SERVING if self._serving[service] and not self._stopped else Response.NOT_SERVING
