"""The command `optin`."""

import asyncio
import gc
import signal
import sys
from enum import StrEnum
from typing import Annotated, Any

import structlog
import typer
import uvloop

from server import __version__, logs
from server.api.server import address_of
from server.app import migrated, running
from server.commands import access
from server.commands.audit import print_audit
from server.commands.contractor import print_erasure
from server.commands.demo import run_demo
from server.commands.explained import fail, masked, parsed_time, run_or_explain, settings_from
from server.commands.fake_carrier import fake_carrier
from server.config import Environment, LogFormat, LogLevel, Settings
from server.linked import own_address
from server.supervisor import employed, supervised, work

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

NEW_OBJECTS = 20_000  # between two looks for garbage; Python's own default is 700
# Texts, so that `Settings` judges flags and variables alike.
Flag = typer.Option(show_default=False)
Pem = typer.Option(show_default=False, metavar="FILE")
Number = typer.Option(show_default=False, metavar="NUMBER")
Time = typer.Option(show_default=False, metavar="TIME", help="The clock; the present unless given.")
Duration = typer.Option(show_default=False, metavar="30d|24h|15m|SECONDS")


def one_of(values: type[StrEnum]) -> Any:
    return typer.Option(show_default=False, metavar="|".join(values))


@app.command()
def serve(
    host: Annotated[str | None, Flag] = None,
    port: Annotated[str | None, Number] = None,
    http_port: Annotated[str | None, Number] = None,
    public_url: Annotated[str | None, Flag] = None,
    metrics_port: Annotated[str | None, Number] = None,
    health_port: Annotated[str | None, Number] = None,
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
    tls_cert: Annotated[str | None, Pem] = None,
    tls_key: Annotated[str | None, Pem] = None,
    tls_client_ca: Annotated[str | None, Pem] = None,
    insecure_behind_proxy: Annotated[bool | None, Flag] = None,
    trusted_proxies: Annotated[str | None, Flag] = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Each flag is also an environment variable: --port is OPTIN_PORT.

    OPTIN_LINK_SECRET, which signs links to the contractor's page, has no flag: others could read it there.
    """
    settings = settings_from(locals())
    if settings.refusal:
        fail(settings.refusal)
    _configure_logs(settings)
    _collect_rarely()
    run_or_explain(_serve(settings), settings)


@app.command(hidden=True)
def worker() -> None:
    """Serve as one of several; `optin serve --workers` starts it."""
    try:
        number, settings, line = employed()
    except OSError:
        fail("A worker is started by `optin serve --workers`.")
    _configure_logs(settings, worker=number)
    _collect_rarely()
    run_or_explain(work(settings, line), settings)


@app.command()
def migrate(database_url: Annotated[str | None, Flag] = None) -> None:
    """Bring the database to this version's schema."""
    settings = settings_from(locals())
    run_or_explain(migrated(settings), settings)
    print(f"{masked(settings)} has the schema of version {__version__}.")


@app.command()
def audit(
    database_url: Annotated[str | None, Flag] = None,
    carrier_timeout: Annotated[str | None, Duration] = None,
    now: Annotated[str | None, Time] = None,
) -> None:
    """Check everything that should hold in a database, beside a server or without one; exit code 1 if not all does."""
    time = parsed_time("now", now) if now is not None else None
    settings = settings_from({"database_url": database_url, "carrier_timeout": carrier_timeout})
    run_or_explain(print_audit(settings.url, now=time, limit=settings.carrier_timeout), settings)


@app.command()
def demo() -> None:
    """Walk through a general opt-in against a server of its own, and print it as a table."""
    logs.configure(console=True, level=LogLevel.ERROR)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_demo())


app.command()(fake_carrier)
app.add_typer(access.platform, name="platform")
app.add_typer(access.key, name="key")

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
    settings = settings_from({"database_url": database_url})
    _collect_rarely()  # and not while it holds up a server
    run_or_explain(print_erasure(settings, contractor_id), settings)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with supervised(settings) if settings.workers > 1 else running(settings) as server:
        address = address_of(settings.host, server.port)
        print(f"optin {__version__} listens on {address}")
        print(f"  database     {masked(settings)}")
        keys = "open: calls need no key" if settings.open_to_all else "closed: calls need a key"
        print(f"  environment  {settings.environment}, {keys}")
        if settings.workers > 1:
            print(f"  workers      {settings.workers}")
        if server.http_port is not None:
            print(f"  http         {own_address(settings, server.http_port)}/docs")
        if server.health_port is not None:
            print(f"  health       {address_of(settings.host, server.health_port)}")
        if server.metrics_port is not None:
            print(f"  metrics      http://{address_of(settings.host, server.metrics_port)}/metrics")
        print(f"  try          grpcurl {_grpcurl_flags(settings)} {address} list", flush=True)
        await stop.wait()
        structlog.get_logger().info("stopping", note="calls in flight are finished first")


def _grpcurl_flags(settings: Settings) -> str:
    flags = ["-plaintext"] if settings.tls_cert is None else [f"-cacert {settings.tls_cert}"]
    if settings.tls_client_ca is not None:
        flags += ["-cert CLIENT.pem", "-key CLIENT-KEY.pem"]
    if not settings.open_to_all:
        flags += ["-H 'authorization: Bearer KEY'"]
    return " ".join(flags)


def _collect_rarely() -> None:
    """Calls leave few cycles, and what was imported stays: to look through it again and again takes 5 % of a call."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


def _configure_logs(settings: Settings, *, worker: int | None = None) -> None:
    on_terminal = sys.stdout.isatty() if settings.log_format is None else settings.log_format is LogFormat.CONSOLE
    logs.configure(console=on_terminal, level=settings.log_level, worker=worker)


if __name__ == "__main__":
    app()
