"""Observers: several are told as one is."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from server.domain.observing import UNOBSERVED, Began, Ended, Metadata, Observer, together

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Noting(Observer):
    """Writes down what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.noted: list[object] = []

    def call(self, method: str, *, streamed: bool) -> Began:
        def began(metadata: Metadata, call_id: str) -> Ended:
            self.noted.append((method, streamed, tuple(metadata), call_id))
            return lambda code, seconds: self.noted.append((code, seconds))

        return began

    def decided(self, outcome: str, reasons: Sequence[str]) -> None:
        self.noted.append((outcome, tuple(reasons)))

    def mark(self) -> object:
        return f"{self.name}'s"

    def wrote(self, marks: Sequence[object], seconds: float, *, failed: bool) -> None:
        self.noted.append((tuple(marks), seconds, failed))

    def placed(self, seconds: float) -> None:
        self.noted.append(("placed", seconds))

    def told(self, recorded: datetime) -> None:
        self.noted.append(("told", recorded))

    def carrier_call(self, method: str) -> tuple[Metadata, Ended]:
        return [(self.name, method)], lambda code, seconds: self.noted.append((code, seconds))

    def breaker(self, state: str) -> None:
        self.noted.append(state)


def told_all(observer: Observer) -> Metadata:
    observer.call("a.B/C", streamed=False)((("k", "v"),), "id")("OK", 1.0)
    observer.decided("COVERAGE_BOUND", ["X"])
    observer.wrote([observer.mark(), observer.mark()], 2.0, failed=True)
    observer.placed(3.0)
    observer.told(NOON)
    metadata, ended = observer.carrier_call("BindPolicy")
    ended("UNAVAILABLE", 4.0)
    observer.breaker("open")
    return metadata


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_is_told_everything_and_gets_its_own_marks(count: int) -> None:
    observers = [Noting(f"n{number}") for number in range(count)]
    metadata = told_all(together(observers))
    assert list(metadata) == [(observer.name, "BindPolicy") for observer in observers]
    for observer in observers:
        assert observer.noted == [
            ("a.B/C", False, (("k", "v"),), "id"),
            ("OK", 1.0),
            ("COVERAGE_BOUND", ("X",)),
            ((f"{observer.name}'s",) * 2, 2.0, True),
            ("placed", 3.0),
            ("told", NOON),
            ("UNAVAILABLE", 4.0),
            "open",
        ]


def test_nobody_is_told_nothing() -> None:
    assert together([]) is UNOBSERVED
    assert list(told_all(UNOBSERVED)) == []
