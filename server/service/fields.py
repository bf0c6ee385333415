"""The kinds of fields that requests have, each with its rule (spec 2 and 3).

A rule is told to the caller as it stands here, so it never repeats what was sent.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, TypeVar

import email_validator
import phonenumbers
from pydantic import AfterValidator, AnyHttpUrl, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from server.domain.enums import CoverageType
from server.domain.events import EventType
from server.domain.records import Address
from server.domain.states import STATES

T = TypeVar("T")

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
HTTP_URL = TypeAdapter(AnyHttpUrl)
# RFC 3986, 3: a scheme, then two slashes and an authority. The parser, as browsers do, takes less than that.
ABSOLUTE_URL = re.compile(r"https?://[^\s\\/?#]+(?:[/?#](?:.*\S)?)?", re.IGNORECASE)
LONGEST_URL = 2_048
MOST_ITEMS = 200  # of a list of plain values; no enum, nor the list of states, is longer
LARGEST_NET_RATE = 10_000  # $100 for each $100 of pay

email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # only the syntax is checked: reserved domains are allowed


def text(most: int, *, required: bool = False, lines: bool = False, stripped: bool = True) -> Any:
    """Text of at most so many characters, without surrounding spaces unless they count."""
    refused = CONTROL_BUT_LINES if lines else CONTROL

    def check(value: str) -> str:
        value = value.strip() if stripped else value
        if required and not value:
            raise ValueError("must not be empty")
        if len(value) > most:
            raise ValueError(f"must be at most {most} characters")
        if refused.search(value):
            raise ValueError("must not contain control characters")
        return value

    return AfterValidator(check)


def _state(value: str) -> str:
    state = value.strip().upper()
    if not value.isascii() or state not in STATES:
        raise ValueError("must be a two-letter code of a state or DC")
    return state


def _email(value: str) -> str:
    try:
        return email_validator.validate_email(value, check_deliverability=False, globally_deliverable=False).normalized
    except email_validator.EmailNotValidError:
        raise ValueError("must be an email address") from None


def _email_as_kept(value: str) -> str:
    """Of a filter, where what is no address is nobody's."""
    try:
        return _email(value)
    except ValueError:
        return value


def _spaced(value: str) -> str:
    return " ".join(value.split())


def _phone(value: str) -> str:
    try:
        number = phonenumbers.parse(value, "US")
    except phonenumbers.NumberParseException:
        number = None
    # Not `is_possible_number`, which takes a number without its area code too.
    possible = phonenumbers.ValidationResult.IS_POSSIBLE
    if number is None or CONTROL.search(value) or phonenumbers.is_possible_number_with_reason(number) != possible:
        raise ValueError("must be a possible phone number, in US or international notation")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _postalcode(value: str) -> str:
    code = value.strip()
    if not re.fullmatch(r"[0-9]{5}(-?[0-9]{4})?", code):
        raise ValueError("must be 5 or 9 digits")
    return code.replace("-", "")


def _country(value: str) -> str:
    if value.strip().upper() not in ("US", "USA"):
        raise ValueError("must be US")
    return "US"


def _url(value: str) -> str:
    rule = f"must be an absolute http or https URL of at most {LONGEST_URL} characters"
    if len(value) > LONGEST_URL or CONTROL.search(value) or not ABSOLUTE_URL.fullmatch(value):
        raise ValueError(rule)
    try:
        HTTP_URL.validate_python(value)
    except ValueError:
        raise ValueError(rule) from None
    return value


def _ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None


def _request_id(value: str) -> str:
    if not re.fullmatch(r"[\x20-\x7e]{0,64}", value):
        raise ValueError("must be at most 64 printable ASCII characters")
    return value


def _metadata(value: dict[str, str]) -> dict[str, str]:
    if len(value) > 50 or any(not 0 < len(k) <= 40 or len(v) > 500 for k, v in value.items()):
        raise ValueError("must be at most 50 keys of 1 to 40 characters, with values of at most 500")
    if any(CONTROL.search(k) or CONTROL_BUT_LINES.search(v) for k, v in value.items()):
        raise ValueError("must not contain control characters")
    return value


