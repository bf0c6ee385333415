"""The tables. Migrations build the same schema, and a test compares the two.

Every table has its platform. Every contractor-scoped table leads its primary, unique and foreign keys with the
contractor, so that one PostgreSQL can become a sharded one (for `decisions` it is enough that its primary key has the
contractor); `(platform, id)` finds a row by id and orders lists.
Uniqueness across contractors lives in tables keyed by what is unique: `requests` and `emails`.
"""

from server.storage.tables.access import keys, platforms
from server.storage.tables.base import metadata
from server.storage.tables.resources import (
    application_sessions,
    assignments,
    contractors,
    decisions,
    emails,
    job_categories,
    job_category_approvals,
    jobs,
    policies,
    quotes,
)
from server.storage.tables.workings import (
    carrier_orders,
    event_sequence,
    events,
    pending_bindings,
    requests,
    trail,
    writers,
)

__all__ = [
    "application_sessions",
    "assignments",
    "carrier_orders",
    "contractors",
    "decisions",
    "emails",
    "event_sequence",
    "events",
    "job_categories",
    "job_category_approvals",
    "jobs",
    "keys",
    "metadata",
    "pending_bindings",
    "platforms",
    "policies",
    "quotes",
    "requests",
    "trail",
    "writers",
]
