"""`optin fake-carrier`: a remote carrier to try Optin with, with faults on demand."""

import asyncio
import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvloop

from server import logs
from server.api.reflection import load_descriptor_set, reflection_handlers
from server.carrier.fake import SERVICE, FakeCarrier, Fault, Method
from server.carrier.fake_ledger import Ledger, LedgerDamaged

DEFAULT_METHODS = [Method.BIND_POLICY]
EXIT_CODE_OF_A_FAULT = 70


def fake_carrier(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 50061,
    fault: Annotated[Fault, typer.Option(help="Before, after: what the call asks for is done.")] = Fault.NONE,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the calls, how many are struck.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Draws which calls are struck.")] = 0,
    method: Annotated[list[Method], typer.Option(help="Which methods; may be repeated.")] = DEFAULT_METHODS,
    late: Annotated[float, typer.Option(min=0, help="Seconds, for done-late and answers-late.")] = 15.0,
    ledger: Annotated[Path | None, typer.Option(help="A file that survives; otherwise it forgets.")] = None,
) -> None:
    """Serve a carrier on 127.0.0.1 until SIGTERM or SIGINT, for `optin serve --carrier grpc://127.0.0.1:50061`."""
    logs.configure(console=sys.stdout.isatty(), level="info")
    try:
        with closing(Ledger(ledger)) as kept, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            carrier = FakeCarrier(
                kept,
                fault=fault,
                share=share,
                seed=seed,
                methods=method,
                late_seconds=late,
                end=lambda: os._exit(EXIT_CODE_OF_A_FAULT),
            )
            runner.run(_serve(carrier, port, ledger))
    except LedgerDamaged as error:
        _fail(f"{error} is no line of a ledger; choose another file with --ledger.")
    except OSError as error:
        _fail(f"The ledger cannot be used: {error}.")


async def _serve(carrier: FakeCarrier, port: int, ledger: Path | None) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    try:
        port = await carrier.start(port, handlers=reflection_handlers(load_descriptor_set(), [SERVICE]))
    except RuntimeError:
        _fail(f"127.0.0.1:{port} is taken by another process; stop it, or choose another port with --port.")
    struck = f", share {carrier.share} of {', '.join(sorted(carrier.methods))}, seed {carrier.seed}"
    print(f"optin fake-carrier listens on 127.0.0.1:{port}")
    print(f"  fault   {carrier.fault}{'' if carrier.fault is Fault.NONE else struck}")
    print(f"  ledger  {ledger or 'in memory'}")
    print(f"  try     grpcurl -plaintext 127.0.0.1:{port} describe {SERVICE}", flush=True)
    await stop.wait()
    await carrier.stop()


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(1)
