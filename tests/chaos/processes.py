"""Servers, carriers and clients of a chaos run."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc

from server.commands.fake_carrier import EXIT_CODE_OF_A_FAULT
from tests.server.process import OPTIN, environment
from tests.support.client import Client
from tests.support.ports import free_port

CRASHING = (sys.executable, str(Path(__file__).with_name("crashing_server.py")))
LISTENS = re.compile(rb"listens on (\S+):(\d+)\n.*\n  try ", re.DOTALL)
START_SECONDS = 60.0


class Process:
    """A command of ours, which writes into a file."""

    def __init__(self, log: Path, *command: str | Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                cwd=log.parent,
                env=environment(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def has_begun(self) -> bool:
        return self.runs and LISTENS.search(self.log.read_bytes()) is not None

    async def listens(self) -> str:
        """The address, once it does."""
        async with asyncio.timeout(START_SECONDS):
            while not (found := LISTENS.search(self.log.read_bytes())):
                if not self.runs:
                    raise AssertionError(f"it ended with {self.process.returncode}: {self.last_words()}")
                await asyncio.sleep(0.02)
        return f"{found[1].decode()}:{found[2].decode()}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return await asyncio.to_thread(self.process.wait, START_SECONDS)

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2_000:]


def optin_serve(log: Path, *arguments: str, env: Mapping[str, str] | None = None, crashing: bool = False) -> Process:
    command = CRASHING if crashing else (OPTIN,)
    return Process(log, *command, "serve", "--log-level", "warning", *arguments, env=env)


@asynccontextmanager
async def client_of(*targets: str) -> AsyncIterator[Client]:
    """Over one channel; with several targets, in turn."""
    address = targets[0] if len(targets) == 1 else f"ipv4:{','.join(targets)}"
    async with grpc.aio.insecure_channel(address, options=[("grpc.max_reconnect_backoff_ms", 300)]) as channel:
        yield Client(channel)


class Carrier:
    """`optin fake-carrier` on one port and one ledger, started again whenever it dies by itself."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ledger = folder / "ledger"
        self.port = free_port()
        self.deaths = 0
        self._process: Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def target(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    async def start(self, *arguments: str) -> None:
        """In place of the one that runs."""
        await self.stop()
        self._keeping = asyncio.create_task(self._keep(arguments))
        await self.listens()

    async def listens(self) -> None:
        async with asyncio.timeout(2 * START_SECONDS):
            while self._process is None or not self._process.has_begun:
                if self._keeping and self._keeping.done():
                    self._keeping.result()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._keeping:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._process:
            self._process.kill()
        self._process = None

    async def _keep(self, arguments: tuple[str, ...]) -> None:
        command = (str(OPTIN), "fake-carrier", "--port", str(self.port), "--ledger", str(self.ledger), *arguments)
        while True:
            self._process = Process(self.folder / "carrier.log", *command)
            code = await asyncio.to_thread(self._process.process.wait)
            if code != EXIT_CODE_OF_A_FAULT:
                raise AssertionError(f"the carrier ended with {code}: {self._process.last_words()}")
            self.deaths += 1


@asynccontextmanager
async def carried(folder: Path, *arguments: str) -> AsyncIterator[Carrier]:
    carrier = Carrier(folder)
    await carrier.start(*arguments)
    try:
        yield carrier
    finally:
        await carrier.stop()


@contextmanager
def killed_at_end(processes: list[Process]) -> Iterator[list[Process]]:
    """Whatever happens, none of them stays."""
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()


def plan_for(folder: Path) -> tuple[Path, dict[str, str]]:
    """Where the crashing server's plan is put, and its environment."""
    path = folder / "plan"
    path.unlink(missing_ok=True)
    return path, {"CHAOS_PLAN": str(path)}


def put(plan: Path, text: str) -> None:
    """In one step, so that nobody reads half of it."""
    draft = plan.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(plan)
