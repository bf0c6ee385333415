"""What every command shares: settings from flags, and refusals as one sentence with exit code 1."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import typer
import uvloop
from pydantic import ValidationError

from server import __version__
from server.api.server import PortTaken
from server.api.tls import BadCertificates
from server.config import Settings
from server.domain.errors import DomainError, StorageUnavailable
from server.domain.ports import Conflict
from server.storage import schema
from server.storage.sqlite import FileInUse
from server.supervisor import WorkersFailed

T = TypeVar("T")


def settings_from(flags: dict[str, Any]) -> Settings:
    """The flags that were given, over the environment, over the defaults."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        bad = error.errors()[0]
        name = str(bad["loc"][0])
        rule = bad["msg"].removeprefix("Value error, ")
        fail(f"--{name.replace('_', '-')} (OPTIN_{name.upper()}): {rule}.")


def parsed_time(name: str, value: str) -> datetime:
    """In UTC, unless it says otherwise."""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        fail(f"--{name}: must be a time like 2026-11-22T12:00:00Z.")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def run_or_explain(main: Coroutine[None, None, T], settings: Settings) -> T:
    """Runs it, or says in one sentence what to do, with exit code 1."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    except PortTaken as error:
        fail(
            f"{error} is taken by another process, or is no address of this machine; "
            f"stop the other, or choose another address with {error.flag} and --host."
        )
    except BadCertificates as error:
        fail(str(error))
    except FileInUse as error:
        fail(f"Another server uses {error}; stop it, or choose another file with --database-url.")
    except schema.SchemaTooNew:
        fail(f"{masked(settings)} has a newer schema than version {__version__}; install the newer version.")
    except schema.SchemaOfOthers:
        fail(f"{masked(settings)} has tables of another program; choose an empty database with --database-url.")
    except schema.SchemaTooOld:
        fail(f"{masked(settings)} does not have this version's schema; run `optin migrate` first.")
    except WorkersFailed:
        raise typer.Exit(1) from None
    except Conflict:
        fail(f"Others keep changing the same records in {masked(settings)}; run it again.")
    except StorageUnavailable:
        fail(f"{masked(settings)} cannot be reached; check that it runs and that OPTIN_DATABASE_URL is right.")
    except DomainError as error:
        fail(str(error))


def fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(1)


def masked(settings: Settings) -> str:
    return settings.url.render_as_string(hide_password=True)
