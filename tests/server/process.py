"""`optin`, as an operator runs it: the real command in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

OPTIN = Path(sys.executable).with_name("optin")
PATIENCE_SECONDS = 60.0
LISTENS = re.compile(r"^optin \S+ listens on (\S+):(\d+)$", re.MULTILINE)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPTIN_")} | dict(more)


def optin(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end."""
    return subprocess.run(
        [OPTIN, *arguments],
        cwd=cwd,
        env=environment(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


class Server:
    """`optin serve`, which writes into files in `folder`."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [OPTIN, "serve", *arguments],
                cwd=folder,
                env=environment(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    @property
    def target(self) -> str:
        """Where it listens."""
        listens = LISTENS.search(self.stdout)
        assert listens, self.stderr
        return f"{listens[1]}:{listens[2]}"

    def wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "\n  try " not in self.stdout:
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.01)

    def send(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        self.send(signum)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def served(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server that listens, on a free port and data/optin.db in the folder unless told otherwise."""
    folder.mkdir(exist_ok=True)
    server = Server(folder, *(arguments if "--port" in arguments else (*arguments, "--port", "0")), env=env)
    try:
        server.wait_until_it_listens()
        yield server
    finally:
        server.process.kill()
        server.process.wait()
