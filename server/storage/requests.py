"""Stored responses, by platform and request id (spec 8)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, update

from server.domain.requests import StoredRequest
from server.storage import rows
from server.storage.alone import alone
from server.storage.rows import IDS
from server.storage.tables import requests

FIND = select(requests).where(requests.c.platform == bindparam("platform"), requests.c.request_id.in_(IDS))


class Requests:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, platform: str, request_ids: Collection[str]) -> Mapping[str, StoredRequest]:
        found = rows.fetch(self._connection, FIND, request_ids, platform=platform)
        return {row["request_id"]: StoredRequest(**row) for row in found}

    def insert(self, stored: Sequence[StoredRequest]) -> None:
        rows.insert(self._connection, requests, stored)

    def settle(self, platform: str, request_id: str, response: bytes) -> None:
        key = (requests.c.platform == platform, requests.c.request_id == request_id)
        self._connection.execute(update(requests).where(*key), {"response": response, "awaits": ""})

    def after(self, platform: str, request_id: str, most: int) -> Sequence[StoredRequest]:
        """Reads past those of other platforms, which lie between: for an operator's command, not for calls."""
        answered = select(requests).where(requests.c.platform == platform, requests.c.awaits == "")
        later = answered.where(requests.c.request_id > request_id).order_by(requests.c.request_id).limit(most)
        return [StoredRequest(**row) for row in self._connection.execute(later).mappings()]

    def sweep(self, before: datetime, most: int) -> int:
        if not alone(self._connection, "requests"):
            return 0
        place = rows.place(self._connection)
        old = select(place).select_from(requests).where(requests.c.create_time < before, requests.c.awaits == "")
        oldest = old.order_by(requests.c.create_time).limit(most).correlate(None)
        return self._connection.execute(delete(requests).where(place.in_(oldest))).rowcount
