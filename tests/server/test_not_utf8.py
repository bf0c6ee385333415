"""Paths and metadata that are not UTF-8, which only a hand-made client sends: everybody else is served as before."""

from pathlib import Path

import grpc

from tests.chaos.hostile_wire import LIE_SECONDS, Header, Wire, abuse, framed, headers
from tests.server.process import served
from tests.support.client import Client

METHOD = "optin.v1.JobService/ListJobs"
ODD: tuple[Header, ...] = (
    (b":path", b"/optin.v1.JobService/\xff"),  # grpcio 1.84 and 1.85 stop serving altogether
    (b"authorization", b"Bearer c4nary\xff"),  # logged by gRPC, with a traceback
)


async def test_nobody_else_notices_and_nothing_of_it_is_logged(tmp_path: Path) -> None:
    async def send(wire: Wire) -> None:
        wire.begin()
        for odd in ODD:
            wire.call(headers(METHOD, odd), framed(b""))
        wire.send()
        await wire.answers(LIE_SECONDS)

    with served(tmp_path) as server:
        await abuse(server.target, send)
        async with grpc.aio.insecure_channel(server.target) as channel:
            assert (await Client(channel).contractor()).id
        assert server.end() == 0
        assert server.stderr == ""
        assert "c4nary" not in server.stdout
