"""What was asked of Optin, and what it answered: every OK is a promise, which the book holds it to."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import grpc
from google.rpc.error_details_pb2 import RetryInfo

from tests.support.client import Client, Refusal

CREATE_ASSIGNMENT = "optin.v1.AssignmentService/CreateAssignment"
NO_STORAGE = "UNAVAILABLE STORAGE_UNAVAILABLE"  # among the codes; none of them came without RetryInfo
PATIENCE_SECONDS = 40.0

MAY_COME_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
}


@dataclass(slots=True, eq=False)
class Asked:
    """One request, however often it is sent."""

    request_id: str
    method: str
    body: bytes
    subject: str  # the contractor that it is about
    promised: bytes | None = None  # the first OK answer
    sent: int = 0


@dataclass(slots=True)
class Book:
    asked: dict[str, Asked] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    replays: int = 0
    patience_seconds: float = PATIENCE_SECONDS
    slowest: float = 0.0  # seconds
    last_refused: float = 0.0  # by time.monotonic

    def take(self, asked: Asked) -> Asked:
        return self.asked.setdefault(asked.request_id, asked)

    @property
    def promises(self) -> list[Asked]:
        return [asked for asked in self.asked.values() if asked.promised is not None]

    @property
    def unsettled(self) -> list[Asked]:
        """Those that nobody knows about: lost with the server, or not done."""
        return [asked for asked in self.asked.values() if asked.promised is None]

    async def send(self, client: Client, asked: Asked) -> bool:
        """Whether the answer was OK. What else may come is counted; what may not is broken."""
        asked.sent += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.patience_seconds):
                answer = await client.raw(asked.method, asked.body)
        except grpc.aio.AioRpcError as error:
            self._refused(asked, error)
            return False
        except TimeoutError:
            self.broken.append(f"{asked.request_id}: no answer in {self.patience_seconds:.0f} s")
            return False
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        self.codes["OK"] += 1
        if asked.promised is None:
            asked.promised = answer.body
            return True
        self.replays += answer.replayed
        if asked.promised != answer.body:
            self.broken.append(f"{asked.request_id}: its replay differs from the first answer")
        return True

    async def settle(self, client: Client, asked: Asked) -> None:
        """Sends it again until it is answered OK, as a client would."""
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            while not await self.send(client, asked):
                await asyncio.sleep(0.2)

    async def settle_all(self, client: Client, some: list[Asked], callers: int = 50) -> None:
        slots = asyncio.Semaphore(callers)

        async def one(asked: Asked) -> None:
            async with slots:
                try:
                    await self.settle(client, asked)
                except TimeoutError:
                    self.broken.append(f"{asked.request_id}: never answered OK again")

        await asyncio.gather(*map(one, some))

    def _refused(self, asked: Asked, error: grpc.aio.AioRpcError) -> None:
        refusal = Refusal(error)
        self.last_refused = time.monotonic()
        reason = refusal.reason if refusal.details else ""
        self.codes[f"{refusal.code.name} {reason}".strip()] += 1
        if refusal.code not in MAY_COME_AGAIN:
            self.broken.append(f"{asked.request_id}: {refusal.code.name} {reason} {refusal.message!r}")
        elif refusal.details and not refusal.of(RetryInfo):
            self.broken.append(f"{asked.request_id}: {refusal.code.name} {reason} without RetryInfo")
