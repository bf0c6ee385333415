"""The tables of resources, and of the decisions about them."""

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)

from server.domain import enums
from server.storage.tables.base import metadata
from server.storage.types import Enum, EnumTuple, TextTuple, UtcDateTime

# On SQLite the rows themselves lie in the primary key's order; else each read of one looks its number up in an index
# first, which with much stored is one more page from the disk.
BY_PRIMARY_KEY: dict[str, Any] = {"sqlite_with_rowid": False}


def to_be_told_expired(table: Table) -> None:
    """Finds what may have passed its time without having been told, however much has been.

    Not a partial index, for which SQLAlchemy would load PostgreSQL's dialect at each start.
    """
    Index(None, table.c.expiry_told, table.c.status, table.c.expire_time)


contractors = Table(
    "contractors",
    metadata,
    Column("id", String, primary_key=True),
    Column("platform", String, nullable=False),
    Column("first_name", String, nullable=False),
    Column("middle_name", String, nullable=False),
    Column("last_name", String, nullable=False),
    Column("email", String, nullable=False),
    Column("email_folded", String, nullable=False),
    Column("phone", String, nullable=False),
    Column("company_name", String, nullable=False),
    Column("address", JSON, nullable=False),
    Column("withhold_premium", Boolean),
    Column("metadata", JSON, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("delete_time", UtcDateTime),
    Index(None, "platform", "id"),
    **BY_PRIMARY_KEY,
)

emails = Table(
    "emails",
    metadata,
    Column("platform", String),
    Column("email_folded", String),
    Column("contractor", String, nullable=False),
    PrimaryKeyConstraint("platform", "email_folded"),
)

job_categories = Table(
    "job_categories",
    metadata,
    Column("code", String, primary_key=True),
    Column("platform", String, nullable=False),
    Column("name", String, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Index(None, "platform", "code"),
)

job_category_approvals = Table(
    "job_category_approvals",
    metadata,
    Column("platform", String, nullable=False),
    Column("category_code", String, ForeignKey("job_categories.code")),
    Column("coverage_type", Enum(enums.CoverageType)),
    Column("state", String),  # empty: every state
    Column("net_rate", Integer, nullable=False),
    Column("approve_time", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("category_code", "coverage_type", "state"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("platform", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("category_code", String, ForeignKey("job_categories.code"), nullable=False),
    Column("address", JSON(none_as_null=True)),
    Column("withhold_premium", Boolean),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Index(None, "platform", "id"),
    Index(None, "platform", "category_code", "id"),
)

application_sessions = Table(
    "application_sessions",
    metadata,
    Column("contractor", String, ForeignKey("contractors.id")),
    Column("id", String),
    Column("platform", String, nullable=False),
    Column("is_general_opt_in", Boolean, nullable=False),
    Column("work_state", String, nullable=False),
    Column("quote", String, nullable=False),
    Column("success_url", String, nullable=False),
    Column("cancel_url", String, nullable=False),
    Column("form_version", String, nullable=False),
    Column("status", Enum(enums.ApplicationSessionStatus), nullable=False),
    Column("step", Enum(enums.ApplicationStep), nullable=False),
    Column("reasons", EnumTuple(enums.UnderwritingReason), nullable=False),
    Column("answers", JSON, nullable=False),
    Column("signatures", JSON, nullable=False),
    Column("review_note", String, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("complete_time", UtcDateTime),
    # Whoever applied before there were quotes applied for workers' compensation, number 3.
    Column("coverage_types", EnumTuple(enums.CoverageType), nullable=False, server_default=text("'3'")),
    Column("expiry_told", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("contractor", "id"),
    Index(None, "platform", "id"),
    Index(None, "platform", "status", "id"),
    # All that a decision reads of an opt-in: a tenth of the row.
    Index(
        "ix_application_sessions_opt_ins",
        "contractor",
        "is_general_opt_in",
        "platform",
        "id",
        "work_state",
        "create_time",
        "expire_time",
        "status",
        "complete_time",
    ),
)
to_be_told_expired(application_sessions)

quotes = Table(
    "quotes",
    metadata,
    Column("contractor", String, ForeignKey("contractors.id")),
    Column("id", String),
    Column("platform", String, nullable=False),
    Column("job", String, ForeignKey("jobs.id"), nullable=False),
    Column("coverage_types", EnumTuple(enums.CoverageType), nullable=False),
    Column("effective_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime, nullable=False),
    Column("work_state", String, nullable=False),
    Column("residence_state", String, nullable=False),
    Column("category_code", String, nullable=False),
    Column("rates", JSON, nullable=False),
    Column("status", Enum(enums.QuoteStatus), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("policy", String, nullable=False),  # empty: not issued
    Column("expiry_told", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("contractor", "id"),
    Index(None, "platform", "id"),
    Index(None, "platform", "job", "id"),
)
to_be_told_expired(quotes)

policies = Table(
    "policies",
    metadata,
    Column("contractor", String, ForeignKey("contractors.id")),
    Column("id", String),
    Column("platform", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("coverage_types", EnumTuple(enums.CoverageType), nullable=False),
    Column("work_state", String, nullable=False),
    Column("residence_state", String, nullable=False),
    Column("category_code", String, nullable=False),
    Column("effective_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("status", Enum(enums.PolicyStatus), nullable=False),
    Column("origin", Enum(enums.PolicyOrigin), nullable=False),
    Column("application_session", String, nullable=False),
    Column("quote", String, nullable=False),
    Column("net_rate", Integer, nullable=False),
    Column("carrier_policy_number", String, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("cancel_time", UtcDateTime),
    Column("cancel_reason", String, nullable=False),
    Column("remote", Boolean, nullable=False, server_default=false()),
    Column("fail_reason", Enum(enums.BindingReason)),
    Column("expiry_told", Boolean, nullable=False, server_default=false()),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("contractor", "id"),
    # Two binders that saw the same state cannot both insert (spec 7).
    UniqueConstraint("platform", "contractor", "number"),
    Index(None, "platform", "id"),
    Index(None, "platform", "status", "id"),
    **BY_PRIMARY_KEY,
)
to_be_told_expired(policies)

assignments = Table(
    "assignments",
    metadata,
    Column("contractor", String, ForeignKey("contractors.id")),
    Column("id", String),
    Column("platform", String, nullable=False),
    Column("job", String, ForeignKey("jobs.id"), nullable=False),
    Column("coverage_types", EnumTuple(enums.CoverageType), nullable=False),
    Column("effective_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime, nullable=False),
    Column("work_state", String, nullable=False),
    Column("category_code", String, nullable=False),
    Column("status", Enum(enums.AssignmentStatus), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("decision", Integer, nullable=False),  # the number of the last one
    Column("outcome", Enum(enums.BindingOutcome), nullable=False),  # of the last decision: for the filter's index
    Column("cancel_time", UtcDateTime),
    Column("cancel_reason", String, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("contractor", "id"),
    Index(None, "platform", "id"),
    Index(None, "platform", "job", "id"),
    Index(None, "platform", "outcome", "id"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("contractor", String),
    Column("assignment", String),
    Column("number", Integer),
    Column("platform", String, nullable=False),
    Column("decide_time", UtcDateTime, nullable=False),
    Column("trigger", String, nullable=False),
    Column("outcome", Enum(enums.BindingOutcome), nullable=False),
    Column("workflow", Enum(enums.BindingWorkflow), nullable=False),
    Column("policies", TextTuple, nullable=False),
    Column("application_session", String, nullable=False),
    Column("reasons", EnumTuple(enums.BindingReason), nullable=False),
    Column("net_rate", Integer, nullable=False),
    Column("standard_workflow_coverage_types", EnumTuple(enums.CoverageType), nullable=False),
    Column("facts", JSON, nullable=False),
    # By the assignment first, whose ids ascend: each new decision is written behind the last one. By the contractor it
    # would be written at a place of its own among all that are there, as the assignment already is.
    PrimaryKeyConstraint("assignment", "number", "contractor"),
    ForeignKeyConstraint(["contractor", "assignment"], ["assignments.contractor", "assignments.id"]),
)
