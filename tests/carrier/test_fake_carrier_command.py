"""`optin fake-carrier` as a process: it dies, and what it promised is there when it starts again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from server.carrier.fake import SERVICE, Method
from server.carrier.fake_ledger import Ledger, State
from server.domain.carrier import Bound, CarrierUnavailable, Declined, NotKnown
from tests.carrier.conftest import Connect
from tests.carrier.helpers import policy

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


class Command:
    """`optin fake-carrier` with these flags."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._out = folder / f"{time.monotonic_ns()}.out"
        with self._out.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from server.cli import app; app()", "fake-carrier", *flags],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'generated'}"},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._out.read_text()

    def port(self) -> int:
        """The port, once it serves there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "try " not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)
        return int(self.output.splitlines()[0].rpartition(":")[2])

    def end(self, signum: signal.Signals | None = None) -> int:
        """The exit code, after a signal or by itself."""
        if signum:
            self.process.send_signal(signum)
        return self.process.wait(PATIENCE_SECONDS)


class Starter:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.commands: list[Command] = []

    def __call__(self, *flags: str) -> Command:
        self.commands.append(Command(self._folder, *flags))
        return self.commands[-1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    for command in starter.commands:
        command.process.kill()
        command.process.wait()


async def test_the_ledger_outlives_every_death(start: Starter, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"

    killed = start("--port", "0", "--ledger", str(path))
    carrier = connect(killed.port())
    first = await carrier.bind(policy("1"))
    await carrier.void(policy("2"))
    assert isinstance(first, Bound)
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL

    after = start("--port", "0", "--ledger", str(path), "--fault", "dies-after")
    assert await connect(after.port()).bind(policy("3")) == NotKnown()
    assert after.end() == 70
    assert Ledger.read(path).live_bindings() == {"pl_1", "pl_3"}

    before = start("--port", "0", "--ledger", str(path), "--fault", "dies-before", "--method", "VoidBinding")
    carrier = connect(before.port())
    assert isinstance(await carrier.bind(policy("4")), Bound)
    with pytest.raises(CarrierUnavailable):
        await carrier.void(policy("3"))
    assert before.end() == 70
    assert Ledger.read(path).live_bindings() == {"pl_1", "pl_3", "pl_4"}
    assert Ledger.read(path).requests("pl_3", Method.VOID_BINDING) == 1

    last = start("--port", "0", "--ledger", str(path))
    carrier = connect(last.port())
    await carrier.void(policy("3"))
    assert await carrier.bind(policy("1")) == first
    assert await carrier.bind(policy("2")) == Declined()
    assert last.end(signal.SIGTERM) == 0

    ledger = Ledger.read(path)
    assert ledger.live_bindings() == {"pl_1", "pl_4"}
    assert ledger.duplicates() == {"pl_1": 1}
    entry = ledger.get("pl_2")
    assert entry
    assert entry.state is State.VOIDED


async def test_it_says_what_it_does_and_is_described(start: Starter) -> None:
    command = start("--port", "0", "--fault", "declines", "--share", "0.25", "--seed", "7")
    port = command.port()
    assert command.output.splitlines()[:4] == [
        f"optin fake-carrier listens on 127.0.0.1:{port}",
        "  fault   declines, share 0.25 of BindPolicy, seed 7",
        "  ledger  in memory",
        f"  try     grpcurl -plaintext 127.0.0.1:{port} describe {SERVICE}",
    ]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        requests = [ServerReflectionRequest(list_services="")]
        [answer] = [answer async for answer in ServerReflectionStub(channel).ServerReflectionInfo(requests)]
    assert SERVICE in [service.name for service in answer.list_services_response.service]
    assert command.end(signal.SIGINT) == 0


def test_what_it_cannot_do_it_says_in_a_sentence(start: Starter, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_text("not a ledger\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        commands = [
            start("--port", str(port)),
            start("--port", "0", "--ledger", str(damaged)),
            start("--port", "0", "--ledger", str(tmp_path / "no folder" / "ledger")),
        ]
        assert [command.end() for command in commands] == [1, 1, 1]
    sentences = [command.output.splitlines()[-1] for command in commands]
    assert sentences[0] == f"127.0.0.1:{port} is taken by another process; stop it, or choose another port with --port."
    assert sentences[1] == f"{damaged}, line 1 is no line of a ledger; choose another file with --ledger."
    assert sentences[2].startswith("The ledger cannot be used: ")
    assert len(commands[1].output.splitlines()) == 1
