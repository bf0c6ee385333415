"""`optin serve` in a process of its own, for load and benchmarks: as it is by default, its log thrown away."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.memory import resident_bytes
from tests.support.ports import free_port

OPTIN = Path(sys.executable).with_name("optin")
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05


class ServerFailed(Exception):
    """It did not start, or did not stop as it should; the text has its own words."""


@dataclass(frozen=True, slots=True)
class Served:
    folder: Path
    process: subprocess.Popen[bytes]
    target: str  # 127.0.0.1:PORT

    @property
    def database(self) -> Path:
        """Of one that serves from SQLite."""
        return self.folder / "optin.db"

    @property
    def resident_bytes(self) -> int:
        return resident_bytes(self.process.pid)


@contextmanager
def serving(*flags: str, folder: Path, database_url: str = "") -> Iterator[Served]:
    """A server that answers, on a free port; on optin.db in the folder unless it is given another database.

    Ended by SIGTERM to its own process id. Raises ServerFailed.
    """
    port = free_port()
    url = database_url or f"sqlite+aiosqlite:///{folder}/optin.db"
    command: list[str | Path] = [OPTIN, "serve", "--port", str(port), "--database-url", url, *flags]
    with tempfile.TemporaryFile() as errors:
        # Nobody's terminal or disk takes part: the lines are made, and go nowhere.
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            _wait_until_it_serves(process, f"127.0.0.1:{port}")
            yield Served(folder, process, f"127.0.0.1:{port}")
            _stop(process)
        except (ServerFailed, subprocess.TimeoutExpired) as error:
            errors.seek(0)
            raise ServerFailed(f"optin serve: {error}\n{errors.read().decode(errors='replace')}") from error
        finally:
            process.kill()  # a matter of no consequence to one that has ended
            process.wait()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    if process.wait(PATIENCE_SECONDS) != 0:
        raise ServerFailed(f"it ended with {process.returncode}")


def _wait_until_it_serves(process: subprocess.Popen[bytes], target: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    with grpc.insecure_channel(target) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        while process.poll() is None and time.monotonic() < deadline:
            try:
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1, wait_for_ready=True)
            except grpc.RpcError:
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(POLL_SECONDS)
    raise ServerFailed("it does not serve")


def _environment() -> dict[str, str]:
    """This process's environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPTIN_")}
