"""Platforms and keys for tests, made as `optin platform` and `optin key` make them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from sqlalchemy import make_url

from server.commands.beside import write
from server.domain.callers import DEFAULT_PLATFORM, Role
from server.service import platforms
from server.service.roles import ROLES


async def made_platform(url: str, **values: Any) -> str:
    """The platform's id."""
    given = {"name": "Another", "withholds_premium": True, "calls_per_second": None, "calls_in_flight": None} | values
    made = await write(make_url(url), lambda unit: platforms.create(unit, datetime.now(UTC), given))
    return made.id


async def made_key(
    url: str,
    platform: str = DEFAULT_PLATFORM,
    role: Role = Role.PLATFORM,
    *,
    lifetime: timedelta | None = None,
    certificate: str = "",
) -> str:
    """The key's secret."""
    now = datetime.now(UTC)
    expire_time = now + lifetime if lifetime else None
    _, secret = await write(
        make_url(url),
        lambda unit: platforms.create_key(
            unit, now, platform, role, label="a test", expire_time=expire_time, certificate=certificate
        ),
    )
    return secret


async def made_keys(url: str, platform: str = DEFAULT_PLATFORM) -> list[grpc.aio.ClientInterceptor]:
    """Sends one key for what a platform may do, and one for what only an underwriter may."""
    return sends(await made_key(url, platform), await made_key(url, platform, Role.UNDERWRITER))


def sends(secret: str, underwriters: str = "") -> list[grpc.aio.ClientInterceptor]:
    """For a channel: sends a key with every call, another with what the first may not call."""
    return [_WithCalls(secret, underwriters or secret), _WithStreams(secret, underwriters or secret)]


class _Sends:
    def __init__(self, secret: str, underwriters: str) -> None:
        self._secret = secret
        self._underwriters = underwriters

    async def _go(self, go_on: Callable[..., Any], details: Any, request: Any) -> Any:
        name = details.method if isinstance(details.method, str) else details.method.decode()
        secret = self._secret if Role.PLATFORM in ROLES[name.removeprefix("/")] else self._underwriters
        sent = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", f"Bearer {secret}"))
        return await go_on(details._replace(metadata=sent), request)


class _WithCalls(_Sends, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._go(continuation, client_call_details, request)


class _WithStreams(_Sends, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._go(continuation, client_call_details, request)
