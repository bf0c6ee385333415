"""The links to the contractor's page, from the settings: where the page is, and the secrets that sign."""

import os
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from server.api.server import address_of
from server.config import SHORTEST_SECRET, Settings
from server.domain.errors import DomainError
from server.service.links import Links

SECRET_BYTES = 32


class BadLinkSecret(DomainError):
    """The secret that was kept beside the database is none. It keeps a server from starting, and no caller sees it."""

    message = (
        "{file} should have a secret of at least {shortest} characters, or others could sign links to contractors' "
        "pages; delete it, and another is made, with which links made before open nothing."
    )


def links_of(settings: Settings, http_port: int | None) -> Links | None:
    """None: nobody can open a page. A server without an HTTP port makes links when it is told where the page is.

    Raises BadLinkSecret.
    """
    if http_port is not None:
        url = settings.public_url or own_address(settings, http_port)
        return Links(url, settings.link_secrets or _kept(settings))
    if settings.public_url and settings.link_secret:
        return Links(settings.public_url, settings.link_secrets)
    return None


def own_address(settings: Settings, http_port: int) -> str:
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://{address_of(settings.host, http_port)}"


def own_names(settings: Settings) -> list[str]:
    """By which browsers may call this server."""
    return [name for name in (settings.host, urlsplit(settings.public_url or "").hostname) if name]


def _kept(settings: Settings) -> Sequence[str]:
    """Of a sandbox on SQLite: beside the database, for nobody else to read, so that links outlive the server.

    Raises BadLinkSecret.
    """
    assert settings.url.get_backend_name() == "sqlite", settings.refusal  # noqa: S101 - it was asked before
    file = Path(f"{settings.url.database}.link-secret")
    if not file.exists():
        _make(file)
    secret = file.read_text().strip()
    if len(secret) < SHORTEST_SECRET:
        raise BadLinkSecret(file=str(file), shortest=str(SHORTEST_SECRET))
    return [secret]


def _make(file: Path) -> None:
    """Whole, or not at all: who knows what a crash leaves in a file could sign links. The first of several counts."""
    with tempfile.NamedTemporaryFile("w", prefix=f"{file.name}.", dir=file.parent) as made:
        made.write(f"{secrets.token_hex(SECRET_BYTES)}\n")
        made.flush()
        os.fsync(made.fileno())
        with suppress(FileExistsError):
            os.link(made.name, file)
