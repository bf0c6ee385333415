"""Metrics, as Prometheus has them: each is declared here. The README, "Metrics and traces", and the dashboard in
server/dashboards/ follow.

With several workers each writes into files of one folder, and the supervisor serves their sums.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from server.domain.observing import Began, Ended, Metadata, Observer
from server.domain.ports import Clock

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
BREAKER_STATES = ("closed", "half-open", "open")


class Metrics(Observer):
    """What is told, counted. Nothing personal and no id is a label, and each label's values are few."""

    def __init__(self, clock: Clock, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._clock = clock

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, registry=registry, buckets=SECONDS)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode="livesum")

        self._calls = counter("optin_calls_total", "Calls that have ended.", "method", "code")
        self._call_seconds = seconds("optin_call_duration_seconds", "How long calls took; streams apart.", "method")
        self._in_flight = gauge("optin_calls_in_flight", "Calls being answered; streams apart.")
        self._watchers = gauge("optin_watchers", "Streams of events being served.")
        outcomes = counter("optin_binding_outcomes_total", "Assignments created.", "outcome")
        reasons = counter(
            "optin_binding_reasons_total", "Reasons given with them; one may have several.", "outcome", "reason"
        )
        self._outcome, self._reason = cache(outcomes.labels), cache(reasons.labels)
        self._commit_seconds = seconds("optin_commit_duration_seconds", "How long units of work took, commit included.")
        self._commit_calls = Histogram(
            "optin_commit_calls", "Changes in a unit of work.", registry=registry, buckets=BATCHES
        )
        self._commit_failures = counter("optin_commit_failures_total", "Units of work that failed as a whole.")
        self._queue = gauge("optin_commit_queue_calls", "Changes that wait for a unit of work.")
        self._used = gauge("optin_storage_connections_used", "Connections to the database in use.", "pool")
        self._limit = gauge("optin_storage_connections_limit", "Connections to the database at most.", "pool")
        self._lag = seconds(
            "optin_event_lag_seconds", "From an event's commit to its position, or to watchers.", "step"
        )
        self._placed = self._lag.labels("placed")
        self._told = self._lag.labels("told")
        self._carrier_calls = counter("optin_carrier_calls_total", "Calls to a remote carrier.", "method", "code")
        self._carrier_seconds = seconds("optin_carrier_call_duration_seconds", "How long they took.", "method")
        self._breaker = gauge("optin_carrier_breaker_state", "1 for the state that the breaker is in.", "state")

    def call(self, method: str, *, streamed: bool) -> Began:
        ended = _counting(self._calls, None if streamed else self._call_seconds, method)
        return lambda _metadata, _call_id: ended

    def decided(self, outcome: str, reasons: Sequence[str]) -> None:
        self._outcome(outcome).inc()
        for reason in reasons:
            self._reason(outcome, reason).inc()

    def wrote(self, marks: Sequence[object], seconds: float, *, failed: bool) -> None:
        if failed:
            self._commit_failures.inc()
            return
        self._commit_seconds.observe(seconds)
        self._commit_calls.observe(len(marks))

    def placed(self, seconds: float) -> None:
        self._placed.observe(seconds)

    def told(self, recorded: datetime) -> None:
        self._told.observe(max(0.0, (self._clock() - recorded).total_seconds()))  # clocks of two servers may differ

    def carrier_call(self, method: str) -> tuple[Metadata, Ended]:
        return (), _counting(self._carrier_calls, self._carrier_seconds, method)

    def breaker(self, state: str) -> None:
        for each in BREAKER_STATES:
            self._breaker.labels(each).set(each == state)

    def sample(self, *, in_flight: int, watchers: int, queued: int, connections: Mapping[str, tuple[int, int]]) -> None:
        """How things are now. `connections`: of each pool those in use, and the most there may be."""
        self._in_flight.set(in_flight)
        self._watchers.set(watchers)
        self._queue.set(queued)
        for pool, (used, limit) in connections.items():
            self._used.labels(pool).set(used)
            self._limit.labels(pool).set(limit)


def _counting(calls: Counter, seconds: Histogram | None, method: str) -> Ended:
    """With what is counted for a call looked up once, since the library does it under a lock."""
    count = cache(partial(calls.labels, method))
    count("OK")  # there from the start, so that the first one is seen as an increase
    observe = seconds.labels(method).observe if seconds else None

    def ended(code: str, took: float) -> None:
        count(code).inc()
        if observe is not None:
            observe(took)

    return ended


def write_as(worker: int) -> None:
    """In a worker, before any metric is made: the next worker of this number goes on with its files."""
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]


def sums_in(folder: Path) -> CollectorRegistry:
    """What the workers have written there."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


def ended(worker: int, folder: Path) -> None:
    """What it counted stays; how things were in it does not."""
    mark_process_dead(worker, path=str(folder))  # type: ignore[no-untyped-call]
