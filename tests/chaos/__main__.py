"""`make chaos`: every scenario, a fixed number of rounds, a table, and exit code 1 if any promise was broken."""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from server import logs
from server.carrier.fake import Fault
from server.storage import schema
from tests.chaos import cancel, carrier_faults, disk_full, fuzzing, race, stopped_postgres
from tests.chaos.kill import ENDS, ENDS_ON_POSTGRESQL, Killing, each_in_turn
from tests.chaos.result import Result, table
from tests.support.postgres import PostgresCluster


@dataclass(frozen=True)
class Run:
    """What every scenario has; `n` scales a full number of rounds or calls down for a try."""

    folder: Path
    seed: str
    scale: float
    cluster: PostgresCluster
    template: str

    def n(self, full: int) -> int:
        return max(1, round(full * self.scale))

    def sqlite(self) -> str:
        return f"sqlite+aiosqlite:///{self.folder}/optin.db"

    def postgres(self) -> str:
        return self.cluster.create_database(self.template)


Scenario = Callable[[Run], Awaitable[Result]]


async def kill_sqlite(run: Run) -> Result:
    return await _kill_sqlite(run, remote=False).run("kill, sqlite")


async def kill_sqlite_carrier(run: Run) -> Result:
    return await _kill_sqlite(run, remote=True).run("kill, sqlite, carrier")


def _kill_sqlite(run: Run, *, remote: bool) -> Killing:
    ends = each_in_turn(ENDS, run.n(50), run.seed)
    return Killing(folder=run.folder, url=run.sqlite(), ends=ends, seed=run.seed, remote=remote)


async def kill_postgres(run: Run) -> Result:
    return await _kill_postgres(run, remote=False).run("kill, postgresql")


async def kill_postgres_carrier(run: Run) -> Result:
    return await _kill_postgres(run, remote=True).run("kill, postgresql, carrier")


def _kill_postgres(run: Run, *, remote: bool) -> Killing:
    ends = each_in_turn(ENDS_ON_POSTGRESQL, run.n(15), run.seed)
    return Killing(folder=run.folder, url=run.postgres(), ends=ends, seed=run.seed, remote=remote, cluster=run.cluster)


async def carrier_with_breaker(run: Run) -> Result:
    return await carrier_faults.run(run.folder, run.sqlite(), run.seed, list(Fault), run.n(200), breaker=True)


async def carrier_without_breaker(run: Run) -> Result:
    return await carrier_faults.run(run.folder, run.sqlite(), run.seed, list(Fault), run.n(200), breaker=False)


async def several_servers(run: Run) -> Result:
    return await race.run(
        run.folder, run.postgres(), run.seed, servers=2, workers=4, assignments=run.n(10_000), contractors=50
    )


async def postgres_stopped(run: Run) -> Result:
    return await stopped_postgres.run(run.folder, run.cluster, run.postgres(), run.seed, run.n(6))


async def cancel_sqlite(run: Run) -> Result:
    locks = cancel.sqlite_locks(run.folder / "optin.db")
    return await cancel.run(run.folder, run.sqlite(), run.seed, calls=run.n(2_000), remote=False, locks=locks)


async def cancel_sqlite_carrier(run: Run) -> Result:
    locks = cancel.sqlite_locks(run.folder / "optin.db")
    return await cancel.run(run.folder, run.sqlite(), run.seed, calls=run.n(2_000), remote=True, locks=locks)


async def cancel_postgres(run: Run) -> Result:
    url = run.postgres()
    locks = cancel.postgres_locks(url)
    return await cancel.run(run.folder, url, run.seed, calls=run.n(2_000), remote=False, locks=locks)


async def cancel_postgres_carrier(run: Run) -> Result:
    url = run.postgres()
    locks = cancel.postgres_locks(url)
    return await cancel.run(run.folder, url, run.seed, calls=run.n(2_000), remote=True, locks=locks)


async def disk_full_quota(run: Run) -> Result:
    return await disk_full.run(run.folder, run.seed, run.n(10), tmpfs=False)


async def disk_full_tmpfs(run: Run) -> Result:
    if disk_full.may_mount(run.folder):
        return await disk_full.run(run.folder, run.seed, run.n(10), tmpfs=True)
    return Result("disk full, tmpfs", notes=["NOT RUN: it takes the right to mount; the quota stands for it"])


async def fuzz_sqlite(run: Run) -> Result:
    return await fuzzing.run(run.folder, run.sqlite(), run.seed, requests=run.n(80_000))


async def fuzz_postgres(run: Run) -> Result:
    return await fuzzing.run(run.folder, run.postgres(), run.seed, requests=run.n(20_000))


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__.replace("_", "-"): scenario
    for scenario in (
        kill_sqlite,
        kill_sqlite_carrier,
        kill_postgres,
        kill_postgres_carrier,
        cancel_sqlite,
        cancel_sqlite_carrier,
        cancel_postgres,
        cancel_postgres_carrier,
        several_servers,
        carrier_with_breaker,
        carrier_without_breaker,
        postgres_stopped,
        disk_full_quota,
        disk_full_tmpfs,
        fuzz_sqlite,
        fuzz_postgres,
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="of everything that is drawn")
    parser.add_argument("--scale", type=float, default=1.0, help="of the rounds and calls; 1 is the full number")
    which = f"all unless named, by their beginning too: {', '.join(SCENARIOS)}"
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=which)
    options = parser.parse_args()
    if unknown := [name for name in options.scenarios if not _named(name)]:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    names = [scenario for name in options.scenarios or [""] for scenario in _named(name)]
    logs.configure(console=True, level="error")  # of servers in this process
    print(f"seed {options.seed}, scale {options.scale}", flush=True)
    results = asyncio.run(_all(names, options.seed, options.scale))
    print(f"\n{table(results)}\n\nseed {options.seed}, scale {options.scale}")
    return int(any(result.broken for result in results))


def _named(name: str) -> list[str]:
    """The scenario, or all whose names begin so."""
    return [name] if name in SCENARIOS else [scenario for scenario in SCENARIOS if scenario.startswith(name)]


async def _all(names: list[str], seed: str, scale: float) -> list[Result]:
    results: list[Result] = []
    with PostgresCluster() as cluster:
        template = cluster.create_database()
        await schema.migrate(make_url(template))
        for name in names:
            folder = Path(tempfile.mkdtemp(prefix=f"optin-chaos-{name}-"))
            results.append(await _one(name, Run(folder, seed, scale, cluster, template)))
            if not results[-1].broken:
                shutil.rmtree(folder)
    return results


async def _one(name: str, run: Run) -> Result:
    print(f"{name} ...", end=" ", flush=True)
    began = time.monotonic()
    try:
        result = await SCENARIOS[name](run)
    except Exception as error:
        result = Result(name, broken=[f"it ended with {error!r}"])
    result.seconds = time.monotonic() - began
    if result.broken:
        result.notes.append(f"logs and files are left in {run.folder}")
    print(f"{result.seconds:.0f} s{', BROKEN' if result.broken else ''}", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
