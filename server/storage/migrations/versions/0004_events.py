"""events"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

EXPIRING = ("application_sessions", "quotes", "policies")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("position", name=op.f("uq_events_position")),
    )
    op.create_index(
        op.f("ix_events_platform_resource_position"), "events", ["platform", "resource", "position"], unique=False
    )
    op.create_table(
        "event_sequence",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_sequence")),
    )
    op.execute("INSERT INTO event_sequence (name, last) VALUES ('events', 0)")
    for table in EXPIRING:
        told: sa.Column[bool] = sa.Column("expiry_told", sa.Boolean(), server_default=sa.false(), nullable=False)
        op.add_column(table, told)
        # What expired before there were events has none.
        now = "CURRENT_TIMESTAMP" if op.get_bind().dialect.name == "postgresql" else "datetime('now')"
        op.execute(f"UPDATE {table} SET expiry_told = TRUE WHERE expire_time <= {now}")
        columns = ["expiry_told", "status", "expire_time"]
        op.create_index(op.f(f"ix_{table}_expiry_told_status_expire_time"), table, columns, unique=False)
