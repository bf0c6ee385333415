"""`make load`: every ghz configuration beside this file, against a server of its own, held to bounds.toml.

    python -m tests.load.run [NAME ...]

Reports go to results/load/. Ends with 1 when a bound is broken, or `optin audit` finds something afterwards.
"""

import argparse
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.load.bounds import FOLDER, BadReport, Bounds, Report, broken, load_bounds, wrongly_added
from tests.load.prepare import DATA, ROOT, prepare
from tests.load.serving import OPTIN, Served, serving

GHZ = ROOT / ".tools" / "ghz"
RESULTS = ROOT / "results" / "load"
RUN_SECONDS = 300.0
TABLES = ("assignments", "decisions", "policies", "requests")


@dataclass(kw_only=True)
class Ran:
    name: str
    report: Report | None = None
    broken: list[str] = field(default_factory=list)


def rows(database: Path) -> dict[str, int]:
    """How many there are of each, counted in the file itself and not by the server that is tested."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def start_ghz(name: str, target: str, report: Path) -> subprocess.Popen[bytes]:
    config = FOLDER / f"{name}.json"
    command: list[str | Path] = [GHZ, "--config", config, "--format", "json", "--output", report, target]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)


def run_together(names: Sequence[str], served: Served, bounds: Mapping[str, Bounds]) -> Iterator[Ran]:
    """Configurations that run at the same time; most run alone."""
    reports = {name: RESULTS / f"{name}.json" for name in names}
    for report in reports.values():
        report.unlink(missing_ok=True)  # or an old one would do for a run that left none
    before = rows(served.database)
    processes = [start_ghz(name, served.target, report) for name, report in reports.items()]
    try:
        ends = [process.wait(RUN_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    after = rows(served.database)
    added = {table: after[table] - before[table] for table in TABLES}
    for (name, path), end in zip(reports.items(), ends, strict=True):
        ran = Ran(name=name)
        try:
            ran.report = Report.read(path)
            ran.broken += broken(ran.report, bounds[name])
        except BadReport as error:
            ran.broken.append(f"ghz ended with {end} and left no report: {error}")
        ran.broken += wrongly_added(added, bounds[name])
        yield ran


def groups(bounds: Mapping[str, Bounds], wanted: Sequence[str]) -> Iterator[list[str]]:
    """The names, in order, those that run at the same time in one list."""
    done: set[str] = set()
    for name in wanted or bounds:
        if name not in done:
            group = [name] if not bounds[name].beside else [name, bounds[name].beside]
            done.update(group)
            yield group


def table(runs: Sequence[Ran]) -> str:
    head = ("configuration", "calls", "OK", "calls/s", "p50 ms", "p95 ms", "p99 ms", "")
    lines: list[tuple[str, ...]] = [head]
    for ran in runs:
        verdict = "BROKEN" if ran.broken else "holds"
        if ran.report is None:
            lines.append((ran.name, "-", "-", "-", "-", "-", "-", verdict))
            continue
        times = (f"{ran.report.percentiles_ms.get(p, 0.0):.1f}" for p in (50, 95, 99))
        lines.append((ran.name, str(ran.report.calls), str(ran.report.ok), f"{ran.report.rate:.0f}", *times, verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "  ".join(cell.ljust(width) if column in (0, 7) else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines
    ]  # fmt: skip
    text += [f"{ran.name}: {sentence}." for ran in runs for sentence in ran.broken]
    return "\n".join(text)


def judged(runs: Sequence[Ran]) -> int:
    """Prints the table; the exit code."""
    print(table(runs))
    return 1 if any(ran.broken for ran in runs) else 0


def main(arguments: Sequence[str]) -> int:
    bounds = load_bounds()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(bounds)}")
    wanted = parser.parse_args(arguments).names
    if unknown := set(wanted) - set(bounds):
        parser.error(f"{', '.join(sorted(unknown))}: there is no such configuration")
    if not GHZ.exists():
        sys.exit("ghz is missing: `make tools` builds it (it needs Go).")
    RESULTS.mkdir(parents=True, exist_ok=True)
    runs: list[Ran] = []
    with tempfile.TemporaryDirectory(prefix="optin-load-") as folder:
        with serving(folder=Path(folder)) as served:
            print("Preparing contractors, opt-ins and assignments through the API ...", flush=True)
            shutil.rmtree(DATA, ignore_errors=True)
            prepare(served.target)
            for group in groups(bounds, wanted):
                print(f"{' and '.join(group)} ...", flush=True)
                runs += run_together(group, served, bounds)
        print("optin audit ...", flush=True)
        audit = subprocess.run([OPTIN, "audit", "--database-url", f"sqlite:///{served.database}"], check=False)
    return judged(runs) or audit.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
