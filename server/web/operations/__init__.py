"""All operations, one module a resource: each parses, calls and shows."""

from collections.abc import Callable, Mapping
from typing import Any

from server.web.operation import Operation
from server.web.operations import (
    application_sessions,
    assignments,
    category_codes,
    contractors,
    events,
    jobs,
    policies,
    quotes,
)

EventData = Callable[[bytes], tuple[str, Mapping[str, Any]]]
"""What an event holds: its kind, and its plain values."""


def every(event_data: EventData) -> tuple[Operation, ...]:
    return (
        *contractors.OPERATIONS,
        *jobs.OPERATIONS,
        *category_codes.OPERATIONS,
        *application_sessions.OPERATIONS,
        *quotes.OPERATIONS,
        *assignments.OPERATIONS,
        *policies.OPERATIONS,
        *events.operations(event_data),
    )
