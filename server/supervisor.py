"""`optin serve --workers N`: N processes on one port, each started again when it dies.

Between the supervisor and each worker there is one pair of sockets, the worker's standard input. The worker reads its
settings there, tells that it serves, and stops when the other end closes: however the supervisor ends, nothing is
left. Its own end tells the supervisor that the worker is gone.
"""

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from server.api.server import PortTaken, address_of
from server.app import GRACE_SECONDS, Running, certificates_of, running
from server.config import Settings
from server.storage import schema

log = structlog.get_logger()

# -P: what lies in the folder where the server was started is not imported.
COMMAND = (sys.executable, "-P", "-m", "server.cli", "worker")
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # by this variable prometheus_client finds it, in each worker
LIVED_SECONDS = 10.0  # one that dies earlier is started again after a pause
SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
STOP_MARGIN_SECONDS = 20.0  # over what a worker gives its calls and its carrier


class WorkersFailed(Exception):
    """They could not start, or did not stop as they should; they have said why."""


@asynccontextmanager
async def supervised(settings: Settings) -> AsyncIterator[Running]:
    """As `app.running`, in `settings.workers` processes.

    Raises StorageUnavailable, SchemaTooNew, SchemaTooOld, PortTaken, BadCertificates, WorkersFailed.
    """
    if certificates := certificates_of(settings):
        certificates.check()  # said once here, rather than by each worker
    await schema.check(settings.url)
    async with AsyncExitStack() as stack:
        port = stack.enter_context(held(settings.host, settings.port))
        settings = settings.model_copy(update={"port": port})
        for name, wanted in (("http_port", settings.http_port), ("health_port", settings.health_port)):
            if wanted is not None:
                flag = f"--{name.replace('_', '-')}"
                other = stack.enter_context(held(settings.host, wanted, flag=flag))
                settings = settings.model_copy(update={name: other})
        counted = await stack.enter_async_context(counting(settings))
        workers = [Worker(number, settings, counted) for number in range(1, settings.workers + 1)]
        tasks = [asyncio.create_task(worker.keep()) for worker in workers]
        try:
            if not any(await asyncio.gather(*(worker.came_up for worker in workers))):
                raise WorkersFailed
            yield Running(port, counted.port, settings.http_port, settings.health_port)
        finally:
            for worker in workers:
                worker.stop()
            patience = GRACE_SECONDS + settings.carrier_timeout.total_seconds() + STOP_MARGIN_SECONDS
            await asyncio.wait(tasks, timeout=patience)
            for worker in workers:
                worker.kill()
            codes = await asyncio.gather(*tasks)
    if any(code not in (0, -signal.SIGTERM) for code in codes):  # SIGTERM: it had not begun to serve
        log.error("not every worker stopped as it should", codes=codes)
        raise WorkersFailed


@dataclass(frozen=True, slots=True)
class Counted:
    """Where the workers write what they count, and where the sums are read; neither if nobody wants them."""

    folder: Path | None = None
    port: int | None = None


NOT_COUNTED = Counted()


@asynccontextmanager
async def counting(settings: Settings) -> AsyncIterator[Counted]:
    """Raises PortTaken."""
    if settings.metrics_port is None:
        yield NOT_COUNTED
        return
    from server.metrics import sums_in  # not imported where it is not used: it takes its time
    from server.scraping import scraped

    with TemporaryDirectory(prefix="optin-metrics-", ignore_cleanup_errors=True) as folder:
        async with scraped(sums_in(Path(folder)), settings.host, settings.metrics_port) as port:
            yield Counted(Path(folder), port)


@contextmanager
def held(host: str, port: int, *, flag: str = "--port") -> Iterator[int]:
    """The port, which nobody had and on which from now on only our workers can listen. Raises PortTaken.

    The sockets are bound like those of a server that is alone, and only then open the port to others of the same user
    that ask to share it. They never listen, so that no connection comes to them.
    """
    taken = PortTaken(address_of(host, port), flag=flag)
    with ExitStack() as stack:
        holders: list[socket.socket] = []
        try:
            for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
                holder = _holder(family, (address[0], port, *address[2:]))
                if holder is not None:
                    holders.append(stack.enter_context(holder))
                    port = holder.getsockname()[1]
        except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
            raise taken from error
        if not holders:
            raise taken
        yield port


