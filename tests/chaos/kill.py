"""kill -9 under load, at failpoints and at random times; and the same for the database's backends.

One server and one database for all rounds: a round's server recovers from the round before, is asked for everything
again that was promised or left unsettled then, and is then killed in its turn.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos import checks
from tests.chaos.audits import audit
from tests.chaos.book import Asked, Book
from tests.chaos.crashing_server import POINTS
from tests.chaos.load import under_load
from tests.chaos.processes import Carrier, Process, carried, client_of, optin_serve, plan_for, put
from tests.chaos.result import Result
from tests.chaos.world import World
from tests.support.client import Client
from tests.support.postgres import PostgresCluster

CARRIER_SECONDS = 2
LEASE_MARGIN_SECONDS = 1.0
RECOVERY_SECONDS = CARRIER_SECONDS + LEASE_MARGIN_SECONDS + CARRIER_SECONDS + 5.0
LONGEST_LOAD_SECONDS = 4.0
AT_RANDOM = "at random"


@dataclass(kw_only=True)
class Killing:
    folder: Path
    url: str
    rounds: int
    seed: object
    remote: bool = False
    contractors: int = 12
    grow: int = 2
    cluster: PostgresCluster | None = None  # its backends are ended rather than the server
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
        ends = ", ".join(f"{point} {count}" for point, count in sorted(self.deaths.items()))
        slowest = max(self.recoveries, default=0.0)
        result.notes.append(
            f"ended {ends}; replays {self.book.replays}; rounds that left something pending "
            f"{self.pending_seen}, settled in at most {slowest:.1f} s"
        )
        return result

    async def _rounds(self, result: Result, carrier: Carrier | None) -> None:
        draws = Random(f"{self.seed}/rounds")
        world: World | None = None
        last: list[Asked] = []
        for number in range(self.rounds + 1):
            plan, env = plan_for(self.folder)
            server = self._start(number, env, carrier)
            try:
                async with client_of(await server.listens()) as client:
                    if world is None:
                        world = await World.create(client, self.seed, self.contractors)
                    await self._recovered(client, last, draws, carrier)
                    before = set(self.book.asked)
                    if number < self.rounds:
                        await world.grow(client, self.grow)
                        await self._load(server, client, world, draws, plan)
                        result.rounds += 1
                        last = [asked for id_, asked in self.book.asked.items() if id_ not in before]
                    else:
                        await self._at_the_end(client, world, carrier)
            finally:
                server.kill()
            if self.book.broken:
                break
        await audit(self.url, self.book)

    def _start(self, number: int, env: dict[str, str], carrier: Carrier | None) -> Process:
        arguments = ["--port", "0", "--database-url", self.url, "--carrier-timeout", f"{CARRIER_SECONDS}"]
        if carrier:
            arguments += ["--carrier", carrier.target]
        env |= {"CHAOS_LEASE_MARGIN": str(LEASE_MARGIN_SECONDS)}
        return optin_serve(self.folder / f"server-{number}.log", *arguments, env=env, crashing=True)

    async def _load(self, server: Process, client: Client, world: World, draws: Random, plan: Path) -> None:
        if self.cluster is not None and draws.random() < 0.5:
            await under_load(self.book, world, client, self._end_backends(draws))
            server.kill()
            return
        point = draws.choice((*POINTS, AT_RANDOM)) if self.remote else draws.choice((*POINTS[:2], AT_RANDOM))
        await under_load(self.book, world, client, self._die(server, point, draws, plan))

    async def _die(self, server: Process, point: str, draws: Random, plan: Path) -> None:
        await asyncio.sleep(0.1)
        if point != AT_RANDOM:
            put(plan, f"{point} {draws.choice((0.05, 0.1, 0.3))} {draws.getrandbits(32)}")
        else:
            await asyncio.sleep(draws.uniform(0.0, 1.0))
            server.kill()
        died = await checks.until(lambda: not server.runs, LONGEST_LOAD_SECONDS)
        server.kill()
        self.deaths[point if died else f"{point}, not met"] += 1

    async def _end_backends(self, draws: Random) -> None:
        assert self.cluster
        for _ in range(5):
            await asyncio.sleep(draws.uniform(0.05, 0.4))
            await asyncio.to_thread(self.cluster.kill_backends)
        self.deaths["backends 5 times"] += 1

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
