"""What is under way with remote carriers: bindings that they are asked for, and orders that they are owed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from server.domain.carrier import CarrierOrder, PendingBinding
from server.storage import rows
from server.storage.rows import IDS
from server.storage.tables import carrier_orders as orders
from server.storage.tables import pending_bindings as pending

FIND = select(pending).where(pending.c.policy.in_(IDS))


class PendingBindings:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, policies: Collection[str]) -> Mapping[str, PendingBinding]:
        return {row["policy"]: PendingBinding(**row) for row in rows.fetch(self._connection, FIND, policies)}

    def expired(self, now: datetime, most: int) -> list[PendingBinding]:
        statement = select(pending).where(pending.c.lease_expire_time <= now)
        statement = statement.order_by(pending.c.lease_expire_time).limit(most)
        return [PendingBinding(**row) for row in self._connection.execute(statement).mappings()]

    def insert(self, added: Sequence[PendingBinding]) -> None:
        self._connection.execute(pending.insert(), [rows.values_of(entry) for entry in added])

    def lease(self, entry: PendingBinding) -> None:
        self._connection.execute(update(pending).where(_is_pending(entry)), rows.values_of(entry))

    def delete(self, entry: PendingBinding) -> None:
        self._connection.execute(delete(pending).where(_is_pending(entry)))


class CarrierOrders:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def due(self, now: datetime, most: int) -> list[CarrierOrder]:
        statement = select(orders).where(orders.c.due_time <= now).order_by(orders.c.due_time).limit(most)
        return [CarrierOrder(**row) for row in self._connection.execute(statement).mappings()]

    def insert(self, added: Sequence[CarrierOrder]) -> None:
        for order in added:
            same = and_(orders.c.contractor == order.contractor, orders.c.policy == order.policy)
            self._connection.execute(delete(orders).where(same))
        self._connection.execute(orders.insert(), [rows.values_of(order) for order in added])

    def update(self, order: CarrierOrder) -> None:
        self._connection.execute(update(orders).where(_is_order(order)), rows.values_of(order))

    def delete(self, order: CarrierOrder) -> None:
        self._connection.execute(delete(orders).where(_is_order(order)))


def _is_pending(entry: PendingBinding) -> ColumnElement[bool]:
    return and_(pending.c.contractor == entry.contractor, pending.c.policy == entry.policy)


def _is_order(order: CarrierOrder) -> ColumnElement[bool]:
    return and_(
        orders.c.contractor == order.contractor,
        orders.c.policy == order.policy,
        orders.c.kind == order.kind,
        orders.c.revision == order.revision,
    )
