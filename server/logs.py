"""Structured logs: one line a call, JSON for machines, columns on a terminal.

What an exception says may repeat what a caller sent, so that of exceptions only types and places are kept.
"""

import asyncio
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog


def configure(*, console: bool, level: str, worker: int | None = None) -> None:
    """`worker`: its number, where there are several."""
    renderer: Any = _json
    if console:
        colors = sys.stdout.isatty()
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[_completed({} if worker is None else {"worker": worker}), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: _Stdout(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)  # for what libraries have to say
    handler.setFormatter(_Formatter("%(levelname)s:%(name)s:%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("grpc._cython.cygrpc").addFilter(_ours)
    uvicorn = logging.getLogger("uvicorn")
    uvicorn.propagate = False
    uvicorn.addHandler(_AmongOurs())


def _ours(record: logging.LogRecord) -> bool:
    """Of paths and metadata that are not UTF-8 gRPC logs the bytes and a traceback, as often as a caller likes."""
    return not (record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError))


def _completed(always: Mapping[str, Any]) -> Any:
    """With what every line says: one step, since each has its price in every call. The level is the method's name."""

    def completed(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["level"] = level
        event["time"] = datetime.now(UTC)
        if "exc_info" in event:
            _place_exception(event)
        for name, value in always.items():
            event.setdefault(name, value)
        return event

    return completed


def _json(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z).decode()


def placed(error: BaseException) -> str:
    """The exception and those that led to it, like a traceback, without what they say."""
    return "\n".join("".join(traceback.format_tb(e.__traceback__)) + type(e).__qualname__ for e in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The first one first."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _chain(earlier)
    yield error


def _place_exception(event: MutableMapping[str, Any]) -> None:
    error = event.pop("exc_info")
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = placed(error)


class _Formatter(logging.Formatter):
    def formatException(self, ei: Any) -> str:
        return placed(ei[1]) if ei[1] else ""


class _AmongOurs(logging.Handler):
    """Of the HTTP server, which serves beside gRPC: what it says is a line as ours are."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):
            return  # a call that was cut off at stop has a line of its own
        structlog.get_logger().log(record.levelno, record.getMessage().strip(), exc_info=error)


class _Stdout:
    """Writes lines to standard output. That nobody reads there must not fail a call."""

    def msg(self, line: str) -> None:
        with suppress(OSError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    debug = info = warning = error = msg
