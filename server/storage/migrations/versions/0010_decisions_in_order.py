"""decisions in the order in which they are made"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.batch_alter_table("decisions") as decisions:
        decisions.drop_constraint("pk_decisions", type_="primary")
        decisions.create_primary_key("pk_decisions", ["assignment", "number", "contractor"])
