"""What every rule of the machine has: the world, its loop, and the bundles that rules draw from and fill."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine
from optin.v1 import resources_pb2 as pb

from tests.life.model import GENERAL
from tests.life.world import World
from tests.support.client import WORKERS_COMP, Client

STATES = ("CA", "NY", "OH")

states = st.sampled_from(STATES)
types = st.sampled_from([(WORKERS_COMP,), (GENERAL,), (WORKERS_COMP, GENERAL)])
first_days = st.sampled_from([-30, 0, 1, 1, 2, 20, 340, 380])  # from today
lengths = st.sampled_from([1, 10, 30, 200])

# Ids, also of what has ended.
contractors, jobs, categories = Bundle("contractors"), Bundle("jobs"), Bundle("categories")
sessions, quotes, assignments = Bundle("sessions"), Bundle("quotes"), Bundle("assignments")

Method = TypeVar("Method", bound=Callable[..., Any])


def awaited(method: Method) -> Method:
    """Runs in the world's loop, where the server runs too, for as long as the rule lasts."""

    @wraps(method)
    def run(self: "Rules", *arguments: Any, **values: Any) -> Any:
        return self.world.run(method(self, *arguments, **values))

    return run  # type: ignore[return-value]


class Rules(RuleBasedStateMachine):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.model = world, world.model
        world.run(self.begin())

    @property
    def client(self) -> Client:
        return self.world.client

    async def begin(self) -> None:
        await self.world.start()

    def teardown(self) -> None:
        try:
            self.world.run(self.world.check_all())
        finally:
            self.world.close()

    def unless_deleted(self, contractor: str, refusal: str = "") -> str:
        """Why a call is refused that uses the contractor."""
        return "RESOURCE_NOT_FOUND" if contractor in self.model.deleted else refusal

    def quote_is_closed(self, quote: str) -> str:
        """Why a call is refused that changes the quote or applies for it."""
        known = self.model.quotes[quote]
        closed = {pb.QUOTE_STATUS_ISSUED: "QUOTE_ALREADY_ISSUED", pb.QUOTE_STATUS_EXPIRED: "QUOTE_NOT_OPEN"}
        return self.unless_deleted(known.contractor, closed.get(known.status, ""))

    async def contractor(self, state: str) -> str:
        person = await self.client.contractor(address=pb.Address(region=state))
        self.model.residences[person.id] = state
        return person.id

    async def opt_in(self, person: str, state: str) -> str:
        session = await self.client.session(person, state)
        self.model.see_session(session)
        return session.id

    def is_issued(self, quote: str) -> bool:
        return bool(quote) and self.model.quotes[quote].status == pb.QUOTE_STATUS_ISSUED
