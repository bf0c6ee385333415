"""Work in rounds goes on, whatever becomes of one of them."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest
import structlog
from structlog.testing import capture_logs

from server.domain.errors import StorageUnavailable
from server.service import rounds


@pytest.fixture
def told() -> Iterator[list[dict[str, object]]]:
    structlog.reset_defaults()
    with capture_logs() as entries:
        yield entries  # type: ignore[misc]


async def test_a_round_that_fails_is_tried_again_with_the_next(
    told: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "log", structlog.get_logger())
    ends: list[Exception | bool | None] = [StorageUnavailable(), ValueError("a private word"), True, None]
    done = asyncio.Event()

    async def work() -> bool | None:
        if not ends:
            done.set()
            return None
        end = ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    task = asyncio.create_task(rounds.rounds("the work", work, every_seconds=0.001))
    async with asyncio.timeout(10):
        await done.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [(entry["event"], entry["work"]) for entry in told] == [("put off", "the work"), ("failed", "the work")]


async def test_while_there_is_more_the_next_round_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PAUSE_SECONDS", 0.001)
    left = 5
    done = asyncio.Event()

    async def work() -> bool:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()
        return left > 0

    task = asyncio.create_task(rounds.rounds("the work", work, every_seconds=3600))
    async with asyncio.timeout(10):
        await done.wait()
    task.cancel()
    assert left == 0
