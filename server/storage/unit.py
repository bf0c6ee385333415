"""A unit of work: the repositories over one connection, in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from server.storage.assignments import Assignments
from server.storage.carriers import CarrierOrders, PendingBindings
from server.storage.contractors import Contractors
from server.storage.events import EventOf, Events
from server.storage.jobs import JobCategories, Jobs
from server.storage.policies import Policies
from server.storage.quotes import Quotes
from server.storage.requests import Requests
from server.storage.sessions import ApplicationSessions


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

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        recorded = len(self.events.recorded)
        try:
            with self._connection.begin_nested():
                yield
        except BaseException:
            del self.events.recorded[recorded:]
            raise
