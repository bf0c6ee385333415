"""A private PostgreSQL cluster in a temporary folder, for tests, chaos runs and benchmarks.

    with PostgresCluster() as cluster:
        template = cluster.create_database()
        ...  # migrate it, then close every connection to it
        url = cluster.create_database(template)

Every call blocks: inside an event loop, `await asyncio.to_thread(cluster.restart)`.
"""

import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, Self

from tests.support.ports import free_port

OLDEST_VERSION = 15
DEBIAN_HOME = Path("/usr/lib/postgresql")
USER = "optin"  # no superuser: row-level security binds it
SUPERUSER = "postgres"

StopMode = Literal["smart", "fast", "immediate"]

_PATIENCE_SECONDS = 60.0
_STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,  # waits for the clients to leave
    "fast": signal.SIGINT,  # rolls back and disconnects them
    "immediate": signal.SIGQUIT,  # a crash: the next start recovers from the log
}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "fsync": "on",  # durability is the product
    "dynamic_shared_memory_type": "mmap",  # in the folder, and gone with it
}

# The keeper lays the cluster's folder out and takes it away once its standard input closes, which
# the kernel sees to however the owner ends: with its block, by Ctrl-C, by kill -9. A postmaster that
# was only just starting then finds its folder gone, and ends by itself.
# $1: the folder, $2: the binaries, $3: the superuser.
_KEEPER = """
trap : PIPE  # the owner may be gone before it hears of initdb
"$2/initdb" --pgdata="$1/data" --username="$3" --auth=trust --encoding=UTF8 --no-locale \
    --no-sync >"$1/log" 2>&1
echo $?
cat >/dev/null
"$2/pg_ctl" --pgdata="$1/data" --mode=immediate stop >/dev/null 2>&1
rm -rf "$1"
"""


class PostgresMissing(Exception):
    """PostgreSQL is not installed here, or not one that is new enough."""


class PostgresError(Exception):
    """PostgreSQL is installed but did not do what it was told; the text has its own words."""


def find_binaries(debian_home: Path = DEBIAN_HOME) -> Path:
    """Return the folder of initdb, postgres and psql: pg_config's, or Debian's newest."""
    for folder in _candidates(debian_home):
        if _version(folder) >= OLDEST_VERSION:
            return folder
    raise PostgresMissing(
        f"PostgreSQL {OLDEST_VERSION} or newer is needed: install its server "
        "(on Debian: apt-get install postgresql) or put its pg_config on PATH."
    )


def _candidates(debian_home: Path) -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        yield Path(_output(pg_config, "--bindir"))
    yield from sorted(debian_home.glob("*/bin"), key=_version, reverse=True)


def _version(binaries: Path) -> int:
    """Return the major version of a complete installation, 0 if it is none."""
    if not all((binaries / name).exists() for name in ("initdb", "pg_ctl", "postgres", "psql")):
        return 0
    found = re.search(r"\d+", _output(binaries / "postgres", "--version"))
    return int(found[0]) if found else 0


def _output(*command: str | Path) -> str:
    """Return what a command prints; Debian's pg_config may fail, and prints nothing then."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _account() -> pwd.struct_passwd | None:
    """Return whom to run PostgreSQL as: oneself, but it refuses root, who lends it an account."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise PostgresMissing(
            "PostgreSQL does not run as root: add a system user named postgres "
            "(on Debian: apt-get install postgresql) or run this as another user."
        ) from None


