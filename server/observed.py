"""Who observes the server, as its settings and environment have it."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from server.api.server import GrpcServer
from server.config import Settings
from server.domain.observing import Observer, together
from server.domain.ports import Clock
from server.service.feed import Feed
from server.service.writer import Writer
from server.storage.sqlite import SqliteStorage

if TYPE_CHECKING:
    from server.metrics import Metrics
    from server.storage.postgres import PostgresStorage
    from server.traces import Traces

log = structlog.get_logger()

SAMPLE_SECONDS = 1.0
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    observer: Observer
    metrics: "Metrics | None"
    port: int | None  # where the metrics are read


@asynccontextmanager
async def observed(
    settings: Settings, clock: Clock, *, others: Sequence[Observer], one_of_several: bool
) -> AsyncIterator[Observed]:
    """`one_of_several`: the supervisor serves the metrics. Raises PortTaken."""
    async with AsyncExitStack() as stack:
        observers = list(others)
        metrics, port = None, None
        if settings.metrics_port is not None:
            # Not imported where they are not used: it takes its time.
            from prometheus_client import CollectorRegistry

            from server.metrics import Metrics
            from server.scraping import scraped

            registry = CollectorRegistry()
            metrics = Metrics(clock, registry)
            observers.append(metrics)
            if not one_of_several:
                port = await stack.enter_async_context(scraped(registry, settings.host, settings.metrics_port))
        if (traces := _traces()) is not None:
            stack.push_async_callback(traces.close)
            observers.append(traces)
        yield Observed(observer=together(observers), metrics=metrics, port=port)


async def sampling(
    metrics: "Metrics", server: GrpcServer, feed: Feed, writer: Writer, storage: "SqliteStorage | PostgresStorage"
) -> None:
    """What gauges tell, looked at again and again until it is cancelled: a call costs nothing by it."""
    while True:
        metrics.sample(
            in_flight=server.calls_in_flight,
            watchers=feed.streams,
            queued=writer.queued,
            connections=storage.connections(),
        )
        await asyncio.sleep(SAMPLE_SECONDS)


def _traces() -> "Traces | None":
    """Where somebody waits for them, and what sends them is installed."""
    if not any(os.environ.get(name) for name in ENDPOINTS) or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    try:
        from server.traces import sent_as_told
    except ImportError:
        log.warning("no traces are sent", note="the extra `otel` is not installed")
        return None
    return sent_as_told()
