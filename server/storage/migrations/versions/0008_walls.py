"""walls between platforms"""

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = (
    "contractors",
    "emails",
    "job_categories",
    "job_category_approvals",
    "jobs",
    "application_sessions",
    "quotes",
    "policies",
    "assignments",
    "decisions",
    "requests",
    "pending_bindings",
    "carrier_orders",
    "events",
    "trail",
)


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")  # for the tables' owner too
        op.execute(
            f"CREATE POLICY platform ON {table} "
            "USING (coalesce(nullif(current_setting('optin.platform', true), ''), '*') IN ('*', platform))"
        )
