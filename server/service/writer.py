"""Group commit: one writer takes all the calls that wait, and runs them as one unit of work.

There is no timer: a batch forms while the one before it commits. A caller that goes away takes its wait with it,
never the transaction. Calls that can share statements (`run_in_set` with the same function) do; every other change
runs by itself, in a savepoint. If a unit fails as a whole, its calls are run again one by one, so that one bad call
never fails its neighbours.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import coroutine
from typing import Any, TypeVar, cast

import structlog

from server.domain.errors import ConcurrentUpdate, DomainError, Overloaded, StorageUnavailable
from server.domain.observing import UNOBSERVED, Observer
from server.domain.ports import Conflict, Storage, Unit

T = TypeVar("T")
R = TypeVar("R")

log = structlog.get_logger()

MAX_TRIES = 3  # of a unit, or of a call whose contractor is locked (spec 9)
PAUSE_SECONDS = 0.02
QUIET_TURNS = 20  # of the loop; of an idle one, a fraction of a millisecond
MOST_BRIEF = 100  # calls in a unit that may hold up the loop: by sets, each is a tenth of a millisecond
SHARE_OF_LAST = 0.2  # of the last batch in the moving average


class Locked:
    """A call's result when another process keeps its contractor locked: it leaves the batch and comes back."""


LOCKED = Locked()

SetWork = Callable[[Unit, Sequence[R]], Sequence[T | DomainError | Locked]]
"""Does some calls of one kind by sets, and gives a result for each, in order."""


@dataclass(slots=True, eq=False)
class _Call:
    work: SetWork[Any, Any]
    make_request: Callable[[], Any]
    mark: object  # the observer's
    when_done: Callable[[Any], object] | None = None
    when_left: Callable[[Any], object] | None = None
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    times_locked: int = 0
    request: Any = None  # made when the call comes into a batch


class Writer:
    def __init__(
        self,
        storage: Storage,
        *,
        batch_max: int,
        queue_max: int,
        committed: Callable[[], object] = lambda: None,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """`committed` is called after each batch that is on disk."""
        self._storage = storage
        self._committed = committed
        self._observer = observer
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._queue: deque[_Call] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._began: float | None = None  # the batch under way, by the loop's clock
        self._batch_seconds = 0.0  # a moving average
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._take_batches(), name="group-commit")

    async def close(self) -> None:
        """Commits what is queued, then stops."""
        self._closing = True
        self._arrived.set()
        if self._loop is not None:
            await self._loop

    @property
    def queued(self) -> int:
        """Calls that wait for a batch."""
        return len(self._queue)

    def wait_seconds(self) -> float:
        """How long a call that comes now waits for batches, as they were of late: those before its own, and its own.

        One that is under way for longer than that is expected to go on for as long again. 0 where none waits: what
        was slow may not be any more, and nobody would find out.
        """
        if not self._queue and self._began is None:
            return 0.0
        under_way = 0.0 if self._began is None else asyncio.get_running_loop().time() - self._began
        return max(self._batch_seconds, under_way) * (1 + len(self._queue) / self._batch_max)

    def require_room(self) -> None:
        """Raises Overloaded."""
        if self._closing or len(self._queue) >= self._queue_max:
            raise Overloaded(limit="calls that wait to be written")

    async def run(self, work: Callable[[Unit], T]) -> T:
        """The work's result once it is on disk. Raises what the work raised, and as `run_in_set`."""
        return cast("T", await self.run_in_set(each, lambda: work))

    async def run_ahead(self, work: Callable[[Unit], T]) -> T:
        """As `run`, but ahead of the queue and outside its bound: for what others wait for, such as settling."""
        call = _Call(each, lambda: work, self._observer.mark())
        self._queue.appendleft(call)
        self._arrived.set()
        return cast("T", await call.answer)

    def run_in_set(
        self,
        work: SetWork[R, T],
        make_request: Callable[[], R],
        *,
        when_done: Callable[[T], object] | None = None,
        when_left: Callable[[T], object] | None = None,
    ) -> Awaitable[T]:
        """Raises DomainErrors: the call's own, ConcurrentUpdate, StorageUnavailable, Overloaded.

        `make_request` is called when a batch is formed, for one call after the other; what it raises is its call's own.
        `when_done` is given the result when it is on disk, before who waits for it goes on. What is done
        there for all calls of a batch takes a third of what it takes where each goes on by itself.
        `when_left` is given the result of a caller that was cancelled too late to take its call away.
        """
        self.require_room()
        call = _Call(work, make_request, self._observer.mark(), when_done, when_left)
        if not self._queue:
            self._arrived.set()
        self._queue.append(call)
        return call.answer if when_left is None else _unless_left(call, when_left)

    async def _take_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue or not self._closing:
            self._arrived.clear()
            if not self._queue:
                await self._arrived.wait()
            self._began = loop.time()
            await self._storage.ready()
            await self._gather()
            if batch := self._next_batch():
                await self._commit(batch)
                self._batch_seconds += (loop.time() - self._began - self._batch_seconds) * SHARE_OF_LAST
            self._began = None

    def _next_batch(self) -> list[_Call]:
        """Those that have waited longest; one that others have kept locked goes alone, and so can wait its turn."""
        batch: list[_Call] = []
        while self._queue and len(batch) < self._batch_max:
            call = self._queue.popleft()
            if call.answer.done():  # its caller went away
                continue
            if call.times_locked >= MAX_TRIES - 1:
                self._queue.extendleft(reversed(batch))
                return [call]
            if _is_made(call):
                batch.append(call)
        return batch

    @coroutine
    def _gather(self) -> Generator[None, None, None]:
        """Calls join the batch until the loop has gone round for some turns that brought none.

        A unit has its price, the commit above all: begun while calls still arrive it would be paid more often.
        """
        waiting, quiet = len(self._queue), 0
        while quiet < QUIET_TURNS and waiting < self._batch_max:
            yield  # a turn of the loop, as `asyncio.sleep(0)` is
            quiet = quiet + 1 if len(self._queue) == waiting else 0
            waiting = len(self._queue)

    async def _commit(self, batch: Sequence[_Call]) -> None:
        try:
            results = await self._write(batch)
        except StorageUnavailable as error:
            for call in batch:
                _settle(call, error)
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0], ConcurrentUpdate() if isinstance(error, Conflict) else error)
                return
            for call in batch:
                await self._commit([call])
        else:
            self._committed()
            self._settle_all(batch, results)

    async def _write(self, batch: Sequence[_Call]) -> list[object]:
        """Runs the unit, and again when another one got there first. Raises Conflict when that goes on."""
        for tries in range(1, MAX_TRIES):
            try:
                return await self._write_once(batch)
            except Conflict:
                await asyncio.sleep(random.uniform(0, PAUSE_SECONDS) * tries)  # noqa: S311
        return await self._write_once(batch)

    async def _write_once(self, batch: Sequence[_Call]) -> list[object]:
        started = time.perf_counter()
        failed = True
        try:
            brief = len(batch) <= MOST_BRIEF and all(call.work is not each for call in batch)
            results = await self._storage.write(lambda unit: run_batch(unit, batch), brief=brief)
            failed = False
        finally:
            marks, seconds = [call.mark for call in batch], time.perf_counter() - started
            _tell(partial(self._observer.wrote, marks, seconds, failed=failed))
        return results

    def _settle_all(self, batch: Sequence[_Call], results: Sequence[object]) -> None:
        """Answers, or puts back in front those whose contractor another process keeps locked."""
        locked = []
        for call, result in zip(batch, results, strict=True):
            if not isinstance(result, Locked):
                _settle(call, result)
                continue
            call.times_locked += 1
            if call.times_locked >= MAX_TRIES:
                _settle(call, ConcurrentUpdate())
            else:
                locked.append(call)
        self._queue.extendleft(reversed(locked))


