"""The settings (spec 11): environment variables with the prefix OPTIN_, each also a flag of `optin serve`."""

import re
import socket
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from server.carrier.target import address_of

UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "": "seconds"}
LONGEST = timedelta(days=3650)  # more would lead beyond the last date there is
# Of a database's URL, by its driver. A password is not among them: there it would not be masked.
OPTIONS = {
    "sqlite": frozenset[str](),
    "sqlite+aiosqlite": frozenset[str](),
    "postgresql+asyncpg": frozenset({"ssl", "host", "passfile", "direct_tls", "target_session_attrs"}),
}


class Environment(StrEnum):
    SANDBOX = "sandbox"
    PRODUCTION = "production"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def duration(value: Any) -> Any:
    """Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([0-9]{1,9})([dhms]?)", str(value).strip())
    read = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < read <= LONGEST:
        raise ValueError(f"must be like 30d, 24h, 15m or a number of seconds, from 1 to {LONGEST.days}d")
    return read


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())


Duration = Annotated[timedelta, BeforeValidator(duration), PlainSerializer(_seconds, when_used="json")]


SHORTEST_SECRET = 32
IN_HOUSE = "in-house"


def _listed(value: str) -> list[str]:
    """What has commas between; an empty text has nothing."""
    return [item.strip() for item in value.split(",")] if value else []


def _carrier(value: str) -> str:
    """Raises ValueError."""
    if value != IN_HOUSE:
        address_of(value)
    return value


Carrier = Annotated[str, AfterValidator(_carrier)]


def _public_url(value: str) -> str:
    if not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", value):
        raise ValueError("must be like https://apply.example.com, without a ? or #")
    return value.rstrip("/")


PublicUrl = Annotated[str, AfterValidator(_public_url)]


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address, or every one of a name's."""
    try:
        found = {str(address[0]) for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return all(ip_address(address.partition("%")[0]).is_loopback for address in found)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="OPTIN_", frozen=True)

    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(50051, ge=0, le=65535)
    http_port: int | None = Field(None, ge=0, le=65535)  # no HTTP unless it is given
    public_url: PublicUrl | None = None  # where browsers reach the HTTP port; by itself on a loopback address
    link_secret: str = Field("", repr=False)  # signs links to the contractor's page: see link_secrets
    metrics_port: int | None = Field(None, ge=0, le=65535)  # no metrics unless it is given
    health_port: int | None = Field(None, ge=0, le=65535)  # health is on the port of the services too
    database_url: str = "sqlite+aiosqlite:///data/optin.db"
    environment: Environment = Environment.SANDBOX
    withhold_premium: bool = True
    session_ttl: Duration = timedelta(days=30)
    request_id_ttl: Duration = timedelta(hours=24)
    event_ttl: Duration = timedelta(days=30)
    log_format: LogFormat | None = None  # console on a terminal, else json
    log_level: LogLevel = LogLevel.INFO
    carrier: Carrier = IN_HOUSE  # or grpc://HOST:PORT
    carrier_timeout: Duration = timedelta(seconds=10)  # for one policy, all tries together
    group_commit_max: int = Field(64, ge=1, le=1000)
    calls_in_flight: int = Field(1_000, ge=1, le=100_000)
    watchers: int = Field(100, ge=1, le=10_000)
    workers: int = Field(1, ge=1, le=64)
    tls_cert: Path | None = None  # PEM files; replaced ones are taken up
    tls_key: Path | None = None
    tls_client_ca: Path | None = None  # asks clients for certificates
    insecure_behind_proxy: bool = False
    trusted_proxies: str = ""  # whose forwarded headers count: see proxies

    @field_validator("database_url")
    @classmethod
    def _known_driver(cls, value: str) -> str:
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            url = None
        if url is None or url.drivername not in OPTIONS or url.database in (None, "", ":memory:"):
            raise ValueError("must be sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER@HOST/DATABASE")
        known = OPTIONS[url.drivername]
        if not known.issuperset(url.query):
            raise ValueError(f"may have no options after a ? but {', '.join(sorted(known)) or 'none'}")
        return value

    @field_validator("link_secret")
    @classmethod
    def _long_secrets(cls, value: str) -> str:
        if any(len(secret) < SHORTEST_SECRET for secret in _listed(value)):
            raise ValueError(f"must be secrets of at least {SHORTEST_SECRET} characters each, with commas between them")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        try:
            return ",".join(str(ip_network(item)) for item in _listed(value))
        except ValueError:
            raise ValueError("must be addresses or networks like 10.0.0.0/8, with commas between them") from None

    @field_validator("workers")
    @classmethod
    def _many_on_postgresql_only(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("database_url", "").startswith("sqlite"):
            raise ValueError("must be 1 on SQLite, which takes one server process; for more, use PostgreSQL")
        return value

    @property
    def open_to_all(self) -> bool:
        """Whether who sends no key may call: a sandbox that only this machine reaches, and no proxy of it."""
        return self.environment is Environment.SANDBOX and not self.insecure_behind_proxy and _is_loopback(self.host)

    @property
    def link_secrets(self) -> list[str]:
        """The first signs; links that others have signed count too, so that they can be changed one by one."""
        return _listed(self.link_secret)

    @property
    def proxies(self) -> list[str]:
        """Networks whose forwarded headers count."""
        return _listed(self.trusted_proxies)

    @property
    def refusal(self) -> str:
        """Why it must not be served like this, in one sentence; empty: it may be."""
        if (self.tls_cert is None) != (self.tls_key is None):
            return "--tls-cert and --tls-key go together; give both, or neither."
        if self.tls_client_ca is not None and self.tls_cert is None:
            return "--tls-client-ca asks clients for certificates over TLS; give --tls-cert and --tls-key too."
        if self.http_port is not None and (refusal := self._refusal_of_links):
            return refusal
        if self.open_to_all or self.tls_cert is not None or self.insecure_behind_proxy:
            return ""
        where = "in production" if self.environment is Environment.PRODUCTION else f"on {self.host}"
        return (
            f"Calls {where} need TLS, or their keys could be read on the way; "
            "give --tls-cert and --tls-key, or --insecure-behind-proxy where a proxy sees to it."
        )

    @property
    def _refusal_of_links(self) -> str:
        if self.public_url is None and (self.insecure_behind_proxy or not _is_loopback(self.host)):
            return "--http-port serves contractors' pages; give --public-url, the address that their browsers use."
        if self.insecure_behind_proxy and not self.trusted_proxies:
            return (
                "--http-port behind a proxy has to know whose forwarded addresses count, or all contractors would "
                "have the proxy's; give --trusted-proxies."
            )
        made = self.environment is Environment.SANDBOX and self.url.get_backend_name() == "sqlite"
        if not self.link_secret and not made:
            return (
                "--http-port serves contractors' pages, whose links are signed; give OPTIN_LINK_SECRET, "
                f"{SHORTEST_SECRET} or more random characters that every worker and restart has the same."
            )
        return ""

    @property
    def url(self) -> URL:
        return make_url(self.database_url)
