"""cancelled assignments"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("assignments", sa.Column("cancel_time", sa.DateTime(timezone=True), nullable=True))
    op.add_column("assignments", sa.Column("cancel_reason", sa.String(), server_default=sa.text("''"), nullable=False))
