"""quotes, and applications for them"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "quotes",
        sa.Column("contractor", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("coverage_types", sa.String(), nullable=False),
        sa.Column("effective_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("work_state", sa.String(), nullable=False),
        sa.Column("residence_state", sa.String(), nullable=False),
        sa.Column("category_code", sa.String(), nullable=False),
        sa.Column("rates", sa.JSON(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["contractor"], ["contractors.id"], name=op.f("fk_quotes_contractor")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_quotes_job")),
        sa.PrimaryKeyConstraint("contractor", "id", name=op.f("pk_quotes")),
    )
    op.create_index(op.f("ix_quotes_platform_id"), "quotes", ["platform", "id"], unique=False)
    op.create_index(op.f("ix_quotes_platform_job_id"), "quotes", ["platform", "job", "id"], unique=False)
    op.add_column(
        "application_sessions",
        sa.Column("coverage_types", sa.String(), server_default=sa.text("'3'"), nullable=False),
    )
