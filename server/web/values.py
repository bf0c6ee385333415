"""How values are spelled in JSON: times as Unix seconds, enums by their names, references as ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from server.domain.enums import CoverageType
from server.service.fields import CoverageTypes, Reference
from server.service.settable import SomeCoverageTypes

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FARTHEST = 200_000_000_000  # seconds: more than any rule lets through, less than a datetime holds
COVERAGE: Mapping[str, CoverageType] = {type_.name.lower().replace("_", "-"): type_ for type_ in CoverageType}
COVERAGE_NAMES = {type_: name for name, type_ in COVERAGE.items()}
IDS = "The id, or an object that has it as `id`."


def _id(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


def _types(value: Any) -> Any:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(name, str) and name.lower() in COVERAGE for name in value):
        raise ValueError(f"must be a list of {', '.join(COVERAGE)}")
    return [COVERAGE[name.lower()] for name in value]


def _time(value: Any) -> Any:
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > FARTHEST:
        raise ValueError("must be a time in Unix seconds")
    return EPOCH + timedelta(seconds=value)


def digits(value: Any) -> Any:
    return f"{value:05d}" if isinstance(value, int) and not isinstance(value, bool) else value


ids = WithJsonSchema(
    {
        "description": IDS,
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        ],
    }
)
types = WithJsonSchema({"type": "array", "items": {"type": "string", "enum": list(COVERAGE)}})
seconds = WithJsonSchema({"type": "integer", "description": "Unix seconds."})

Id = Annotated[Reference, BeforeValidator(_id), ids]
OptionalId = Annotated[str, BeforeValidator(_id), ids]
Types = Annotated[CoverageTypes, BeforeValidator(_types), types]
SomeTypes = Annotated[SomeCoverageTypes, BeforeValidator(_types), types]
Seconds = Annotated[datetime | None, BeforeValidator(_time), seconds]
RequiredSeconds = Annotated[datetime, BeforeValidator(_time), seconds]
number_or_text = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})


def _unix(time: datetime) -> int:
    return (time - EPOCH) // timedelta(seconds=1)


def _unix_or_none(time: datetime | None) -> int | None:
    return None if time is None else _unix(time)


ShownTime = Annotated[datetime, PlainSerializer(_unix, return_type=int), WithJsonSchema({"type": "integer"})]
ShownTimeOrNone = Annotated[
    datetime | None,
    PlainSerializer(_unix_or_none, return_type=int | None),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
]
TextOrNone = Annotated[str | None, BeforeValidator(lambda text: text or None)]
CoverageName = Annotated[
    str, BeforeValidator(lambda number: COVERAGE_NAMES[number]), WithJsonSchema({"type": "string", "enum": [*COVERAGE]})
]


@dataclass(frozen=True)
class Named:
    """Of a text that is shown: the enum's number, by its name."""

    enum: type[IntEnum]
    lower: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._name, handler(source))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        return {"type": "string", "enum": [self._name(number) for number in self.enum]}

    def _name(self, number: int) -> str:
        name = self.enum(number).name
        return name.lower() if self.lower else name


@dataclass(frozen=True)
class ByName:
    """Of an enum that is sent: by its name, in any case."""

    enum: type[IntEnum]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._value, handler(source))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        return {"type": "string", "enum": [member.name for member in self.enum]}

    def _value(self, name: Any) -> Any:
        try:
            return self.enum[str(name).upper()]
        except KeyError:
            raise ValueError(f"must be one of {', '.join(member.name for member in self.enum)}") from None
