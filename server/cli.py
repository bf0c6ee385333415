"""The command `optin`."""

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import structlog
import typer
import uvloop
from pydantic import ValidationError

from server import __version__, logs
from server.api.server import PortTaken
from server.app import migrated, running
from server.commands.audit import print_audit
from server.commands.contractor import print_erasure
from server.commands.demo import run_demo
from server.commands.fake_carrier import fake_carrier
from server.config import Environment, LogFormat, LogLevel, Settings
from server.domain.errors import StorageUnavailable
from server.domain.ports import Conflict
from server.storage import schema
from server.storage.sqlite import FileInUse
from server.supervisor import WorkersFailed, employed, supervised, work

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

NEW_OBJECTS = 20_000  # between two looks for garbage; Python's own default is 700
# Texts, so that `Settings` judges flags and variables alike.
Flag = typer.Option(show_default=False)
Number = typer.Option(show_default=False, metavar="NUMBER")
Time = typer.Option(show_default=False, metavar="TIME", help="The clock; the present unless given.")
Duration = typer.Option(show_default=False, metavar="30d|24h|15m|SECONDS")


def one_of(values: type[StrEnum]) -> Any:
    return typer.Option(show_default=False, metavar="|".join(values))


@app.command()
def serve(
    host: Annotated[str | None, Flag] = None,
    port: Annotated[str | None, Number] = None,
    database_url: Annotated[str | None, Flag] = None,
    environment: Annotated[str | None, one_of(Environment)] = None,
    withhold_premium: Annotated[bool | None, Flag] = None,
    session_ttl: Annotated[str | None, Duration] = None,
    request_id_ttl: Annotated[str | None, Duration] = None,
    event_ttl: Annotated[str | None, Duration] = None,
    log_format: Annotated[str | None, one_of(LogFormat)] = None,
    log_level: Annotated[str | None, one_of(LogLevel)] = None,
    carrier: Annotated[str | None, Flag] = None,
    carrier_timeout: Annotated[str | None, Flag] = None,
    group_commit_max: Annotated[str | None, Number] = None,
    calls_in_flight: Annotated[str | None, Number] = None,
    watchers: Annotated[str | None, Number] = None,
    workers: Annotated[str | None, Number] = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Each flag is also an environment variable: --port is OPTIN_PORT."""
    settings = _settings(locals())
    _configure_logs(settings)
    _collect_rarely()
    _run_or_explain(_serve(settings), settings)


@app.command(hidden=True)
def worker() -> None:
    """Serve as one of several; `optin serve --workers` starts it."""
    try:
        number, settings, line = employed()
    except OSError:
        _fail("A worker is started by `optin serve --workers`.")
    _configure_logs(settings, worker=number)
    _collect_rarely()
    _run_or_explain(work(settings, line), settings)


@app.command()
def migrate(database_url: Annotated[str | None, Flag] = None) -> None:
    """Bring the database to this version's schema."""
    settings = _settings(locals())
    _run_or_explain(migrated(settings), settings)
    print(f"{_masked(settings)} has the schema of version {__version__}.")


@app.command()
def audit(
    database_url: Annotated[str | None, Flag] = None,
    carrier_timeout: Annotated[str | None, Duration] = None,
    now: Annotated[str | None, Time] = None,
) -> None:
    """Check everything that should hold in a database, beside a server or without one; exit code 1 if not all does."""
    time = _time("now", now) if now is not None else None
    settings = _settings({"database_url": database_url, "carrier_timeout": carrier_timeout})
    _run_or_explain(print_audit(settings.url, now=time, limit=settings.carrier_timeout), settings)


@app.command()
def demo() -> None:
    """Walk through a general opt-in against a server of its own, and print it as a table."""
    logs.configure(console=True, level=LogLevel.ERROR)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_demo())


app.command()(fake_carrier)

contractor = typer.Typer(no_args_is_help=True)
app.add_typer(contractor, name="contractor", help="What only an operator may do with a contractor.")


@contractor.callback()
def _contractor() -> None:
    """Keeps `erase` a command of its own, although it is the only one."""


@contractor.command()
def erase(
    contractor_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    database_url: Annotated[str | None, Flag] = None,
) -> None:
    """Take a deleted contractor's personal values out of the database, beside a server or without one."""
    settings = _settings({"database_url": database_url})
    _collect_rarely()  # and not while it holds up a server
    _run_or_explain(print_erasure(settings, contractor_id), settings)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with supervised(settings) if settings.workers > 1 else running(settings) as server:
        address = f"[{settings.host}]:{server.port}" if ":" in settings.host else f"{settings.host}:{server.port}"
        print(f"optin {__version__} listens on {address}")
        print(f"  database     {_masked(settings)}")
        print(f"  environment  {settings.environment}")
        if settings.workers > 1:
            print(f"  workers      {settings.workers}")
        print(f"  try          grpcurl -plaintext {address} list", flush=True)
        await stop.wait()
        structlog.get_logger().info("stopping", note="calls in flight are finished first")


def _collect_rarely() -> None:
    """Calls leave few cycles, and what was imported stays: to look through it again and again takes 5 % of a call."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


def _configure_logs(settings: Settings, *, worker: int | None = None) -> None:
    on_terminal = sys.stdout.isatty() if settings.log_format is None else settings.log_format is LogFormat.CONSOLE
    logs.configure(console=on_terminal, level=settings.log_level, worker=worker)


def _settings(flags: dict[str, Any]) -> Settings:
    """The flags that were given, over the environment, over the defaults."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        bad = error.errors()[0]
        name = str(bad["loc"][0])
        rule = bad["msg"].removeprefix("Value error, ")
        _fail(f"--{name.replace('_', '-')} (OPTIN_{name.upper()}): {rule}.")


def _time(name: str, value: str) -> datetime:
    """In UTC, unless it says otherwise."""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        _fail(f"--{name}: must be a time like 2026-11-22T12:00:00Z.")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _run_or_explain(main: Coroutine[None, None, None], settings: Settings) -> None:
    """Runs it, or says in one sentence what to do, with exit code 1."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)
    except PortTaken as error:
        _fail(
            f"{error} is taken by another process, or is no address of this machine; "
            "stop the other, or choose another address with --port and --host."
        )
    except FileInUse as error:
        _fail(f"Another server uses {error}; stop it, or choose another file with --database-url.")
    except schema.SchemaTooNew:
        _fail(f"{_masked(settings)} has a newer schema than version {__version__}; install the newer version.")
    except schema.SchemaOfOthers:
        _fail(f"{_masked(settings)} has tables of another program; choose an empty database with --database-url.")
    except schema.SchemaTooOld:
        _fail(f"{_masked(settings)} does not have this version's schema; run `optin migrate` first.")
    except WorkersFailed:
        raise typer.Exit(1) from None
    except Conflict:
        _fail(f"Others keep changing the same records in {_masked(settings)}; run it again.")
    except StorageUnavailable:
        _fail(f"{_masked(settings)} cannot be reached; check that it runs and that OPTIN_DATABASE_URL is right.")


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(1)


def _masked(settings: Settings) -> str:
    return settings.url.render_as_string(hide_password=True)


if __name__ == "__main__":
    app()
