"""A connection that is kept between units: to take it from its pool and to give it back costs more than a statement."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine


class Kept:
    """One connection at a time; one unit at a time has it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self.in_use = 0

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """It is closed after a unit that failed: the next one has another."""
        if self._connection is None:
            self._connection = self._engine.connect()
        self.in_use = 1
        try:
            yield self._connection
        except BaseException:
            self.close()
            raise
        finally:
            self.in_use = 0

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
