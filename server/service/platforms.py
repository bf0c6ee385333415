"""Platforms and keys, as operators make and change them."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from server.domain.callers import Key, Platform, Role, digest_of_certificate, digest_of_secret
from server.domain.errors import NotFound
from server.domain.ports import Unit
from server.domain.trail import OPERATOR, act
from server.service.context import new_id

T = TypeVar("T", Platform, Key)


class CertificateTaken(Exception):
    """Another key, which this names, is in force for the name."""


def create(unit: Unit, now: datetime, values: Mapping[str, Any]) -> Platform:
    platform = Platform(id=new_id("pf"), create_time=now, update_time=now, **values)
    unit.platforms.insert(platform)
    unit.trail.record(platform.id, act(now, OPERATOR, "platform create", platform.id))
    return platform


def update(unit: Unit, now: datetime, platform_id: str, changes: Mapping[str, Any]) -> Platform:
    """Raises NotFound."""
    unit.platforms.lock()
    platform = replace(get(unit, platform_id), update_time=now, **changes)
    unit.platforms.update(platform)
    unit.trail.record(platform.id, act(now, OPERATOR, "platform update", platform.id))
    return platform


def get(unit: Unit, platform_id: str) -> Platform:
    """Raises NotFound."""
    return _named("platform", platform_id, unit.platforms.all())


def create_key(
    unit: Unit,
    now: datetime,
    platform_id: str,
    role: Role,
    *,
    label: str,
    expire_time: datetime | None,
    certificate: str,
) -> tuple[Key, str]:
    """The key and its secret, which is nowhere else; empty for a certificate's name.

    Raises NotFound for the platform, CertificateTaken.
    """
    unit.platforms.lock()
    get(unit, platform_id)
    for other in unit.keys.all() if certificate else ():
        if other.certificate == certificate and other.counts(now):
            raise CertificateTaken(other.id)
    secret = "" if certificate else f"opk_{secrets.token_urlsafe(32)}"
    digest = digest_of_certificate(certificate) if certificate else digest_of_secret(secret)
    key = Key(
        id=new_id("key"),
        platform=platform_id,
        role=role,
        label=label,
        digest=digest,
        certificate=certificate,
        create_time=now,
        expire_time=expire_time,
        revoke_time=None,
    )
    unit.keys.insert(key)
    unit.trail.record(platform_id, act(now, OPERATOR, "key create", key.id))
    return key, secret


def revoke_key(unit: Unit, now: datetime, key_id: str) -> Key:
    """One that is revoked stays as it is. Raises NotFound."""
    unit.platforms.lock()
    key = _named("key", key_id, unit.keys.all())
    if key.revoke_time is not None:
        return key
    key = replace(key, revoke_time=now)
    unit.keys.update(key)
    unit.trail.record(key.platform, act(now, OPERATOR, "key revoke", key.id))
    return key


def _named(kind: str, id_: str, there: Iterable[T]) -> T:
    """Raises NotFound."""
    found = next((one for one in there if one.id == id_), None)
    if found is None:
        raise NotFound(kind, id_)
    return found
