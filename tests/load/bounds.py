"""Reads what ghz reports, and holds it to bounds.toml. ghz itself ends with 0 even when every call has failed."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
BOUNDS = FOLDER / "bounds.toml"
PERCENTILES = (50, 75, 90, 95, 99)  # of those that ghz reports
NANOSECONDS = 1e9


class BadReport(Exception):
    """What ghz left is no report of a run; the text says what it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """ghz's JSON, in numbers that can be compared. Percentiles are those of the calls that ended OK."""

    calls: int
    codes: Mapping[str, int]
    rate: float  # calls a second
    percentiles_ms: Mapping[int, float]
    errors: tuple[str, ...] = ()  # the most frequent first

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Report":
        errors = raw.get("errorDistribution") or {}
        return cls(
            calls=raw["count"],
            codes=raw["statusCodeDistribution"] or {},
            rate=raw["rps"],
            percentiles_ms={
                entry["percentage"]: entry["latency"] / NANOSECONDS * 1000 for entry in raw["latencyDistribution"] or ()
            },
            errors=tuple(sorted(errors, key=errors.__getitem__, reverse=True)),
        )

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Raises BadReport."""
        try:
            return cls.of(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadReport(f"{path.name}: {error!r}") from error

    @property
    def ok(self) -> int:
        return self.codes.get("OK", 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    calls: int
    rate: float = 0.0
    percentiles_ms: Mapping[int, float] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)
    beside: str = ""

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Bounds":
        """Raises TypeError for a key that it does not know: a bound that is misspelled would hold for ever."""
        left = dict(table)
        percentiles = {p: left.pop(f"p{p}_ms") for p in PERCENTILES if f"p{p}_ms" in left}
        return cls(percentiles_ms=percentiles, **left)


def load_bounds(path: Path = BOUNDS) -> dict[str, Bounds]:
    """By the name of the configuration, in the order in which they run."""
    return {name: Bounds.of(table) for name, table in tomllib.loads(path.read_text()).items()}


def broken(report: Report, bounds: Bounds) -> Iterator[str]:
    """A sentence for each bound that the run broke."""
    if report.calls != bounds.calls:
        yield f"{report.calls} calls were made, not {bounds.calls}"
    if report.ok != report.calls:
        told = ", ".join(f"{count} {code or 'without a code'}" for code, count in sorted(report.codes.items()))
        yield f"not all calls ended OK: {told}" + (f"; the first error: {report.errors[0]}" if report.errors else "")
    if report.rate < bounds.rate:
        yield f"{report.rate:.0f} calls a second, less than {bounds.rate:g}"
    for percent, limit in bounds.percentiles_ms.items():
        taken = report.percentiles_ms.get(percent, 0.0)
        if not taken:  # ghz reports 0 where it has none
            yield f"there is no p{percent}"
        elif taken > limit:
            yield f"p{percent} is {taken:.0f} ms, more than {limit:g}"


def wrongly_added(added: Mapping[str, int], bounds: Bounds) -> Iterator[str]:
    """A sentence for each table that did not grow as it should."""
    for table, count in bounds.added.items():
        if added[table] != count:
            yield f"{added[table]} {table} were added, not {count}"
