"""remote carriers"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "carrier_orders",
        sa.Column("contractor", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contractor", "policy"],
            ["policies.contractor", "policies.id"],
            name=op.f("fk_carrier_orders_contractor_policy"),
        ),
        sa.PrimaryKeyConstraint("contractor", "policy", "kind", name=op.f("pk_carrier_orders")),
    )
    op.create_index(op.f("ix_carrier_orders_due_time"), "carrier_orders", ["due_time"], unique=False)
    op.create_table(
        "pending_bindings",
        sa.Column("contractor", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("assignment", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("lease_expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contractor", "policy"],
            ["policies.contractor", "policies.id"],
            name=op.f("fk_pending_bindings_contractor_policy"),
        ),
        sa.PrimaryKeyConstraint("contractor", "policy", name=op.f("pk_pending_bindings")),
    )
    op.create_index(
        op.f("ix_pending_bindings_lease_expire_time"), "pending_bindings", ["lease_expire_time"], unique=False
    )
    op.create_index(op.f("ix_pending_bindings_policy"), "pending_bindings", ["policy"], unique=False)
    op.add_column("policies", sa.Column("remote", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("policies", sa.Column("fail_reason", sa.SmallInteger(), nullable=True))
    op.add_column("requests", sa.Column("awaits", sa.String(), server_default=sa.text("''"), nullable=False))
