"""`make bench`: what the server does, in pairs that were measured side by side.

    python -m tests.bench [--quick] [--figures share,peak]

Results go to results/bench: figures.json, curves.json and curves.png.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import curves
from tests.bench.bench import Bench, Figure
from tests.bench.clients import RunFailed, missing
from tests.bench.figures.at_fifty import grouping, share, tail
from tests.bench.figures.memory import memory
from tests.bench.figures.neighbour import neighbour
from tests.bench.figures.news import news
from tests.bench.figures.observed import beside_http, observed
from tests.bench.figures.overload import flood, peak
from tests.bench.figures.postgres import postgres
from tests.bench.figures.stored import stored
from tests.bench.figures.watchers import watchers
from tests.bench.machine import Cpu, machine
from tests.load.prepare import ROOT
from tests.load.serving import ServerFailed
from tests.support.postgres import PostgresMissing

RESULTS = ROOT / "results" / "bench"
CURVES = "curves"
FIGURES: dict[str, Callable[[Bench], Figure]] = {
    figure.__name__: figure
    for figure in (
        share,
        grouping,
        tail,
        watchers,
        observed,
        beside_http,
        neighbour,
        news,
        stored,
        memory,
        postgres,
        peak,
        flood,
    )
}
NAMES = (*FIGURES, CURVES)
QUIET = 0.1


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a look, in about three minutes; its figures do not count")
    parser.add_argument("--figures", metavar="NAME,NAME", help=f"some of {', '.join(NAMES)}; all if left out")
    options = parser.parse_args(arguments)
    wanted = options.figures.split(",") if options.figures else NAMES
    if unknown := set(wanted) - set(NAMES):
        parser.error(f"{', '.join(sorted(unknown))}: there is no such figure, only {', '.join(NAMES)}")
    if missing():
        sys.exit(missing())
    RESULTS.mkdir(parents=True, exist_ok=True)
    folder = RESULTS / "databases"  # beside the clone, on a disk: a temporary folder may be in memory
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        return run(Bench(folder, quick=options.quick), wanted)
    finally:
        shutil.rmtree(folder)


def run(bench: Bench, wanted: Sequence[str]) -> int:
    where = machine(bench.folder)
    caption = f"{datetime.now(UTC):%Y-%m-%d}, " + ", ".join(f"{name} {value}" for name, value in where.items())
    print(caption + ("\nQuick: too short to count." if bench.quick else ""))
    figures: list[Figure] = []
    failed: list[str] = []
    for name in wanted:
        print(f"{name} ...", flush=True)
        cpu, started = Cpu.now(), time.monotonic()
        try:
            if name == CURVES:
                found = curves.curves(bench)
                curves.write(found, RESULTS, caption)
                print(curves.table(found))
            else:
                figures.append(FIGURES[name](bench))
                print(f"  {told(figures[-1])}")
        except PostgresMissing as error:
            print(f"  left out: {error}")
            continue
        except (RunFailed, ServerFailed) as error:
            print(f"  FAILED: {error}")
            failed.append(name)
            continue
        if (seconds := time.monotonic() - started) > 1:  # else what it needed had been measured before
            others = cpu.share_of_others()
            warning = "  << not a quiet machine" if others > QUIET else ""
            print(f"  ({seconds:.0f} s; others used {others:.0%} of the machine{warning})", flush=True)
            if name != CURVES:
                figures[-1].numbers["share of the machine that others used"] = round(others, 3)
        save(RESULTS / "figures.json", figures, where, quick=bench.quick)
    if figures:
        print("\n" + table(figures))
    missed = [figure.name for figure in figures if figure.verdict == "MISSED" and not bench.quick]
    return 1 if failed or missed else 0


def save(file: Path, figures: Sequence[Figure], where: dict[str, object], *, quick: bool) -> None:
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": where,
        "figures": [asdict(figure) | {"verdict": figure.verdict} for figure in figures],
    }
    file.write_text(json.dumps(content, indent=1))


def number(value: float, unit: str) -> str:
    return (f"{value:.0f}" if unit in ("MB", "ms") else f"{value:.2f}") + (f" {unit}" if unit else "")


def told(figure: Figure) -> str:
    broken = "".join(f"; {sentence}" for sentence in figure.broken)
    return f"{number(figure.value, figure.unit)}: {figure.verdict} ({figure.note}{broken})"


def table(figures: Sequence[Figure]) -> str:
    """As the README has it."""
    lines = ["| figure | measured | at least | aim | |", "|---|---|---|---|---|"]
    for figure in figures:
        bound, aim = (number(value, figure.unit) for value in (figure.at_least, figure.aim))
        word = "at most " if figure.lower_is_better else ""
        value = number(figure.value, figure.unit)
        note = "; ".join((figure.note, *figure.broken))
        lines.append(f"| {figure.title} | {value} | {word}{bound} | {aim} | {note} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
