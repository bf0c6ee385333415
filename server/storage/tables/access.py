"""The tables of who may call."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from server.storage.tables.base import metadata
from server.storage.types import UtcDateTime

platforms = Table(
    "platforms",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("withholds_premium", Boolean),  # none: as the server's setting says
    Column("calls_per_second", Integer),
    Column("calls_in_flight", Integer),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("revision", Integer, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("platform", String, ForeignKey("platforms.id"), nullable=False),
    Column("role", String, nullable=False),
    Column("label", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of the secret, which is nowhere
    Column("certificate", String, nullable=False),  # the name in a client's certificate; empty: it has a secret
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime),
    Column("revoke_time", UtcDateTime),
    Index(None, "platform"),
)
