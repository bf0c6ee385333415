"""kill -9 of one of PostgreSQL's backends, after which it ends them all and recovers as from a crash."""

import asyncio
import os
import signal

import asyncpg

from tests.chaos import checks

PATIENCE_SECONDS = 10.0

# One that is at work, if there is any.
THEIRS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend' ORDER BY state = 'idle' LIMIT 1"
)


async def kill_one(url: str) -> None:
    """One of the database's users'. Returns when PostgreSQL has noticed: our own connection is cut, too."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (pid := await connection.fetchval(THEIRS)) is None:
                await asyncio.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        if not await checks.until(connection.is_closed, PATIENCE_SECONDS):
            raise AssertionError(f"PostgreSQL went on without its backend {pid}")
    finally:
        connection.terminate()
