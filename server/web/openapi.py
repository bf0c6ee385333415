"""The OpenAPI document, from the models that parse and show."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from server.service.fields import Fields
from server.web.errors import CODES, Error
from server.web.http import REQUEST_IDS
from server.web.operation import PREFIX, Operation

REF = "#/components/schemas/"
SHOWN, ASKED, CHANGED = "", "Asked", "Changed"  # before the name of a model's schema
DESCRIPTION = (
    "The paths of the guide's API reference. Times are Unix seconds. Lists are arrays, newest first. "
    "Unknown fields are ignored; a field that is null or empty was not given. In a PUT only what is sent changes, "
    "nested objects merge, and an empty text clears."
)


def document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(PREFIX + operation.path, {})[operation.verb.lower()] = _operation(operation)
    asked = {op.asks for op in operations if op.asks and op.verb == "POST"}
    changed = {op.asks for op in operations if op.asks and op.verb == "PUT"}
    shown: set[type[BaseModel]] = {model for op in operations for model in op.shows}
    schemas = _schemas(ASKED, asked, "validation")
    for name, schema in _schemas(CHANGED, changed, "validation").items():
        schemas[name] = {key: value for key, value in schema.items() if key != "required"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Optin", "version": version, "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": schemas | _schemas(SHOWN, shown | {Error}, "serialization"),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "key_as_user": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"key": []}, {"key_as_user": []}, {}],
    }


def _schemas(prefix: str, models: set[Any], mode: JsonSchemaMode) -> dict[str, Any]:
    ordered = sorted(models, key=lambda model: str(model.__name__))
    _, made = models_json_schema([(model, mode) for model in ordered], ref_template=f"{REF}{prefix}{{model}}")
    return {f"{prefix}{name}": schema for name, schema in made.get("$defs", {}).items()}


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{operation.verb.lower()}{operation.path.title().translate(str.maketrans('', '', '/{}_'))}",
        "parameters": [*_path_parameters(operation), *_query(operation), *_headers(operation)],
        "responses": {str(operation.status): _answer(operation)}
        | {str(code): _refusal(name) for code, name in CODES.items()},
    }
    if operation.sends_a_body and operation.asks:
        prefix = CHANGED if operation.verb == "PUT" else ASKED
        described["requestBody"] = _json({"$ref": f"{REF}{prefix}{operation.asks.__name__}"}, required=True)
    return described


def _answer(operation: Operation) -> dict[str, Any]:
    refs = [{"$ref": f"{REF}{SHOWN}{model.__name__}"} for model in operation.shows]
    schema: Mapping[str, Any] = refs[0] if len(refs) == 1 else {"anyOf": refs}
    return _json({"type": "array", "items": schema} if operation.many else schema, description="As asked.")


def _refusal(name: str) -> dict[str, Any]:
    return _json({"$ref": f"{REF}Error"}, description=name)


def _json(schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}, **more}


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    if "{id}" not in operation.path:
        return []
    return [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]


def _query(operation: Operation) -> list[dict[str, Any]]:
    if operation.sends_a_body or operation.asks is None:
        return []
    model: type[Fields] = operation.asks
    properties = model.model_json_schema()["properties"]
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _headers(operation: Operation) -> list[dict[str, Any]]:
    if operation.verb == "GET":
        return []
    about = "A repeat of the request gets the first answer again."
    schema = {"type": "string", "maxLength": 64}
    return [{"name": name, "in": "header", "description": about, "schema": schema} for name in REQUEST_IDS]
