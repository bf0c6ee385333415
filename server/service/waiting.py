"""Waiting for a policy that is being bound: by an event in this process, by polling across processes."""

import asyncio
from collections import defaultdict
from datetime import timedelta

from server.domain.enums import PolicyStatus
from server.domain.ports import Storage

FIRST_POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 0.5


class Settlements:
    def __init__(self, storage: Storage, limit: timedelta) -> None:
        """`limit`: how long a call waits, for all policies that it has to wait for."""
        self._storage = storage
        self._limit_seconds = limit.total_seconds()
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def announce(self, policy: str) -> None:
        """This process has settled the policy."""
        for event in self._waiting.get(policy, ()):
            event.set()

    def until(self) -> float:
        """When a call that begins to wait now gives up, by the loop's clock."""
        return asyncio.get_running_loop().time() + self._limit_seconds

    async def wait(self, platform: str, policy: str, until: float) -> bool:
        """Whether the policy was settled by then. Holds nothing while it waits."""
        event = asyncio.Event()
        self._waiting[policy].add(event)
        try:
            async with asyncio.timeout_at(until):
                await self._poll(platform, policy, event)
        except TimeoutError:
            return False
        finally:
            self._waiting[policy].discard(event)
            if not self._waiting[policy]:
                del self._waiting[policy]
        return True

    async def _poll(self, platform: str, policy: str, event: asyncio.Event) -> None:
        pause = FIRST_POLL_SECONDS
        while True:
            found = await self._storage.read(lambda unit: unit.policies.find(platform, [policy]))
            if found[policy].status is not PolicyStatus.PENDING:
                return
            try:
                async with asyncio.timeout(pause):
                    await event.wait()
                event.clear()
            except TimeoutError:
                pause = min(2 * pause, LONGEST_POLL_SECONDS)
