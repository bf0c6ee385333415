"""`optin platform` and `optin key`: who may call."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer

from server.app import utc_now
from server.commands.beside import write
from server.commands.explained import fail, run_or_explain, settings_from
from server.config import duration
from server.domain.callers import DEFAULT_PLATFORM, Key, Platform, Role
from server.domain.ports import Unit
from server.service import platforms

T = TypeVar("T")

platform = typer.Typer(help="Platforms: who calls, and what they may.", no_args_is_help=True)
key = typer.Typer(help="Keys: how callers are known.", no_args_is_help=True)

Url = Annotated[str | None, typer.Option("--database-url", show_default=False)]
Name = Annotated[str, typer.Argument(help="What people call it.")]
PlatformId = Annotated[str, typer.Argument(metavar="ID", help="pf_...")]
Withholds = Annotated[
    bool | None,
    typer.Option("--withhold-premium/--no-withhold-premium", show_default=False, help="For all its contractors."),
]
Limit = Annotated[
    str | None, typer.Option(show_default=False, metavar="NUMBER|none", help="The most that it may make.")
]
NAME_MOST, LABEL_MOST, LIMIT_MOST = 200, 200, 1_000_000


@platform.command("create")
def create_platform(
    name: Name,
    withhold_premium: Withholds = None,
    calls_per_second: Limit = None,
    calls_in_flight: Limit = None,
    database_url: Url = None,
) -> None:
    """Make a platform, and print its id."""
    values = {
        "name": _text("name", name, NAME_MOST),
        "withholds_premium": bool(withhold_premium),
        "calls_per_second": _limit("calls-per-second", calls_per_second),
        "calls_in_flight": _limit("calls-in-flight", calls_in_flight),
    }
    made = _write(database_url, lambda unit, now: platforms.create(unit, now, values))
    print(made.id)


@platform.command("update")
def update_platform(
    id_: PlatformId,
    name: Annotated[str | None, typer.Option(show_default=False)] = None,
    withhold_premium: Withholds = None,
    calls_per_second: Limit = None,
    calls_in_flight: Limit = None,
    database_url: Url = None,
) -> None:
    """Change what is given; a server takes it up within a second."""
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = _text("name", name, NAME_MOST)
    if withhold_premium is not None:
        if id_ == DEFAULT_PLATFORM:
            fail(f"Whether {DEFAULT_PLATFORM} withholds is the server's setting: set OPTIN_WITHHOLD_PREMIUM.")
        changes["withholds_premium"] = withhold_premium
    if calls_per_second is not None:
        changes["calls_per_second"] = _limit("calls-per-second", calls_per_second)
    if calls_in_flight is not None:
        changes["calls_in_flight"] = _limit("calls-in-flight", calls_in_flight)
    if not changes:
        fail("Nothing was given that could be changed; `optin platform update --help` lists what can.")
    _print_platforms([_write(database_url, lambda unit, now: platforms.update(unit, now, id_, changes))])


@platform.command("list")
def list_platforms(database_url: Url = None) -> None:
    """Print the platforms."""
    _print_platforms(_write(database_url, lambda unit, _: unit.platforms.all()))


@key.command("create")
def create_key(
    platform_id: Annotated[str, typer.Option("--platform", metavar="ID")] = DEFAULT_PLATFORM,
    role: Annotated[Role, typer.Option()] = Role.PLATFORM,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires_in: Annotated[str | None, typer.Option(show_default=False, metavar="30d|24h|15m|SECONDS")] = None,
    certificate: Annotated[
        str, typer.Option(metavar="NAME", help="No secret: whoever shows a client certificate of this name.")
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the secret alone.")] = False,
    database_url: Url = None,
) -> None:
    """Make a key, and show its secret this once."""
    lifetime = _lifetime(expires_in)
    label, certificate = _text("label", label, LABEL_MOST), _text("certificate", certificate, NAME_MOST)

    def create(unit: Unit, now: datetime) -> tuple[Key, str]:
        expire_time = now + lifetime if lifetime else None
        return platforms.create_key(
            unit, now, platform_id, role, label=label, expire_time=expire_time, certificate=certificate
        )

    try:
        made, secret = _write(database_url, create)
    except platforms.CertificateTaken as other:
        fail(f"Key {other} is in force for this certificate; revoke it first.")
    if quiet:
        print(secret or made.id)
        return
    _print_keys([made])
    if secret:
        print(f"\nThe secret, which is shown this once and kept nowhere:\n{secret}")


@key.command("list")
def list_keys(database_url: Url = None) -> None:
    """Print the keys, revoked and expired ones too."""
    _print_keys(_write(database_url, lambda unit, _: unit.keys.all()))


@key.command("revoke")
def revoke_key(id_: Annotated[str, typer.Argument(metavar="ID", help="key_...")], database_url: Url = None) -> None:
    """End a key; a server takes it up within a second."""
    _print_keys([_write(database_url, lambda unit, now: platforms.revoke_key(unit, now, id_))])


def _write(database_url: str | None, work: Callable[[Unit, datetime], T]) -> T:
    settings = settings_from({"database_url": database_url})
    return run_or_explain(write(settings.url, lambda unit: work(unit, utc_now())), settings)


def _text(name: str, value: str, most: int) -> str:
    if len(value) > most or not value.isprintable():
        fail(f"--{name}: must be printable, and have at most {most} characters.")
    return value


def _limit(name: str, value: str | None) -> int | None:
    if value in (None, "none"):
        return None
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= LIMIT_MOST:
        fail(f"--{name}: must be a number from 1 to {LIMIT_MOST}, or none.")
    return int(value)


def _lifetime(value: str | None) -> timedelta | None:
    try:
        return duration(value) if value is not None else None
    except ValueError as error:
        fail(f"--expires-in: {error}.")


def _print_platforms(found: Sequence[Platform]) -> None:
    withheld = {None: "as set", True: "yes", False: "no"}
    _print_table(
        ("id", "withholds", "calls/s", "in flight", "name"),
        [
            (p.id, withheld[p.withholds_premium], p.calls_per_second or "-", p.calls_in_flight or "-", p.name)
            for p in found
        ],
    )


def _print_keys(found: Sequence[Key]) -> None:
    now = utc_now()
    _print_table(
        ("id", "platform", "role", "in force", "expires", "certificate", "label"),
        [
            (
                k.id,
                k.platform,
                k.role,
                "yes" if k.counts(now) else "revoked" if k.revoke_time else "expired",
                f"{k.expire_time:%Y-%m-%dT%H:%M:%SZ}" if k.expire_time else "never",
                k.certificate or "-",
                k.label or "-",
            )
            for k in found
        ],
    )


def _print_table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    rows = [head, *([str(cell) for cell in line] for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
