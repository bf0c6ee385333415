"""requests are found by their ids"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    with op.batch_alter_table("requests") as requests:
        requests.drop_constraint("pk_requests", type_="primary")
        requests.create_primary_key("pk_requests", ["request_id", "platform"])
