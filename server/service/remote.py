"""Remote carriers: asked between two units, never inside a transaction (architecture, "Carriers")."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from server.domain.carrier import Answer, CarrierOrder, CarrierUnavailable, PendingBinding, RemoteCarrier
from server.domain.enums import CarrierOrderKind
from server.domain.errors import Retryable
from server.domain.ports import Clock, Storage
from server.domain.records import Policy
from server.service.binding import Asked
from server.service.once import Reply
from server.service.settling import Renders, answer_of, settle, take_over
from server.service.tasks import Tasks
from server.service.waiting import Settlements
from server.service.writer import Writer

log = structlog.get_logger()

ROUND_SECONDS = 1.0
MOST_ORDERS = 20
LONGEST_PAUSE = timedelta(seconds=60)
SETTLE_PAUSE_SECONDS = 0.2


async def warn_of_what_is_left(storage: Storage) -> None:
    """Of a server that asks no remote carrier: what an earlier one began stays as it is, pending or owed."""
    latest = datetime.max.replace(tzinfo=UTC)
    if await storage.read(lambda unit: bool(unit.pending.expired(latest, 1) or unit.orders.due(latest, 1))):
        log.warning(
            "a remote carrier was asked or is owed orders", advice="serve with its --carrier until it is settled"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteBindings:
    """Asks the carrier, settles what it answers, takes over what was left, and sends what is owed."""

    storage: Storage
    writer: Writer
    carrier: RemoteCarrier
    renders: Renders
    clock: Clock
    lease: timedelta
    settlements: Settlements
    tasks: Tasks

    async def carry_out(self, asked: Asked) -> Reply:
        """The carrier is asked and its answer settled, whether or not the caller stays."""
        return await asyncio.shield(self.tasks.start(self._ask(asked.policy, asked.pending)))

    def go_on(self, result: object) -> None:
        """Where a unit has stored what its carrier is to be asked, and the caller had left by then."""
        if isinstance(result, Asked):
            self.tasks.start(self._ask(result.policy, result.pending))

    async def recover(self) -> None:
        """Asks again, by the same key, for policies whose worker is gone."""
        if not await self.storage.read(lambda unit: unit.pending.expired(self.clock(), 1)):
            return
        taken = await self.writer.run_ahead(lambda unit: take_over(unit, self.clock(), self.lease))
        for policy, pending in taken:
            log.warning("binding taken over", policy=policy.id)
            self.tasks.start(self._ask(policy, pending))

    async def reconcile(self) -> None:
        """Sends the orders that are due."""
        due = await self.storage.read(lambda unit: unit.orders.due(self.clock(), MOST_ORDERS))
        await asyncio.gather(*(self._send(order) for order in due))

    async def _ask(self, policy: Policy, pending: PendingBinding) -> Reply:
        try:
            answer = await self.carrier.bind(policy)
            reply = await self._settle(pending, answer)
        finally:
            self.settlements.announce(policy.id)
        if reply is not None:
            return reply
        await self.settlements.wait(policy.platform, policy.id, self.settlements.until())
        return await self.storage.read(lambda unit: answer_of(unit, pending, self.clock(), self.renders))

    async def _settle(self, pending: PendingBinding, answer: Answer) -> Reply | None:
        """As long as the lease lasts: then the answer is for another worker to get."""
        while True:
            try:
                return await self.writer.run_ahead(
                    lambda unit: settle(unit, pending, answer, self.clock(), self.renders)
                )
            except Retryable:
                if self.clock() >= pending.lease_expire_time:
                    raise
                await asyncio.sleep(SETTLE_PAUSE_SECONDS)

    async def _send(self, order: CarrierOrder) -> None:
        found = await self.storage.read(lambda unit: unit.policies.find(order.platform, [order.policy]))
        policy = found[order.policy]
        if order.revision != policy.revision:
            return  # it was cancelled or reinstated since: another order is in the place of this one
        tell = {
            CarrierOrderKind.VOID: self.carrier.void,
            CarrierOrderKind.CANCEL: self.carrier.cancel,
            CarrierOrderKind.REINSTATE: self.carrier.reinstate,
        }
        try:
            await tell[order.kind](policy)
        except CarrierUnavailable:
            pause = min(timedelta(seconds=2**order.tries), LONGEST_PAUSE)
            later = replace(order, tries=order.tries + 1, due_time=self.clock() + pause)
            await self.writer.run_ahead(lambda unit: unit.orders.update(later))
        else:
            await self.writer.run_ahead(lambda unit: unit.orders.delete(order))
            log.info("carrier told", policy=policy.id, order=order.kind.name)
