"""The links to the contractor's page, from the settings: where the page is, and the secrets that sign."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from server.config import Settings
from server.service.links import Links

SECRET_BYTES = 32


def links_of(settings: Settings, http_port: int | None) -> Links | None:
    """None: nobody can open a page. A server without an HTTP port makes links when it is told where the page is."""
    if http_port is None and not (settings.public_url and settings.link_secret):
        return None
    return Links(settings.public_url or own_address(settings, http_port), settings.link_secrets or _kept(settings))


def own_address(settings: Settings, http_port: int | None) -> str:
    scheme = "http" if settings.tls_cert is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{http_port}"


def own_names(settings: Settings) -> list[str]:
    """By which browsers may call this server."""
    return [name for name in (settings.host, urlsplit(settings.public_url or "").hostname) if name]


def _kept(settings: Settings) -> Sequence[str]:
    """Of a sandbox on SQLite: beside the database, for nobody else to read, so that links outlive the server."""
    assert settings.url.get_backend_name() == "sqlite", settings.refusal  # noqa: S101 - it was asked before
    file = Path(f"{settings.url.database}.link-secret")
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return [file.read_text().strip()]
    with os.fdopen(descriptor, "w") as made:
        made.write(f"{secrets.token_hex(SECRET_BYTES)}\n")
    return _kept(settings)
