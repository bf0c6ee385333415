"""What every command shares: settings from flags, and refusals as one sentence with exit code 1."""

import asyncio
import sys
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import typer
import uvloop
from pydantic import ValidationError

from server import __version__
from server.api.server import PortTaken
from server.api.tls import BadCertificates
from server.config import Settings
from server.domain.errors import DomainError, StorageUnavailable, entry_for
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


REFUSALS: Mapping[type[Exception], str] = {
    PortTaken: "{error} is taken by another process, or is no address of this machine; "
    "stop the other, or choose another address with {error.flag} and --host.",
    BadCertificates: "{error}",
    FileInUse: "Another server uses {error}; stop it, or choose another file with --database-url.",
    schema.SchemaTooNew: "{database} has a newer schema than version {version}; install the newer version.",
    schema.SchemaOfOthers: "{database} has tables of another program; choose an empty database with --database-url.",
    schema.RowsMissing: "{database} has {error} which are not there, and was left as it was; "
    "`optin audit` of the version that served it last tells which, to be mended with that version.",
    schema.SchemaTooOld: "{database} does not have this version's schema; run `optin migrate` first.",
    Conflict: "Others keep changing the same records in {database}; run it again.",
    StorageUnavailable: "{database} cannot be reached; check that it runs and that OPTIN_DATABASE_URL is right.",
    DomainError: "{error}",
}
"""What keeps a command from its work, as one sentence that says what to do."""


def run_or_explain(main: Coroutine[None, None, T], settings: Settings) -> T:
    """Runs it, or says why not, with exit code 1."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    except WorkersFailed:
        raise typer.Exit(1) from None
    except tuple(REFUSALS) as error:
        sentence = entry_for(error, REFUSALS)
        fail(sentence.format(error=error, database=masked(settings), version=__version__))


def fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(1)


def masked(settings: Settings) -> str:
    return settings.url.render_as_string(hide_password=True)