def _holder(family: int, address: tuple[object, ...]) -> socket.socket | None:
    """None for an address that this machine has not: `localhost` often has one such among others."""
    with ExitStack() as stack:
        try:
            holder = stack.enter_context(socket.socket(family))
            _bind(holder, address)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                return None
            raise
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stack.pop_all()
        return holder


def _bind(holder: socket.socket, address: tuple[object, ...]) -> None:
    try:
        holder.bind(address)
    except OSError:
        # Connections of a server that has just stopped keep its port for a minute from those who do not say this;
        # from one who says it, a listener still does. Taken back, so that the same holds for who comes next.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(address)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


class Worker:
    """The workers of one number: a process, and after its death the next."""

    def __init__(self, number: int, settings: Settings, counted: Counted = NOT_COUNTED) -> None:
        self._number = number
        self._folder = counted.folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = asyncio.Event()
        self.came_up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()  # the first of them

    async def keep(self) -> int:
        """Until `stop`; the exit code of the last, below 0 the signal that it died of."""
        code, pause = 0, 0.0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                code = await self._live()
            except Exception:
                log.exception("a worker cannot be started", worker=self._number)
                code = 1
            if not self.came_up.done():
                self.came_up.set_result(False)
            if self._stopping.is_set():
                return code
            lived = time.monotonic() - began >= LIVED_SECONDS
            pause = 0.0 if lived else min(max(2 * pause, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            log.warning("a worker ended, and is started again", worker=self._number, code=code, in_seconds=pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
        return 0

    def stop(self) -> None:
        """It finishes its calls first."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def _live(self) -> int:
        """One process, to its end: its exit code."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                ours.sendall(_written(self._number, self._settings))
                self._process = process = _spawned(theirs, self._folder)
            ours.setblocking(False)
            with suppress(ConnectionError):  # it died before it had read
                while await asyncio.get_running_loop().sock_recv(ours, 1):
                    self._is_up(process.pid)
            code = await asyncio.to_thread(process.wait)
        if self._folder is not None:
            from server.metrics import ended

            ended(self._number, self._folder)
        return code

    def _is_up(self, pid: int) -> None:
        if self.came_up.done():
            log.info("a worker was started again", worker=self._number, pid=pid)
        else:
            self.came_up.set_result(True)


def _spawned(line: socket.socket, folder: Path | None) -> subprocess.Popen[bytes]:
    environment = os.environ if folder is None else {**os.environ, METRICS_FOLDER: str(folder)}
    # In a session of its own: Ctrl-C comes to the supervisor alone, which tells the workers.
    return subprocess.Popen(COMMAND, stdin=line.fileno(), start_new_session=True, env=environment)  # noqa: S603


def _written(number: int, settings: Settings) -> bytes:
    return json.dumps({"worker": number, "settings": settings.model_dump(mode="json")}).encode() + b"\n"


def employed() -> tuple[int, Settings, socket.socket]:
    """In the worker: its number, its settings, and its line to the supervisor. Raises OSError where there is none."""
    line = socket.socket(fileno=0)
    with line.makefile("rb") as file:
        told = json.loads(file.readline())
    number, settings = told["worker"], Settings(**told["settings"])
    if settings.metrics_port is not None:
        from server.metrics import write_as

        write_as(number)
    return number, settings, line


async def work(settings: Settings, line: socket.socket) -> None:
    """Serves until it is told to stop, or nobody is left to tell it. Raises as `running`."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with running(settings, share_port=True):
        line.setblocking(False)
        with suppress(OSError):
            line.send(b"\n")
        loop.add_reader(line, stop.set)  # nothing is ever sent there any more: it is closed
        await stop.wait()
        loop.remove_reader(line)