def _known(enum: type[IntEnum]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            return enum(value)
        except ValueError:
            raise ValueError(f"must be a known {enum.__name__}, other than unspecified") from None

    return check


def known(enum: type[IntEnum]) -> Any:
    """A value of the enum; numbers are open on the wire, so unknown ones do arrive."""
    return BeforeValidator(_known(enum))


def _within(least: int, most: int) -> Any:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return AfterValidator(check)


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _few(values: list[T]) -> list[T]:
    """Before any item is looked at: each that is bad costs 20 microseconds, and a message has room for 100,000."""
    if len(values) > MOST_ITEMS:
        raise ValueError(f"must have at most {MOST_ITEMS} items")
    return values


def _distinct(values: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _valid(time: datetime | None) -> datetime:
    if time is None:  # of a message that is set
        raise ValueError("must be a valid timestamp")
    return time


def _in_enum_order(values: list[CoverageType]) -> tuple[CoverageType, ...]:
    return tuple(sorted(set(values)))


def _event_type(value: str) -> EventType:
    try:
        return EventType(value)
    except ValueError:
        raise ValueError("must be types that Event names") from None


Name = Annotated[str, text(100, required=True)]
OptionalName = Annotated[str, text(100)]
Line = Annotated[str, text(200)]
Description = Annotated[str, text(2_000, lines=True)]
Note = Annotated[str, text(2_000, lines=True)]
Title = Annotated[str, text(200, required=True)]
Short = Annotated[str, text(500)]
LegalName = Annotated[str, AfterValidator(_spaced), text(500)]  # whatever its spacing (spec 5, step 3)
Email = Annotated[str, AfterValidator(_email)]
Phone = Annotated[str, AfterValidator(_phone)]
State = Annotated[str, AfterValidator(_state)]
Url = Annotated[str, AfterValidator(_url)]
PostalCode = Annotated[str, AfterValidator(_postalcode)]
IpAddress = Annotated[str, AfterValidator(_ip_address)]
RequestId = Annotated[str, AfterValidator(_request_id)]
PageSize = Annotated[int, AfterValidator(_not_negative)]
NetRate = Annotated[int, _within(0, LARGEST_NET_RATE)]
Metadata = Annotated[dict[str, str], AfterValidator(_metadata)]
Reference = Annotated[str, Field(min_length=1)]  # of any shape: what refers to nothing is not found
# A blank one refers to nothing, and is not an empty one, which asks for all.
FilterReference = Annotated[str, text(200, stripped=False)]
EmailFilter = Annotated[str, text(320, stripped=False), AfterValidator(_email_as_kept)]
few = BeforeValidator(_few)
CoverageTypes = Annotated[list[Annotated[CoverageType, known(CoverageType)]], few, AfterValidator(_in_enum_order)]
RequiredTime = Annotated[datetime, BeforeValidator(_valid)]
Time = Annotated[datetime | None, BeforeValidator(_valid)]
States = Annotated[list[State], few, AfterValidator(_distinct)]
EventTypes = Annotated[frozenset[Annotated[EventType, BeforeValidator(_event_type)]], few]


class Fields(BaseModel):
    """A message's fields that a caller may set; others that are sent are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=False)

    def values(self) -> dict[str, Any]:
        """By name, as a record takes them."""
        return {name: value.record() if isinstance(value, AddressFields) else value for name, value in self}


class AddressFields(Fields):
    region: State
    line1: Line = ""
    line2: Line = ""
    locality: OptionalName = ""
    postalcode: PostalCode = ""
    country: Annotated[str, AfterValidator(_country)] = "US"

    def record(self) -> Address:
        return Address(**dict(self))


class ChangeRequest(Fields):
    request_id: RequestId = ""


class IdRequest(ChangeRequest):
    id: Reference


class CancelRequest(IdRequest):
    reason: Short = ""


class ListRequest(Fields):
    page_size: PageSize = 0
    page_token: str = ""  # of any shape: what this server did not give is an InvalidPageToken

    def page(self) -> dict[str, Any]:
        return {"size": self.page_size, "token": self.page_token}
