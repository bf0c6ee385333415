"""what a decision reads of a contractor lies together"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index(
        "ix_application_sessions_opt_ins",
        "application_sessions",
        [
            "contractor",
            "is_general_opt_in",
            "platform",
            "id",
            "work_state",
            "create_time",
            "expire_time",
            "status",
            "complete_time",
        ],
    )
    if op.get_bind().dialect.name == "sqlite":
        for table in ("contractors", "policies"):
            with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_with_rowid": False}):
                pass
