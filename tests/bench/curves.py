"""Throughput and p99 against callers, and the plot of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.bench import HEALTH, Bench, Generator, binding, in_turns, middle, rates, ratio, reuse, sending
from tests.bench.clients import Measured, ghz, h2load, wire_calls

CALLERS = (1, 10, 50, 200)
QUICK_CALLERS = (1, 50)
NAMES = ("health", "reuse", "bind", "reuse, a transaction a call", "bind, a transaction a call")
HEALTH_NAME, REUSE, BIND, REUSE_ALONE, BIND_ALONE = NAMES
# h2load knows one body only, so that it cannot bind: our own client does that, beside an empty call of its own.
GENERATORS: Mapping[str, tuple[Generator, Sequence[str]]] = {
    "ghz": (ghz, NAMES),
    "h2load": (h2load, (HEALTH_NAME, REUSE, REUSE_ALONE)),
    "wire.py": (wire_calls, (HEALTH_NAME, BIND, BIND_ALONE)),
}

Curves = dict[str, dict[int, dict[str, list[Measured]]]]
"""By generator, callers and name: the rounds."""


def curves(bench: Bench) -> Curves:
    file, world = bench.world("for binding", opted_in=6_000 if bench.quick else 80_000)
    found: Curves = {}
    for generator, (send, names) in GENERATORS.items():
        # Servers of its own, since a contractor is bound once.
        with bench.server(database=file) as group, bench.server("--group-commit-max", "1", database=file) as one:
            request = reuse(world, request_ids=send is not h2load)
            runs = {
                HEALTH_NAME: sending(send, group, HEALTH),
                REUSE: sending(send, group, request),
                BIND: binding(send, group, world),
                REUSE_ALONE: sending(send, one, request),
                BIND_ALONE: binding(send, one, world),
            }
            found[generator] = {}
            for callers in QUICK_CALLERS if bench.quick else CALLERS:
                print(f"  {generator}, {callers} callers", flush=True)
                found[generator][callers] = in_turns({name: runs[name] for name in names}, bench, callers)
    return found


def table(found: Curves) -> str:
    """A line for each point, with its share of the empty call in the same rounds."""
    lines = [f"{'':8} {'callers':>7}  {'':28} {'calls/s':>8} {'of health':>9} {'p50 ms':>8} {'p99 ms':>8}"]
    for generator, by_callers in found.items():
        for callers, by_name in by_callers.items():
            for name, runs in by_name.items():
                share = ratio(rates(runs), rates(by_name[HEALTH_NAME]))
                median = middle(runs)
                lines.append(
                    f"{generator:8} {callers:7}  {name:28} {median.rate:8,.0f} {share:9.2f}"
                    f" {median.p50_ms:8.1f} {median.p99_ms:8.1f}"
                )
    return "\n".join(lines)


def as_json(found: Curves) -> Any:
    return {
        generator: {
            str(callers): {name: [asdict(run) for run in runs] for name, runs in by_name.items()}
            for callers, by_name in by_callers.items()
        }
        for generator, by_callers in found.items()
    }


def write(found: Curves, folder: Path, caption: str) -> None:
    (folder / "curves.json").write_text(json.dumps(as_json(found), indent=1))
    plot(found, folder / "curves.png", caption)


def plot(found: Curves, file: Path, caption: str) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, grid = plt.subplots(2, len(found), figsize=(6 * len(found), 9), sharex=True, sharey="row", squeeze=False)
    for column, (generator, by_callers) in enumerate(found.items()):
        callers = list(by_callers)
        for number, name in enumerate(NAMES):
            if name not in by_callers[callers[0]]:
                continue
            style = {"color": f"C{number % 3 if number < 3 else number - 2}", "label": name, "marker": "o"}
            style["linestyle"] = "-" if number < 3 else "--"
            for row, value in enumerate(("rate", "p99_ms")):
                rounds = [sorted(getattr(run, value) for run in by_callers[c][name]) for c in callers]
                axes = grid[row][column]
                axes.plot(callers, [r[len(r) // 2] for r in rounds], **style)
                axes.fill_between(
                    callers, [r[0] for r in rounds], [r[-1] for r in rounds], color=style["color"], alpha=0.15
                )
        grid[0][column].set(title=generator, ylabel="calls a second" if column == 0 else "")
        grid[1][column].set(xlabel="callers", xscale="log", yscale="log", ylabel="p99, ms" if column == 0 else "")
        grid[1][column].set_xticks(callers, [str(c) for c in callers])
        grid[1][column].set_xticks([], minor=True)
        for row in (0, 1):
            grid[row][column].grid(visible=True, alpha=0.3)
        grid[0][column].legend(fontsize="small")
    grid[0][0].set_ylim(bottom=0)  # of all columns, now that each has its lines
    figure.suptitle(caption, fontsize="small")
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
