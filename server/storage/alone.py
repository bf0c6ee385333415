"""Work that one of several servers does at a time: the others would wait for its rows, and their callers with them."""

from sqlalchemy import Connection, func, select

from server.storage.upserts import is_postgresql

WORK = 1  # the first half of the locks' keys, which PostgreSQL keeps apart from those of one number


def alone(connection: Connection, work: str) -> bool:
    """Whether no other unit does the work now, nor will before this one ends. On SQLite there is no other."""
    if not is_postgresql(connection):
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(WORK, func.hashtext(work)))))
