"""Parse, don't validate: plain values become a model whose every field holds, or all violations of its rules.

Plain values are what a face makes of a request: a dict for a message, with only the fields that are set.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from server.domain.errors import InvalidFields, Violation
from server.service.fields import Fields

F = TypeVar("F", bound=Fields)

Check = Callable[[Any], Iterable[Violation]]


def parsed(model: type[F], plain: Any, *checks: Check) -> F:
    """`checks` are rules over several fields: they see the plain values, also when others are bad.

    Raises InvalidFields.
    """
    violations = [violation for check in checks for violation in check(plain)]
    try:
        made = model.model_validate(plain)
    except ValidationError as error:
        violations = [*_violations(error), *violations]
    if violations:
        raise InvalidFields(one_a_field(violations))
    return made


def violations_of(model: type[Fields], plain: Mapping[str, Any]) -> list[Violation]:
    """What is wrong with plain values, by the model's rules."""
    try:
        model.model_validate(plain)
    except ValidationError as error:
        return _violations(error)
    return []


def changes_of(
    model: type[Fields], plain: Mapping[str, Any], names: Iterable[str], prefix: str = ""
) -> tuple[dict[str, Any], list[Violation]]:
    """The values of the fields that are named, as a record takes them, and what is wrong with them.

    One that has no plain value is cleared: it gets its default, or it is required.
    """
    values: dict[str, Any] = {}
    violations: list[Violation] = []
    for name in names:
        if name in model.model_fields:
            patch = model.model_construct()
            if bad := _assign(patch, name, plain, prefix):
                violations += bad
            else:
                values[name] = patch.values()[name]
    return values, violations


def one_a_field(violations: Iterable[Violation]) -> list[Violation]:
    first: dict[str, Violation] = {}
    for violation in violations:
        first.setdefault(violation.field, violation)
    return list(first.values())


def _assign(patch: Fields, name: str, plain: Mapping[str, Any], prefix: str) -> list[Violation]:
    field = type(patch).model_fields[name]
    if name not in plain and not field.is_required():
        setattr(patch, name, field.get_default(call_default_factory=True))
        return []
    if name not in plain:
        return [Violation(_path((prefix, name) if prefix else (name,)), "is required")]
    try:
        type(patch).__pydantic_validator__.validate_assignment(patch, name, plain[name])
    except ValidationError as error:
        return _violations(error, prefix)
    return []


def _violations(error: ValidationError, prefix: str = "") -> list[Violation]:
    return [
        Violation(_path((prefix, *entry["loc"]) if prefix else entry["loc"]), _rule(entry))
        for entry in error.errors(include_url=False, include_input=False)
    ]


def _path(loc: tuple[int | str, ...]) -> str:
    """As in the proto; items of a repeated message are counted from 1, as `google.rpc.BadRequest` does."""
    if loc and isinstance(loc[-1], int):  # an item of a repeated scalar: the field is what is bad
        loc = loc[:-1]
    if "metadata" in loc:
        loc = loc[: loc.index("metadata") + 1]
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _rule(entry: ErrorDetails) -> str:
    context = entry.get("ctx", {})
    match entry["type"]:
        case "missing" | "string_too_short":
            return "is required"
        case "string_too_long":
            return f"must be at most {context['max_length']} characters"
        case "too_long":
            return f"must have at most {context['max_length']} items"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "value_error":
            return str(context["error"])
        case "datetime_type":
            return "must be a valid timestamp"
        case _:
            return "is not valid"
