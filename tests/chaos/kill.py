"""kill -9 under load: of the server, at failpoints and at random times, and of a backend of its database.

One server and one database for all rounds: a round's server recovers from the round before, is asked for everything
again that was promised or left unsettled then, and is then killed in its turn.
"""

import asyncio
import signal
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random

from tests.chaos import backends, checks
from tests.chaos.audits import audit
from tests.chaos.book import Asked, Book
from tests.chaos.crashing_server import POINTS
from tests.chaos.load import CALLERS, under_load
from tests.chaos.processes import Carrier, Process, carried, client_of, optin_serve, plan_for, put
from tests.chaos.result import Result
from tests.chaos.world import World
from tests.support.client import Client
from tests.support.postgres import PostgresCluster

CARRIER_SECONDS = 2
LEASE_MARGIN_SECONDS = 1.0
RECOVERY_SECONDS = CARRIER_SECONDS + LEASE_MARGIN_SECONDS + CARRIER_SECONDS + 5.0
LONGEST_LOAD_SECONDS = 4.0
SERVED_AGAIN_SECONDS = 10.0  # after a backend's end, PostgreSQL's own recovery included
TRIES = 4  # of a round, to come to its failpoint
LOSSES = 5  # of backends in a round

# How a round ends.
AT_RANDOM = "at random"
BACKENDS_CUT = "backends cut"  # as by an operator, all of them
BACKEND_KILLED = "backend killed"  # kill -9 of one
ENDS = (*POINTS, AT_RANDOM)
ENDS_ON_POSTGRESQL = (*ENDS, BACKENDS_CUT, BACKEND_KILLED)


def each_in_turn(ends: Sequence[str], rounds: int, seed: object) -> list[str]:
    """So many ends, each as often as the others, in an order that is drawn."""
    drawn = list(islice(cycle(ends), rounds))
    Random(f"{seed}/ends").shuffle(drawn)
    return drawn


@dataclass(kw_only=True)
class Killing:
    folder: Path
    url: str
    ends: Sequence[str]  # of the rounds
    seed: object
    remote: bool = False
    contractors: int = 12
    grow: int = 2
    cluster: PostgresCluster | None = None  # of the url
    book: Book = field(default_factory=Book)
    deaths: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    pending_seen: int = 0

    async def run(self, name: str) -> Result:
        result = Result(name)
        if self.remote:
            faults = ("--fault", "answers-late", "--share", "0.5", "--late", "0.3", "--seed", "1")
            async with carried(self.folder / "carrier", *faults) as carrier:
                await self._rounds(result, carrier)
        else:
            await self._rounds(result, None)
        result.add(self.book)
        ends = ", ".join(f"{end} {count}" for end, count in sorted(self.deaths.items()))
        slowest = max(self.recoveries, default=0.0)
        result.notes.append(
            f"ended {ends}; replays {self.book.replays}; rounds that left something pending "
            f"{self.pending_seen}, settled in at most {slowest:.1f} s"
        )
        return result

    async def _rounds(self, result: Result, carrier: Carrier | None) -> None:
        """A round that did not come to its failpoint is done again, and does not count."""
        draws = Random(f"{self.seed}/rounds")
        world: World | None = None
        last: list[Asked] = []
        left = deque(self.ends)
        tries = 0
        while not self.book.broken:
            plan, env = plan_for(self.folder)
            server = self._start(self.deaths.total(), env, carrier)
            try:
                async with client_of(await server.listens()) as client:
                    if world is None:
                        world = await World.create(client, self.seed, self.contractors)
                    await self._recovered(client, last, draws, carrier)
                    if not left:
                        await self._at_the_end(client, world, carrier)
                        break
                    before = set(self.book.asked)
                    await world.grow(client, self.grow)
                    met = await self._ended(left[0], server, client, world, draws, plan)
                    last = [asked for id_, asked in self.book.asked.items() if id_ not in before]
            finally:
                server.kill()
            if server.process.returncode != -signal.SIGKILL:
                self.book.broken.append(f"{left[0]}: the server ended by itself: {server.last_words()}")
            self.deaths[left[0] if met else f"{left[0]}, not met"] += 1
            tries = 0 if met else tries + 1
            if met:
                left.popleft()
                result.rounds += 1
            elif tries == TRIES:
                self.book.broken.append(f"{left[0]}: not met in {TRIES} rounds")
        await audit(self.url, self.book)

    def _start(self, number: int, env: dict[str, str], carrier: Carrier | None) -> Process:
        arguments = ["--port", "0", "--database-url", self.url, "--carrier-timeout", f"{CARRIER_SECONDS}"]
        if carrier:
            arguments += ["--carrier", carrier.target]
        env |= {"CHAOS_LEASE_MARGIN": str(LEASE_MARGIN_SECONDS)}
        return optin_serve(self.folder / f"server-{number}.log", *arguments, env=env, crashing=True)

    async def _ended(self, end: str, server: Process, client: Client, world: World, draws: Random, plan: Path) -> bool:
        """Whether the round came to the end that was meant."""
        if end in (BACKENDS_CUT, BACKEND_KILLED):
            ending = self._lose_backends(end, draws)
        else:
            ending = self._die(server, end, draws, plan)
        return await under_load(self.book, world, client, ending)

    async def _die(self, server: Process, end: str, draws: Random, plan: Path) -> bool:
        await asyncio.sleep(0.1)
        if end == AT_RANDOM:
            await asyncio.sleep(draws.uniform(0.0, 1.0))
            server.kill()
        else:
            put(plan, f"{end} {draws.choice((0.05, 0.1, 0.3))} {draws.getrandbits(32)}")
        died = await checks.until(lambda: not server.runs, LONGEST_LOAD_SECONDS)
        server.kill()
        return died

    async def _lose_backends(self, end: str, draws: Random) -> bool:
        """Several times, and each time the same server goes on with others."""
        assert self.cluster
        for _ in range(LOSSES):
            await asyncio.sleep(draws.uniform(0.05, 0.4))
            if end == BACKEND_KILLED:
                await backends.kill_one(self.url)
            else:
                await asyncio.to_thread(self.cluster.kill_backends)
            await self._served_again(end)
        return True

    async def _served_again(self, end: str) -> None:
        served = self.book.codes["OK"] + CALLERS  # answers that were on their way, one a caller
        if not await checks.until(lambda: self.book.codes["OK"] > served, SERVED_AGAIN_SECONDS):
            self.book.broken.append(f"{end}: hardly a call was answered OK in {SERVED_AGAIN_SECONDS:.0f} s")

    async def _recovered(self, client: Client, last: list[Asked], draws: Random, carrier: Carrier | None) -> None:
        """Nothing pending, every promise of the round kept, and some of earlier rounds."""
        if await checks.pending(client):
            self.pending_seen += 1
            self.recoveries.append(await checks.rest(client, self.book, RECOVERY_SECONDS))
        older = self.book.promises
        again = last + draws.sample(older, min(30, len(older)))
        await self.book.settle_all(client, again)
        await self.book.settle_all(client, last)  # what was unsettled has an answer now, which has to stay
        await checks.kept(client, self.book, {asked.subject for asked in last})
        if carrier is not None:
            await checks.rest(client, self.book, RECOVERY_SECONDS)

    async def _at_the_end(self, client: Client, world: World, carrier: Carrier | None) -> None:
        assert not self.book.unsettled
        await self.book.settle_all(client, list(self.book.asked.values()))
        await checks.kept(client, self.book, world.contractors)
        await checks.rest(client, self.book, 1.0)
        if carrier is not None:
            await checks.agreed(client, self.book, carrier.ledger)
