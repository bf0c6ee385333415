"""The gRPC server: services, health, reflection and limits."""

from collections.abc import Sequence

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
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


class PortTaken(Exception):
    """Another process listens on the address."""


class Health:
    """Health for "" and each service: NOT_SERVING until told otherwise (the stock servicer begins with SERVING)."""

    def __init__(self, services: Sequence[str]) -> None:
        self._services = ("", *services)
        self.servicer = health.aio.HealthServicer()

    async def set(self, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self.servicer.set(service, status)


class GrpcServer:
    def __init__(self, calls: Calls) -> None:
        names = [descriptor.full_name for descriptor, _ in SERVICES]
        self._server = grpc.aio.server(options=OPTIONS)
        self._health = Health(names)
        handlers = [service_handler(descriptor, servicer(), calls) for descriptor, servicer in SERVICES]
        handlers += reflection_handlers(load_descriptor_set(), names)
        self._server.add_generic_rpc_handlers(tuple(handlers))
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._server)

    def bind(self, host: str, port: int) -> int:
        """The port, chosen by the kernel where it is 0. Raises PortTaken."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise PortTaken(address) from error

    async def start(self) -> None:
        await self._health.set(serving=False)
        await self._server.start()

    async def set_serving(self, serving: bool) -> None:
        await self._health.set(serving=serving)

    async def stop(self, grace_seconds: float) -> None:
        """NOT_SERVING first; calls in flight have this long to end."""
        await self._health.set(serving=False)
        await self._server.stop(grace_seconds)
