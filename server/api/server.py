"""The gRPC server: services, health, reflection and limits."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from optin.v1 import (
    application_session_service_pb2,
    assignment_service_pb2,
    contractor_service_pb2,
    job_service_pb2,
    policy_service_pb2,
)

from server.api.handler import Servicer, service_handler
from server.api.reflection import load_descriptor_set, reflection_handlers
from server.api.servicers.assignments import AssignmentService
from server.api.servicers.contractors import ContractorService
from server.api.servicers.jobs import JobService
from server.api.servicers.policies import PolicyService
from server.api.servicers.sessions import ApplicationSessionService
from server.service.calls import Calls

LARGEST_MESSAGE = 256 * 1024
LARGEST_METADATA = 16 * 1024

OPTIONS = (
    ("grpc.so_reuseport", 0),  # or a second server would share the port without a word
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    # Between a soft and a hard limit metadata is refused at random.
    ("grpc.max_metadata_size", LARGEST_METADATA),
    ("grpc.absolute_max_metadata_size", LARGEST_METADATA),
)

SERVICES: tuple[tuple[ServiceDescriptor, type[Servicer]], ...] = (
    (contractor_service_pb2.DESCRIPTOR.services_by_name["ContractorService"], ContractorService),
    (job_service_pb2.DESCRIPTOR.services_by_name["JobService"], JobService),
    (
        application_session_service_pb2.DESCRIPTOR.services_by_name["ApplicationSessionService"],
        ApplicationSessionService,
    ),
    (assignment_service_pb2.DESCRIPTOR.services_by_name["AssignmentService"], AssignmentService),
    (policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"], PolicyService),
)

Request = health_pb2.HealthCheckRequest
Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class PortTaken(Exception):
    """Another process listens on the address."""


class Health(health_pb2_grpc.HealthServicer):
    """grpc.health.v1.Health for "" and each service, which all serve or all do not: NOT_SERVING until told otherwise.

    Not the stock servicer: that one begins with SERVING, tells a second watcher of a service nothing more once the
    first has left, and never ends a watch, so that every stop would take its whole grace.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._services = frozenset(("", *services))
        self._serving = False
        self._stopped = False
        self._changed = asyncio.Condition()

    async def set(self, *, serving: bool) -> None:
        await self._change(serving=serving, stopped=False)

    async def stop(self) -> None:
        """NOT_SERVING for good; tells those who watch, and ends their calls."""
        await self._change(serving=False, stopped=True)

    async def Check(self, request: Request, context: Context) -> health_pb2.HealthCheckResponse:
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no service of this name.")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def Watch(self, request: Request, context: Context) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        told = None
        while True:
            async with self._changed:
                while not self._stopped and self._status(request.service) == told:
                    await self._changed.wait()
                status = self._status(request.service)
            if status == told:
                return
            yield health_pb2.HealthCheckResponse(status=status)
            told = status

    async def _change(self, *, serving: bool, stopped: bool) -> None:
        async with self._changed:
            self._stopped = self._stopped or stopped
            self._serving = serving and not self._stopped
            self._changed.notify_all()

    def _status(self, service: str) -> int:
        if service not in self._services:
            return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        if self._serving:
            return health_pb2.HealthCheckResponse.SERVING
        return health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcServer:
    def __init__(self, calls: Calls) -> None:
        names = [descriptor.full_name for descriptor, _ in SERVICES]
        self._calls = calls
        self._server = grpc.aio.server(options=OPTIONS)
        self._health = Health(names)
        handlers = [service_handler(descriptor, servicer(), calls) for descriptor, servicer in SERVICES]
        handlers += reflection_handlers(load_descriptor_set(), names)
        self._server.add_generic_rpc_handlers(tuple(handlers))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def bind(self, host: str, port: int) -> int:
        """The port, chosen by the kernel where it is 0. Raises PortTaken."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise PortTaken(address) from error

    async def start(self) -> None:
        await self._server.start()

    async def set_serving(self, serving: bool) -> None:
        await self._health.set(serving=serving)

    async def stop(self, grace_seconds: float) -> None:
        """NOT_SERVING first; calls in flight have this long to end."""
        await self._health.stop()
        await self._calls.turn_away()
        await self._server.stop(grace_seconds)
