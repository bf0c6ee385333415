"""Who may call: platforms, their keys, and the roles that a key gives (issue 5). Storage implements the ports."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

DEFAULT_PLATFORM = "pf_default"
EVERY_PLATFORM = "*"  # no platform's id: what an underwriter lists

SECRET = re.compile(r"opk_[0-9A-Za-z_-]{43}")  # 256 bits


class Face(StrEnum):
    """Where a call came in, and so the form of its response."""

    GRPC = "grpc"
    WEB = "web"


class Role(StrEnum):
    PLATFORM = "platform"  # all that is its own, but approvals and reviews
    READER = "reader"
    UNDERWRITER = "underwriter"  # categories, approvals and reviews, of every platform


UNDERWRITER = frozenset({Role.UNDERWRITER})


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    id: str
    name: str
    withholds_premium: bool | None  # None: as the server's setting says, which is so for the default platform only
    calls_per_second: int | None  # the most that it may make; None: any number
    calls_in_flight: int | None  # the most at the same time; None: any number
    create_time: datetime
    update_time: datetime
    revision: int = 0  # storage counts its updates


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """Names a platform and a role to who knows its secret, or shows a client certificate by its name."""

    id: str
    platform: str
    role: Role
    label: str
    digest: bytes  # of the secret, or of the certificate's name
    certificate: str  # the name; empty: the key has a secret
    create_time: datetime
    expire_time: datetime | None
    revoke_time: datetime | None

    def counts(self, now: datetime) -> bool:
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    platform: str
    roles: frozenset[Role]
    actor: str  # in the audit trail: the key's id, or who needs none

    @property
    def is_underwriter(self) -> bool:
        """And nothing else: its work is with every platform."""
        return self.roles == UNDERWRITER


def digest_of_secret(secret: str) -> bytes:
    """256 random bits need no slow hash: nobody can try them."""
    return hashlib.sha256(b"secret\0" + secret.encode()).digest()


def digest_of_certificate(name: str) -> bytes:
    return hashlib.sha256(b"certificate\0" + name.encode()).digest()


class Platforms(Protocol):
    def lock(self) -> None:
        """No other unit changes platforms and keys until this one ends."""

    def all(self) -> Sequence[Platform]:
        """In the order of their ids."""

    def insert(self, platform: Platform) -> None: ...

    def update(self, platform: Platform) -> None: ...

    def owning(self, resource: str) -> str | None:
        """The platform of an application session or a job category; None: there is none."""


class Keys(Protocol):
    def all(self) -> Sequence[Key]:
        """Revoked and expired ones too, in the order of their ids."""

    def insert(self, key: Key) -> None: ...

    def update(self, key: Key) -> None: ...

    def version(self) -> Sequence[object]:
        """Another one after each change of a platform or a key."""
