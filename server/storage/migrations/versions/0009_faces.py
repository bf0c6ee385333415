"""faces"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    face = sa.Column("face", sa.String(), server_default=sa.text("'grpc'"), nullable=False)
    op.add_column("pending_bindings", face)
