"""Stored responses, by platform and request id (spec 8)."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, bindparam, select

from server.domain.ports import StoredRequest
from server.storage import rows
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
        self._connection.execute(requests.insert(), [rows.values_of(entry) for entry in stored])
