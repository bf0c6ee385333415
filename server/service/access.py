"""Who callers are, and whether their platforms may call now: from platforms and keys as they were a moment ago.

No call waits for storage here: a round looks for changes a few times a second, so that a key that is made or revoked
counts within one.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import structlog

from server.domain.callers import (
    DEFAULT_PLATFORM,
    EVERY_PLATFORM,
    SECRET,
    Caller,
    Key,
    Platform,
    Role,
    digest_of_certificate,
    digest_of_secret,
)
from server.domain.errors import InvalidCredentials, PlatformLimited, Retryable
from server.domain.ports import Clock, Storage

log = structlog.get_logger()

LOOK_SECONDS = 0.25
HELD_SECONDS = 1.0
HELD_SHARE = 0.5  # of the time that the caller has left
MOST_HELD = 1_000
UNLIMITED = math.inf
BEARER = "Bearer "
ANYBODY = Caller(platform=DEFAULT_PLATFORM, roles=frozenset(Role), actor="sandbox")


class _Allowance:
    """What a platform may still call here: a bucket that holds one second's calls, and the calls in flight."""

    def __init__(self, platform: Platform, processes: int) -> None:
        self._processes = processes
        self._calls = UNLIMITED
        self._counted = 0.0  # seconds, of the loop's clock
        self.in_flight = 0
        self.set(platform)

    def set(self, platform: Platform) -> None:
        self.platform = platform
        self._rate = self._part(platform.calls_per_second)
        self._most = self._part(platform.calls_in_flight)
        self._calls = min(self._calls, self._rate)

    def _part(self, limit: int | None) -> float:
        return UNLIMITED if limit is None else math.ceil(limit / self._processes)

    def take(self) -> None:
        """Raises PlatformLimited."""
        self._require_room()
        if self._rate == UNLIMITED:
            return
        now = asyncio.get_running_loop().time()
        self._calls = min(self._rate, self._calls + (now - self._counted) * self._rate)
        self._counted = now
        if self._calls < 1:
            raise PlatformLimited(limit="its calls a second")
        self._calls -= 1

    def _require_room(self) -> None:
        if self.in_flight >= self._most:
            raise PlatformLimited(limit="its calls at the same time")

    def __enter__(self) -> None:
        """Raises PlatformLimited."""
        self._require_room()
        self.in_flight += 1

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1


class Access:
    def __init__(
        self, storage: Storage, clock: Clock, *, open_to_all: bool, processes: int, holds: bool = True
    ) -> None:
        """`open_to_all`: who sends no credentials is the default platform, with every role.

        `processes`: how many serve; each gives its part of a platform's limits.
        `holds`: a connection is one caller's, as it is not where a proxy shares its own out.
        """
        self._holds = holds
        self._held = 0
        self._storage = storage
        self._clock = clock
        self.open_to_all = open_to_all
        self._processes = processes
        self._version: Sequence[object] = ()
        self._keys: Mapping[bytes, tuple[Key, Caller]] = {}
        self._allowances: dict[str, _Allowance] = {}

    async def look(self) -> None:
        """Takes up what has changed. Raises StorageUnavailable."""
        version = await self._storage.read_aside(lambda unit: unit.keys.version())
        if version == self._version:
            return
        # Keys first: whatever is made meanwhile, each has its platform.
        keys, platforms = await self._storage.read_aside(lambda unit: (unit.keys.all(), unit.platforms.all()))
        for platform in platforms:
            if allowance := self._allowances.get(platform.id):
                allowance.set(platform)
            else:
                self._allowances[platform.id] = _Allowance(platform, self._processes)
        # Revoked ones too, which refuse; of several for one certificate the one in force comes last.
        now = self._clock()
        in_order = sorted(keys, key=lambda key: (key.counts(now), key.id))
        self._keys = {key.digest: (key, _caller(key)) for key in in_order}
        self._version = version

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Retryable as error:
                log.warning("keys not looked at", reason=type(error).__name__)
            except Exception:
                log.exception("keys not looked at")

    def caller(self, authorization: Sequence[str], certificates: Sequence[str] = ()) -> Caller:
        """By its key, else by its certificate. Raises InvalidCredentials: what is sent is always checked."""
        if authorization:
            if len(authorization) > 1 or not authorization[0].startswith(BEARER):
                raise InvalidCredentials
            secret = authorization[0][len(BEARER) :]
            if not SECRET.fullmatch(secret):
                raise InvalidCredentials
            return self._known(digest_of_secret(secret))
        if certificates:
            bound = [digest for name in certificates if (digest := digest_of_certificate(name)) in self._keys]
            if len(bound) != 1:  # of two names with keys, neither is chosen
                raise InvalidCredentials
            return self._known(bound[0])
        if not self.open_to_all:
            raise InvalidCredentials
        return ANYBODY

    def _known(self, digest: bytes) -> Caller:
        key, caller = self._keys.get(digest, (None, None))
        if key is None or caller is None or not key.counts(self._clock()):
            raise InvalidCredentials
        return caller

    def withholds_premium(self, platform: str) -> bool | None:
        """None: as the server's setting says."""
        known = self._allowances.get(platform)
        return known.platform.withholds_premium if known else None

    def admitted(self, caller: Caller) -> AbstractContextManager[None]:
        """One call of the caller's platform, which is in flight while this is entered. Both raise PlatformLimited."""
        allowance = self._allowances[caller.platform]
        allowance.take()
        return allowance

    async def hold(self, seconds_left: float | None = None) -> None:
        """Before a refusal for a platform's own limits: the caller is to wait that long anyway.

        A connection carries so many calls at a time, so that who does not heed the refusals is slowed down to that
        many a second. Each refusal would cost as much as an empty call, at the expense of other platforms.
        """
        if not self._holds or self._held >= MOST_HELD:
            return
        self._held += 1
        try:
            await asyncio.sleep(min(HELD_SECONDS, HELD_SECONDS if seconds_left is None else seconds_left * HELD_SHARE))
        finally:
            self._held -= 1

    async def platform_of_work(self, underwriter: Caller, resource: str, *, reads: bool) -> str:
        """Whose resources the call is about: those of the platform that has the resource. What names none and only
        reads is about every platform's; what names none and changes is about the caller's own."""
        if not resource:
            return EVERY_PLATFORM if reads else underwriter.platform
        owner = await self._storage.read(lambda unit: unit.platforms.owning(resource))
        return owner or underwriter.platform


def _caller(key: Key) -> Caller:
    return Caller(platform=key.platform, roles=frozenset({key.role}), actor=key.id)
