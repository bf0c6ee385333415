"""the main job"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _contractors()
    _emails()
    _job_categories()
    _requests()
    _writers()
    _application_sessions()
    _job_category_approvals()
    _jobs()
    _policies()
    _assignments()
    _decisions()


def _contractors() -> None:
    op.create_table(
        "contractors",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("first_name", sa.String(), nullable=False),
        sa.Column("middle_name", sa.String(), nullable=False),
        sa.Column("last_name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_folded", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=False),
        sa.Column("company_name", sa.String(), nullable=False),
        sa.Column("address", sa.JSON(), nullable=False),
        sa.Column("withhold_premium", sa.Boolean(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delete_time", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contractors")),
    )
    op.create_index(op.f("ix_contractors_platform_id"), "contractors", ["platform", "id"], unique=False)


def _emails() -> None:
    op.create_table(
        "emails",
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("email_folded", sa.String(), nullable=False),
        sa.Column("contractor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "email_folded", name=op.f("pk_emails")),
    )


def _job_categories() -> None:
    op.create_table(
        "job_categories",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_job_categories")),
    )
    op.create_index(op.f("ix_job_categories_platform_code"), "job_categories", ["platform", "code"], unique=False)


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "request_id", name=op.f("pk_requests")),
    )
    op.create_index(op.f("ix_requests_create_time"), "requests", ["create_time"], unique=False)


def _writers() -> None:
    op.create_table(
        "writers",
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_writers")),
    )


def _application_sessions() -> None:
    op.create_table(
        "application_sessions",
        sa.Column("contractor", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("is_general_opt_in", sa.Boolean(), nullable=False),
        sa.Column("work_state", sa.String(), nullable=False),
        sa.Column("quote", sa.String(), nullable=False),
        sa.Column("success_url", sa.String(), nullable=False),
        sa.Column("cancel_url", sa.String(), nullable=False),
        sa.Column("form_version", sa.String(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("signatures", sa.JSON(), nullable=False),
        sa.Column("review_note", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("complete_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["contractor"], ["contractors.id"], name=op.f("fk_application_sessions_contractor")),
        sa.PrimaryKeyConstraint("contractor", "id", name=op.f("pk_application_sessions")),
    )
    op.create_index(
        op.f("ix_application_sessions_platform_id"), "application_sessions", ["platform", "id"], unique=False
    )
    op.create_index(
        op.f("ix_application_sessions_platform_status_id"),
        "application_sessions",
        ["platform", "status", "id"],
        unique=False,
    )


def _job_category_approvals() -> None:
    op.create_table(
        "job_category_approvals",
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("category_code", sa.String(), nullable=False),
        sa.Column("coverage_type", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("net_rate", sa.Integer(), nullable=False),
        sa.Column("approve_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["category_code"], ["job_categories.code"], name=op.f("fk_job_category_approvals_category_code")
        ),
        sa.PrimaryKeyConstraint("category_code", "coverage_type", "state", name=op.f("pk_job_category_approvals")),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("category_code", sa.String(), nullable=False),
        sa.Column("address", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("withhold_premium", sa.Boolean(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["category_code"], ["job_categories.code"], name=op.f("fk_jobs_category_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        op.f("ix_jobs_platform_category_code_id"), "jobs", ["platform", "category_code", "id"], unique=False
    )
    op.create_index(op.f("ix_jobs_platform_id"), "jobs", ["platform", "id"], unique=False)


def _policies() -> None:
    op.create_table(
        "policies",
        sa.Column("contractor", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("coverage_types", sa.String(), nullable=False),
        sa.Column("work_state", sa.String(), nullable=False),
        sa.Column("residence_state", sa.String(), nullable=False),
        sa.Column("category_code", sa.String(), nullable=False),
        sa.Column("effective_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("origin", sa.SmallInteger(), nullable=False),
        sa.Column("application_session", sa.String(), nullable=False),
        sa.Column("quote", sa.String(), nullable=False),
        sa.Column("net_rate", sa.Integer(), nullable=False),
        sa.Column("carrier_policy_number", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancel_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["contractor"], ["contractors.id"], name=op.f("fk_policies_contractor")),
        sa.PrimaryKeyConstraint("contractor", "id", name=op.f("pk_policies")),
        sa.UniqueConstraint("platform", "contractor", "number", name=op.f("uq_policies_platform_contractor_number")),
    )
    op.create_index(op.f("ix_policies_platform_id"), "policies", ["platform", "id"], unique=False)
    op.create_index(op.f("ix_policies_platform_status_id"), "policies", ["platform", "status", "id"], unique=False)


def _assignments() -> None:
    op.create_table(
        "assignments",
        sa.Column("contractor", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("coverage_types", sa.String(), nullable=False),
        sa.Column("effective_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("work_state", sa.String(), nullable=False),
        sa.Column("category_code", sa.String(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["contractor"], ["contractors.id"], name=op.f("fk_assignments_contractor")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_assignments_job")),
        sa.PrimaryKeyConstraint("contractor", "id", name=op.f("pk_assignments")),
    )
    op.create_index(op.f("ix_assignments_platform_id"), "assignments", ["platform", "id"], unique=False)
    op.create_index(op.f("ix_assignments_platform_job_id"), "assignments", ["platform", "job", "id"], unique=False)
    op.create_index(
        op.f("ix_assignments_platform_outcome_id"), "assignments", ["platform", "outcome", "id"], unique=False
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("contractor", sa.String(), nullable=False),
        sa.Column("assignment", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("decide_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("workflow", sa.SmallInteger(), nullable=False),
        sa.Column("policies", sa.String(), nullable=False),
        sa.Column("application_session", sa.String(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("net_rate", sa.Integer(), nullable=False),
        sa.Column("standard_workflow_coverage_types", sa.String(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contractor", "assignment"],
            ["assignments.contractor", "assignments.id"],
            name=op.f("fk_decisions_contractor_assignment"),
        ),
        sa.PrimaryKeyConstraint("contractor", "assignment", "number", name=op.f("pk_decisions")),
    )
