"""reinstatement"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for table in ("policies", "carrier_orders"):
        op.add_column(table, sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False))
    # A cancellation is a policy's first revision: a carrier that is still owed one is told so.
    op.execute("UPDATE policies SET revision = 1 WHERE cancel_time IS NOT NULL")
    op.execute("UPDATE carrier_orders SET revision = 1 WHERE kind = 2")
