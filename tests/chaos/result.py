"""What a scenario came to, and the table of all."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.book import Book

MOST_SHOWN = 12


@dataclass(slots=True)
class Result:
    scenario: str
    rounds: int = 0
    calls: int = 0
    promises: int = 0
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, book: Book) -> None:
        self.calls += sum(asked.sent for asked in book.asked.values())
        self.promises += len(book.promises)
        self.broken += book.broken
        self.notes.append(", ".join(f"{code} {count}" for code, count in _short(book.codes)))


def _short(codes: Counter[str]) -> Iterable[tuple[str, int]]:
    return codes.most_common(8)


def table(results: Iterable[Result]) -> str:
    rows: list[tuple[str, ...]] = [("scenario", "rounds", "calls", "promises", "seconds", "broken")]
    notes: list[str] = []
    for result in results:
        broken = str(len(result.broken)) if result.broken else "-"
        figures = (result.rounds, result.calls, result.promises, f"{result.seconds:.0f}")
        rows.append((result.scenario, *map(str, figures), broken))
        notes += [f"  {result.scenario}: {note}" for note in result.notes]
        notes += [f"  BROKEN {result.scenario}: {what}" for what in result.broken[:MOST_SHOWN]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([*lines, "", *notes])
