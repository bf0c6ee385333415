"""A unit of work: the repositories over one connection, in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from server.domain.callers import EVERY_PLATFORM
from server.storage.access import Keys, Platforms
from server.storage.assignments import Assignments
from server.storage.carriers import CarrierOrders, PendingBindings
from server.storage.contractors import Contractors
from server.storage.events import EventOf, Events
from server.storage.jobs import JobCategories, Jobs
from server.storage.policies import Policies
from server.storage.quotes import Quotes
from server.storage.requests import Requests
from server.storage.sessions import ApplicationSessions
from server.storage.trail import Trail
from server.storage.walls import reach


class SqlUnit:
    """Implements `ports.Unit`. It neither begins nor commits: who made the connection does."""

    def __init__(self, connection: Connection, event_of: EventOf) -> None:
        self._connection = connection
        self.contractors = Contractors(connection)
        self.jobs = Jobs(connection)
        self.categories = JobCategories(connection)
        self.sessions = ApplicationSessions(connection)
        self.quotes = Quotes(connection)
        self.policies = Policies(connection)
        self.assignments = Assignments(connection)
        self.requests = Requests(connection)
        self.pending = PendingBindings(connection)
        self.orders = CarrierOrders(connection)
        self.events = Events(connection, event_of)
        self.trail = Trail(connection)
        self.platforms = Platforms(connection)
        self.keys = Keys(connection)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        told, done = len(self.events.recorded), len(self.trail.recorded)
        try:
            with self._connection.begin_nested():
                yield
        except BaseException:
            del self.events.recorded[told:]
            del self.trail.recorded[done:]
            raise

    @contextmanager
    def within(self, platform: str) -> Iterator[None]:
        reach(self._connection, platform)
        yield
        reach(self._connection, EVERY_PLATFORM)  # where the block raises, what is rolled back takes this with it

    def flush(self) -> None:
        """Writes what was recorded: the last thing before the commit."""
        self.events.flush()
        self.trail.flush()
