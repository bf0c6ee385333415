"""What was answered about a contractor, as it is kept, without what is personal."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel

from server.domain.personal import MARK
from server.web import shown, stored

ABOUT_A_CONTRACTOR: Mapping[str, type[shown.Shown]] = {
    model.model_fields["object"].default: model
    for model in (shown.Contractor, shown.ApplicationSession, shown.Quote, shown.Policy, shown.Assignment)
}


def erased_response(response: bytes, contractor: str) -> bytes:
    """As it was, when it is about another contractor or none."""
    resource: dict[str, Any] = orjson.loads(stored.unpacked(response))
    model = ABOUT_A_CONTRACTOR.get(resource["object"])
    if model is None or contractor not in (resource["id"], resource.get("contractor")):
        return response
    _erase(resource, model)
    return stored.packed(orjson.dumps(resource))


def _erase(resource: dict[str, Any], model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        value = resource.get(name)
        if not value:
            continue  # an empty one says nothing of anybody
        if shown.PERSONAL in field.metadata:
            resource[name] = {MARK: MARK} if isinstance(value, dict) else MARK
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            _erase(value, field.annotation)
