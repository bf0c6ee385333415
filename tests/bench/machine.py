"""Where a run was measured, and who else was at it."""

import os
import platform
import resource
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

SYNCS = 200


def machine(folder: Path) -> dict[str, object]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory": f"{memory / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "write and fdatasync of 4 kB": f"{_sync_seconds(folder) * 1000:.2f} ms",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _sync_seconds(folder: Path) -> float:
    """The median: what a durable commit cannot be quicker than, on the disk that the databases are on."""
    file = folder / "sync"
    taken = []
    with file.open("wb", buffering=0) as out:
        for _ in range(SYNCS):
            started = time.perf_counter()
            out.write(b"-" * 4096)
            os.fdatasync(out.fileno())
            taken.append(time.perf_counter() - started)
    file.unlink()
    return sorted(taken)[SYNCS // 2]


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of all cores that were used: by anyone, and by this process and its children that have ended."""

    used: float
    ours: float
    at: float

    @classmethod
    def now(cls) -> "Cpu":
        user, nice, system, _, _, irq, softirq, *_ = (
            int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        )
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        ticks = user + nice + system + irq + softirq
        ours = sum(usage.ru_utime + usage.ru_stime for usage in spent)
        return cls(ticks / os.sysconf("SC_CLK_TCK"), ours, time.monotonic())

    def share_of_others(self) -> float:
        """Of the machine, since then: 0 on one that was left alone."""
        now = Cpu.now()
        all_cores = (now.at - self.at) * (os.cpu_count() or 1)
        return max(now.used - self.used - (now.ours - self.ours), 0.0) / all_cores
