"""The gRPC server: services, health, reflection and limits."""

import asyncio

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from optin.v1 import (
    application_session_service_pb2,
    assignment_service_pb2,
    contractor_service_pb2,
    event_service_pb2,
    job_service_pb2,
    policy_service_pb2,
    quote_service_pb2,
)

from server.api import limits
from server.api.door import Door
from server.api.handler import Servicer, method_handlers
from server.api.health import Health
from server.api.methods import Methods
from server.api.reflection import load_descriptor_set, reflection_handlers
from server.api.servicers.assignments import AssignmentService
from server.api.servicers.contractors import ContractorService
from server.api.servicers.events import EventService
from server.api.servicers.jobs import JobService
from server.api.servicers.policies import PolicyService
from server.api.servicers.quotes import QuoteService
from server.api.servicers.sessions import ApplicationSessionService
from server.api.tls import Certificates
from server.domain.observing import UNOBSERVED, Observer
from server.service.calls import Calls
from server.service.gate import Gate

SERVICES: tuple[tuple[ServiceDescriptor, type[Servicer]], ...] = (
    (contractor_service_pb2.DESCRIPTOR.services_by_name["ContractorService"], ContractorService),
    (job_service_pb2.DESCRIPTOR.services_by_name["JobService"], JobService),
    (
        application_session_service_pb2.DESCRIPTOR.services_by_name["ApplicationSessionService"],
        ApplicationSessionService,
    ),
    (assignment_service_pb2.DESCRIPTOR.services_by_name["AssignmentService"], AssignmentService),
    (policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"], PolicyService),
    (quote_service_pb2.DESCRIPTOR.services_by_name["QuoteService"], QuoteService),
    (event_service_pb2.DESCRIPTOR.services_by_name["EventService"], EventService),
)

NAMES = tuple(descriptor.full_name for descriptor, _ in SERVICES)
CARRIER = "optin.carrier.v1.CarrierService"


class PortTaken(Exception):
    """Another process listens on the address. `flag`: the one that chooses the port."""

    def __init__(self, address: str, *, flag: str = "--port") -> None:
        super().__init__(address)
        self.flag = flag


def address_of(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bound(
    server: grpc.aio.Server, host: str, port: int, certificates: Certificates | None = None, *, flag: str = "--port"
) -> int:
    address = address_of(host, port)
    try:
        if certificates is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, certificates.credentials())
    except RuntimeError as error:
        raise PortTaken(address, flag=flag) from error


class GrpcServer:
    def __init__(
        self,
        *,
        share_port: bool,
        calls_in_flight: int,
        observer: Observer = UNOBSERVED,
        certificates: Certificates | None = None,
    ) -> None:
        """`certificates`: of TLS; without them, whatever is sent can be read on the way."""
        self._options = (*limits.OPTIONS, ("grpc.so_reuseport", int(share_port)))
        self._server = grpc.aio.server(options=self._options)
        self._health_server: grpc.aio.Server | None = None  # answers health only
        self._certificates = certificates
        self.gate = Gate(calls_in_flight)
        self._observer = observer
        self._health = Health()
        self._server.add_generic_rpc_handlers((self._health.handler,))

    def offer(self, calls: Calls) -> None:
        """The services, over these use cases."""
        asks = self._certificates is not None and self._certificates.ask_clients
        door = Door(calls.access, asks_for_certificates=asks)
        methods = Methods()
        for service, servicer in SERVICES:
            methods.add(service.full_name, method_handlers(service, servicer(), calls, self.gate, door, self._observer))
        reflection = reflection_handlers(load_descriptor_set(), NAMES, door)
        self._server.add_generic_rpc_handlers((methods, *reflection))

    @property
    def calls_in_flight(self) -> int:
        return self.gate.inside

    def bind(self, host: str, port: int) -> int:
        """The port, chosen by the kernel where it is 0. Raises PortTaken, BadCertificates."""
        return _bound(self._server, host, port, self._certificates)

    def bind_health(self, host: str, port: int) -> int:
        """A port for health alone, in the clear. Raises PortTaken.

        It has a queue of its own: what gRPC refuses by itself under a flood are calls of any kind, health checks too.
        """
        self._health_server = grpc.aio.server(options=self._options)
        self._health_server.add_generic_rpc_handlers((self._health.handler,))
        return _bound(self._health_server, host, port, flag="--health-port")

    async def start(self) -> None:
        await self.set_serving(False)
        for server in self._servers:
            await server.start()

    async def set_serving(self, serving: bool) -> None:
        await self._health.set(("", *NAMES), serving=serving)

    def set_carrier_available(self, available: bool) -> None:
        """The health of the carrier's service name, which is there only where a remote carrier is used."""
        # The carrier's client tells without waiting; the reference keeps the task until it has run.
        self._telling = asyncio.ensure_future(self._health.set([CARRIER], serving=available))

    async def stop(self, grace_seconds: float) -> None:
        """NOT_SERVING first; calls in flight have this long to end."""
        await self.turn_away()
        await self.finish(grace_seconds)

    async def turn_away(self) -> None:
        """NOT_SERVING, and no more calls pass the gate, which another face may share."""
        await self._health.stop()
        await self.gate.turn_away()

    async def finish(self, grace_seconds: float) -> None:
        await asyncio.gather(*(server.stop(grace_seconds) for server in self._servers))

    @property
    def _servers(self) -> list[grpc.aio.Server]:
        return [self._server] if self._health_server is None else [self._server, self._health_server]
