"""Everything that can happen to cover, in any order (issue 4, "Tests and figures").

A rule makes a call, or the few that belong together, and says what has to come of it. For another method, add a rule
to the part that it belongs to: it makes the call, checks the answer against the model, and ends in `World.check` with
the ids of what it changed; all else has to be as it was.
"""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.life.applications import Applications
from tests.life.cover import Cover
from tests.life.model import EVERY_STATE, GENERAL
from tests.life.people import People
from tests.life.rules import awaited, categories, contractors, jobs, states
from tests.support.client import WORKERS_COMP

spans = st.sampled_from([timedelta(hours=1), timedelta(days=1), timedelta(days=19), timedelta(days=31)])


class Life(People, Applications, Cover):
    """It begins with what most rules need, so that few steps lead far."""

    async def begin(self) -> None:
        await super().begin()
        self.job = await self.client.job((await self.client.category(approved=False)).code)
        self.model.jobs[self.job.id] = self.job
        for type_ in (WORKERS_COMP, GENERAL):
            await self.world.approve(self.job.category_code, type_, EVERY_STATE)

    @initialize(target=categories)
    def a_category_that_is_approved(self) -> str:
        return self.job.category_code

    @initialize(target=jobs)
    def a_job(self) -> str:
        return self.job.id

    @initialize(target=contractors, state=states)
    @awaited
    async def somebody_who_opted_in(self, state: str) -> str:
        person = await self.contractor(state)
        await self.complete(await self.opt_in(person, self.job.address.region))
        return person

    @rule(span=spans)
    @awaited
    async def time_passes(self, span: timedelta) -> None:
        self.world.clock.now += span
        for person in self.model.residences:
            await self.world.check(person)
            await self.world.refresh(person)

    @rule()
    @awaited
    async def server_starts_again(self) -> None:
        """As it starts it tells of what has expired."""
        await self.world.restart()
