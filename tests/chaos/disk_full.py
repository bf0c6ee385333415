"""The disk fills up under an embedded database, and later has room again."""

import asyncio
import errno
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Protocol

from tests.chaos import checks
from tests.chaos.audits import audit
from tests.chaos.book import NO_STORAGE, Book
from tests.chaos.load import load
from tests.chaos.processes import Process, client_of, optin_serve
from tests.chaos.result import Result
from tests.chaos.world import World

FULL_SECONDS = 20.0  # for the load to fill what is left
RECOVERY_SECONDS = 5.0
FILLED_AT_ONCE = 16 * 1024 * 1024
TMPFS_SIZE = "1g"  # more than the load writes by itself: then only what fills it makes it full


class Disk(Protocol):
    name: str

    def fill(self, left: int) -> None:
        """All but so many bytes."""

    def empty(self) -> None:
        """Makes room."""


class Tmpfs:
    """A file system of its own, filled by another file. For root."""

    name = "tmpfs"

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self, left: int) -> None:
        with self._filler.open("wb") as filler:
            size = 0
            while (room := self._room() - left) > 0:
                try:
                    os.posix_fallocate(filler.fileno(), size, min(room, FILLED_AT_ONCE))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return  # the server has written the last of it meanwhile
                size += min(room, FILLED_AT_ONCE)

    def _room(self) -> int:
        space = os.statvfs(self._filler.parent)
        return space.f_bavail * space.f_frsize

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)


class Quota:
    """A limit on the size of the server's files. Linux only, as tmpfs is; no file grows past it, and none is full."""

    name = "quota"

    def __init__(self, folder: Path, server: Process) -> None:
        self._folder = folder
        self._pid = server.process.pid

    def fill(self, left: int) -> None:
        largest = max(path.stat().st_size for path in self._folder.glob("optin.db*"))
        self._limit(largest + left)

    def empty(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def run(folder: Path, seed: object, rounds: int, *, tmpfs: bool) -> Result:
    if not tmpfs:
        return await _run(folder, seed, rounds, tmpfs=False)
    with mounted(folder / "tmpfs") as disk:
        return await _run(disk, seed, rounds, tmpfs=True)


async def _run(folder: Path, seed: object, rounds: int, *, tmpfs: bool) -> Result:
    url = f"sqlite+aiosqlite:///{folder}/optin.db"
    book = Book()
    draws = Random(f"{seed}/disk")
    # Its log is elsewhere: the disk that is full is the database's.
    log = folder.parent / "full-disk-server.log"
    server = optin_serve(log, "--port", "0", "--database-url", url)
    disk: Disk = Tmpfs(folder) if tmpfs else Quota(folder, server)
    result = Result(f"disk full, {disk.name}")
    recoveries: list[float] = []
    try:
        async with client_of(await server.listens()) as client:
            world = await World.create(client, seed, 20)
            stop = asyncio.Event()
            loading = asyncio.create_task(load(book, world, [client], stop))
            for _ in range(rounds):
                recoveries.append(await _filled(book, disk, draws))
                result.rounds += 1
            stop.set()
            await loading
            await book.settle_all(client, list(book.asked.values()))
            await checks.kept(client, book, world.contractors)
        if await server.end() != 0:
            book.broken.append(f"the server did not end well: {server.last_words()}")
    finally:
        server.kill()
    await audit(url, book)
    result.add(book)
    result.notes.append(f"recovered within {max(recoveries):.2f} s")
    return result


async def _filled(book: Book, disk: Disk, draws: Random) -> float:
    """The disk fills up, is seen to be full, and has room again. How long calls were still refused then."""
    refused = book.codes[NO_STORAGE]
    disk.fill(draws.randrange(0, 200_000))
    if not await checks.until(lambda: book.codes[NO_STORAGE] > refused + 20, FULL_SECONDS):
        book.broken.append("nobody was told that the disk is full")
    await asyncio.sleep(draws.uniform(0.0, 0.5))
    disk.empty()
    roomy, done = time.monotonic(), book.codes["OK"]
    await asyncio.sleep(1.0)
    if not await checks.until(lambda: book.codes["OK"] > done + 50, RECOVERY_SECONDS):
        book.broken.append(f"not back {RECOVERY_SECONDS:.0f} s after there was room")
    return max(0.0, book.last_refused - roomy)


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_SIZE}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def may_mount(folder: Path) -> bool:
    """Whether this user, in this container, may."""
    try:
        with mounted(folder / "try"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
