"""Messages as plain values, parsed by the models."""

from typing import Any, TypeVar

from google.protobuf.message import Message

from server.api.plain import to_plain
from server.domain.errors import InvalidFields, Violation
from server.service.fields import ChangeRequest, Fields
from server.service.parsing import Check, changes_of, one_a_field, parsed, violations_of

F = TypeVar("F", bound=Fields)


def parse(model: type[F], message: Message, *checks: Check) -> F:
    """As `parsed`."""
    return parsed(model, to_plain(message), *checks)


def parse_update(model: type[Fields], request: Message, prefix: str) -> dict[str, Any]:
    """The changes that an update asks for, by field: those in the mask, or without a mask all that are set.

    A mask replaces messages and maps whole; its output-only paths are ignored (spec 4).
    """
    resource: Message = getattr(request, prefix)
    plain = to_plain(resource)
    known = resource.DESCRIPTOR.fields_by_name
    paths = dict.fromkeys(request.update_mask.paths or plain)  # type: ignore[attr-defined]
    violations = violations_of(ChangeRequest, to_plain(request))
    if not plain.get("id"):
        violations.append(Violation(f"{prefix}.id", "is required"))
    if not paths.keys() <= set(known):
        violations.append(Violation("update_mask", f"must name only fields of {resource.DESCRIPTOR.name}, each whole"))
    changes, bad = changes_of(model, plain, [path for path in paths if path in known], prefix)
    if violations or bad:
        raise InvalidFields(one_a_field([*violations, *bad]))
    return changes
