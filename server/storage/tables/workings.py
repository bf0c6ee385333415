"""The tables of what is under way, and of what was answered and told."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    text,
)

from server.domain import enums
from server.storage.tables.base import metadata
from server.storage.types import Enum, UtcDateTime

requests = Table(
    "requests",
    metadata,
    Column("platform", String),
    Column("request_id", String),
    Column("digest", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),  # empty while `awaits` is set
    Column("create_time", UtcDateTime, nullable=False),
    Column("awaits", String, nullable=False, server_default=text("''")),  # the policy that the carrier is asked for
    # Found by the id, whatever a database that has no statistics thinks of how many a platform has.
    PrimaryKeyConstraint("request_id", "platform"),
    Index(None, "create_time"),
)

pending_bindings = Table(
    "pending_bindings",
    metadata,
    # A policy that a remote carrier is being asked for, and the assignment or quote that is settled with it.
    Column("contractor", String),
    Column("policy", String),
    Column("platform", String, nullable=False),
    Column("assignment", String, nullable=False),  # empty: the policy's quote
    Column("request_id", String, nullable=False),  # empty: the caller gave none
    Column("token", String, nullable=False),  # of the worker that asks: only it may settle
    Column("lease_expire_time", UtcDateTime, nullable=False),  # then another worker takes over
    Column("face", String, nullable=False, server_default=text("'grpc'")),  # in whose form the response is kept
    PrimaryKeyConstraint("contractor", "policy"),
    ForeignKeyConstraint(["contractor", "policy"], ["policies.contractor", "policies.id"]),
    Index(None, "policy"),
    Index(None, "lease_expire_time"),
)

carrier_orders = Table(
    "carrier_orders",
    metadata,
    # What a remote carrier is owed: written in the change's transaction, sent by the reconciler, then deleted.
    Column("contractor", String),
    Column("policy", String),
    Column("platform", String, nullable=False),
    Column("kind", Enum(enums.CarrierOrderKind)),
    Column("due_time", UtcDateTime, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("contractor", "policy", "kind"),
    ForeignKeyConstraint(["contractor", "policy"], ["policies.contractor", "policies.id"]),
    Index(None, "due_time"),
)

events = Table(
    "events",
    metadata,
    Column("id", String, primary_key=True),
    Column("platform", String, nullable=False),
    Column("type", String, nullable=False),
    Column("resource", String, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("data", LargeBinary, nullable=False),  # the resource as it was, as the wire has it
    Column("position", BigInteger),  # in the order of commits; none: waits for the sequencer
    UniqueConstraint("position"),
    Index(None, "platform", "resource", "position"),
)

event_sequence = Table(
    "event_sequence",
    metadata,
    # One row, the lease of who gives positions: it is held for as long as the transaction that has locked it.
    Column("name", String, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

trail = Table(
    "trail",
    metadata,
    # Who did what: one row for the acts of one transaction on one platform, never changed once it has its place.
    Column("id", String, primary_key=True),
    Column("platform", String, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("acts", String, nullable=False),  # JSON, as it was hashed
    Column("number", BigInteger),  # none: waits for its place
    Column("hash", LargeBinary),
    UniqueConstraint("platform", "number"),
    Index(None, "number"),  # finds those that wait
)

writers = Table(
    "writers",
    metadata,
    # The last unit that each writer committed: tells what became of a commit whose answer was lost.
    Column("writer", String, primary_key=True),
    Column("unit", String, nullable=False),
)