class PostgresCluster:
    """A cluster that lives as long as its `with` block, on one port whatever happens to it."""

    folder: Path  # from the moment the block is entered

    def __init__(self, **settings: str) -> None:
        """Take server settings, such as `fsync="off"`, that differ from the usual ones."""
        self.port = free_port()
        self._binaries = find_binaries()
        self._account = _account()
        self._settings = _SETTINGS | {"port": str(self.port)} | settings
        self._numbers = itertools.count(1)
        self._keeper: subprocess.Popen[bytes] | None = None
        self._postmaster: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="optin-postgres-"))
        try:
            self._lay_out()
            self.start()
            self._query(f"CREATE ROLE {USER} LOGIN")
        except BaseException:
            self._clear_away()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._clear_away()

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        if self._postmaster is None or self._postmaster.poll() is not None:
            return None
        return self._postmaster.pid

    def start(self) -> None:
        """Start the server unless it runs, and return once it takes connections."""
        if self.pid:
            return
        settings = self._settings | {"unix_socket_directories": str(self.folder)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._postmaster = self._spawn(self._binaries / "postgres", "-D", "data", *options, output=log)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_ready():
            if not self.pid or time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start:\n{self._last_words()}")
            time.sleep(0.01)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server if it runs, and return once it is gone; "immediate" is a crash."""
        if self._postmaster:
            self._postmaster.send_signal(_STOP_SIGNALS[mode])
            self._postmaster.send_signal(signal.SIGCONT)  # paused, it would never hear of it
            self._postmaster.wait(_PATIENCE_SECONDS)

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server and start it again, on the same port with the same data."""
        self.stop(mode)
        self.start()

    def kill_backends(self) -> int:
        """Cut every client's connection and return how many there were."""
        return int(
            self._query(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        )

    def create_database(self, template: str | None = None) -> str:
        """Create a database, empty or a copy of `template` (its URL), and return its URL.

        PostgreSQL copies no database that somebody is connected to.
        """
        name = f"optin_{next(self._numbers)}"
        # By files: its default, which logs every page, takes twice as long for databases as small as these.
        self._query(
            f'CREATE DATABASE "{name}" OWNER {USER} TEMPLATE "{_name(template or "template1")}" STRATEGY FILE_COPY'
        )
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop a database, disconnecting whoever uses it."""
        self._query(f'DROP DATABASE "{_name(url)}" WITH (FORCE)')

    def _lay_out(self) -> None:
        if self._account:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        arguments = (self.folder, self._binaries, SUPERUSER)
        self._keeper = self._spawn(
            "sh", "-c", _KEEPER, "keeper", *arguments, stdin=subprocess.PIPE, output=subprocess.PIPE
        )
        assert self._keeper.stdout
        if self._keeper.stdout.readline() != b"0\n":
            raise PostgresError(f"initdb failed:\n{self._last_words()}")

    def _clear_away(self) -> None:
        try:
            self.stop("immediate")
        finally:
            if self._keeper:
                with self._keeper:  # closes its standard input, and waits
                    pass
            shutil.rmtree(self.folder, ignore_errors=True)

    def _spawn(
        self,
        *command: str | Path,
        output: IO[bytes] | int,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Run a command in the cluster's folder and account, out of the terminal's Ctrl-C."""
        return subprocess.Popen(
            [*self._as_account(), *command],
            cwd=self.folder,
            env=_environment(),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _as_account(self) -> list[str]:
        """What runs a command in the account; it takes the command's place.

        Popen's own `user` would do, but makes it fork where it otherwise vforks, and gRPC, in use in this process, has
        handlers of fork that now and then end the child with SIGSEGV.
        """
        if self._account is None:
            return []
        uid, gid = self._account.pw_uid, self._account.pw_gid
        return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"]

    def _is_ready(self) -> bool:
        """Read what the postmaster says of itself, as pg_ctl does: line 1 its pid, 8 its state."""
        try:
            lines = (self.folder / "data/postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self.pid)] and lines[-1] == "ready"

    def _query(self, statement: str) -> str:
        address = f"host=127.0.0.1 port={self.port} user={SUPERUSER} dbname=postgres"
        done = subprocess.run(
            [self._binaries / "psql", "-X", "-q", "-A", "-t", "-d", address, "-c", statement],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise PostgresError(f"{statement}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _last_words(self) -> str:
        return "\n".join((self.folder / "log").read_text().splitlines()[-10:])


def _name(database: str) -> str:
    """Return the database's name in its URL (or in its bare name)."""
    return database.rpartition("/")[2]


def _environment() -> dict[str, str]:
    """Return this process's environment without what would lead to another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