def each(unit: Unit, works: Sequence[Callable[[Unit], T]]) -> list[T | DomainError]:
    """Runs changes that share nothing, one after the other."""
    results: list[T | DomainError] = []
    for work in works:
        try:
            with unit.savepoint():
                results.append(work(unit))
        except DomainError as error:
            results.append(error)
    return results


def _is_made(call: _Call) -> bool:
    """Whether the call has its request; else it is answered with its error."""
    if call.request is None:
        try:
            call.request = call.make_request()
        except Exception as error:
            _settle(call, error)
            return False
    return True


def run_batch(unit: Unit, batch: Sequence[_Call]) -> list[object]:
    """Calls of one kind go together, kinds in the order of their first call."""
    kinds: dict[SetWork[Any, Any], list[int]] = {}
    for position, call in enumerate(batch):
        kinds.setdefault(call.work, []).append(position)
    results: list[object] = [None] * len(batch)
    for work, positions in kinds.items():
        for position, result in zip(positions, work(unit, [batch[p].request for p in positions]), strict=True):
            results[position] = result
    return results


async def _unless_left(call: _Call, when_left: Callable[[Any], object]) -> Any:
    try:
        return await call.answer
    except asyncio.CancelledError:
        if call.answer.done() and not call.answer.cancelled() and not call.answer.exception():
            when_left(call.answer.result())  # it came in the same moment
        raise


def _settle(call: _Call, result: object) -> None:
    if call.answer.done():  # the caller went away
        if call.when_left and not isinstance(result, Exception):
            call.when_left(result)
    elif isinstance(result, Exception):
        call.answer.set_exception(result)
        call.answer.exception()  # seen: a caller that leaves in this moment does not look at it
    else:
        if call.when_done:
            _tell(call.when_done, result)
        call.answer.set_result(result)


def _tell(told: Callable[..., object], *given: object) -> None:
    """What goes wrong where something is only told must not end the writer, nor have what is on disk run again."""
    try:
        told(*given)
    except Exception:
        log.exception("not told")
