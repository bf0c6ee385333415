"""Parse, don't validate: a message becomes a model whose every field holds, or InvalidFields with all that do not."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from server.api.fields import ChangeRequest, Fields
from server.api.plain import to_plain
from server.domain.errors import InvalidFields, Violation

F = TypeVar("F", bound=Fields)

Check = Callable[[Any], Iterable[Violation]]


def parse(model: type[F], message: Message, *checks: Check) -> F:
    """`checks` are rules over several fields: they see the message's plain values, also when others are bad."""
    plain = to_plain(message)
    violations = [violation for check in checks for violation in check(plain)]
    try:
        parsed = model.model_validate(plain)
    except ValidationError as error:
        violations = [*_violations(error), *violations]
    if violations:
        raise InvalidFields(_one_a_field(violations))
    return parsed


def violations_of(model: type[Fields], plain: dict[str, Any]) -> list[Violation]:
    """What is wrong with plain values, by the model's rules."""
    try:
        model.model_validate(plain)
    except ValidationError as error:
        return _violations(error)
    return []


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
    patch = model.model_construct()
    chosen = [path for path in paths if path in known and path in model.model_fields]
    for name in chosen:
        violations.extend(_assign(patch, name, plain, prefix))
    if violations:
        raise InvalidFields(_one_a_field(violations))
    values = patch.values()
    return {name: values[name] for name in chosen}


def _assign(patch: Fields, name: str, plain: dict[str, Any], prefix: str) -> list[Violation]:
    field = type(patch).model_fields[name]
    if name not in plain and not field.is_required():
        setattr(patch, name, field.get_default(call_default_factory=True))
        return []
    if name not in plain:
        return [Violation(f"{prefix}.{name}", "is required")]
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
        case "value_error":
            return str(context["error"])
        case "datetime_type":
            return "must be a valid timestamp"
        case _:
            return "is not valid"


def _one_a_field(violations: Iterable[Violation]) -> list[Violation]:
    first: dict[str, Violation] = {}
    for violation in violations:
        first.setdefault(violation.field, violation)
    return list(first.values())
