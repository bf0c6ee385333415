"""Requests that mean harm, from the descriptors: bytes as any client in any language could send them.

Written byte by byte rather than with messages, which would refuse what is not UTF-8, of another type, or unknown.
"""

from collections import deque
from collections.abc import Callable
from random import Random

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.api.methods import METHODS, encoded_field, varint

CANARY = "c4nary-of-the-fuzz"  # in what is sent as a value; no error may repeat it
VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
HARM = (0.0, 0.0, 0.02, 0.1, 0.4)  # shares of fields; of a request with little of it much is well done, and goes deep
FILLED = (0.5, 0.9, 1.0)
MOST_KNOWN = 2_000
DEEP = 200  # messages in messages; protobuf takes 100

# Ids by what the field, else the service, is named after.
PREFIXES = {
    "contractor": "cn",
    "job": "jb",
    "category_code": "jc",
    "code": "jc",
    "application_session": "ias",
    "quote": "qt",
    "assignment": "an",
    "policy": "pl",
    "after": "ev",
    "ContractorService": "cn",
    "JobService": "jb",
    "ApplicationSessionService": "ias",
    "QuoteService": "qt",
    "AssignmentService": "an",
    "PolicyService": "pl",
    "EventService": "ev",
}
QUESTIONS = ("age_18_or_over", "losses_last_3_years", "years_experience", "other_workers_comp", "has_employees")
PLAIN: dict[str, tuple[str, ...]] = {
    "phone": ("5551234567", "+442071838750"),
    "region": ("CA", "NY", "TX", "ny"),
    "work_state": ("CA", "NY", "TX"),
    "states": ("CA", "NY", "TX", "WA"),
    "country": ("US", "USA", ""),
    "postalcode": ("94102", "94102-1234"),
    "success_url": ("https://example.com/yes",),
    "cancel_url": ("https://example.com/no",),
    "question": QUESTIONS,
    "document": ("fraud_notice", "premium_withholding", "esign_consent"),
    "version": ("1",),
    "legal_name": ("Jane Doe", "jane  doe"),
    "first_name": ("Jane",),
    "last_name": ("Doe",),
    "ip_address": ("192.0.2.1", "2001:db8::1"),
    "paths": ("first_name", "address", "metadata", "name", "coverage_types", "end_time"),
    "types": ("assignment.created", "policy.created"),
}
NASTY_TEXTS = (
    "\0",
    f"{CANARY}\0after",
    "\u202e\u2066txet",  # right to left
    "\u200b\u200d\ufeff",  # of no width
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 20,
    "e" + "\u0301" * 200,
    "\ufb00\u0130\u0131\u017f\u212a",  # whose case folds to other lengths
    "\u2028\u2029\x85\r\n\t\v",
    "\x1b[2J\x07",
    f"'; DROP TABLE assignments; -- {CANARY}",
    f"' OR 1=1 UNION SELECT '{CANARY}",
    "%s%n{0}{message_type}{}$(id)`id`",
    f"<script>alert('{CANARY}')</script>",
    "../../../../etc/passwd",
    "%00%2e%2e%2f",
    "a@" + "b." * 200 + "c",
    '"a b"@[127.0.0.1]',
    "+" + "9" * 400,
    "http://[::1]:99999999/",
    "javascript:alert(1)//https://",
    "http://user:pass@xn--" + "a" * 70,
    "2026-99-99",
    "NaN",
    "-0",
    " ",
    "\ufdd0\uffff\U0010ffff",
    "null",
    "true",
    "A" * 101,
    CANARY * 40,
)
NOT_UTF8 = (b"\xed\xa0\x80", b"\xff\xfe", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"caf\xe9", b"\x80" * 50)
NASTY = (*map(str.encode, NASTY_TEXTS), *NOT_UTF8)
NUMBERS = (0, 1, -1, 5, 80, 81, 200, 201, 10_001, 2**31 - 1, -(2**31), 2**31, 2**32, 2**63 - 1, -(2**63), 2**64 - 1)
FIRST_SECOND, DAYS_APART = 1_701_561_600, 150 * 86_400  # December 2023; a period of that ends within a year
SECONDS = (0, -1, 946_684_799, 1_701_561_600, 253_402_300_799, 253_402_300_800, -62_135_596_801, 2**62, -(2**63))


class Hostile:
    """What is known of a server, and requests made of that and of what is bad."""

    def __init__(self) -> None:
        self.ids: dict[str, deque[str]] = {}
        self.tokens: deque[str] = deque(maxlen=MOST_KNOWN)
        self.request_ids: deque[str] = deque(maxlen=MOST_KNOWN)

    def learn(self, identifier: str) -> None:
        self.ids.setdefault(identifier.partition("_")[0], deque(maxlen=MOST_KNOWN)).append(identifier)

    def request(self, method: str, draws: Random) -> bytes:
        return _Writer(self, method, draws).message(METHODS[method].input_type)

    def spoiled(self, method: str, draws: Random) -> bytes:
        """One that may not even parse."""
        body = bytearray(self.request(method, draws))
        match draws.randrange(5):
            case 0:
                return draws.randbytes(draws.choice((1, 7, 60, 900)))
            case 1:
                return bytes(body[: draws.randrange(len(body) + 1)])
            case 2:
                for _ in range(draws.randint(1, 8)):
                    place = draws.randrange(len(body) + 1)
                    body[place : place + draws.randrange(3)] = draws.randbytes(draws.randrange(3))
                return bytes(body)
            case 3:
                field = draws.choice(METHODS[method].input_type.fields)
                return bytes(body) + varint(field.number << 3 | LENGTH) + varint(draws.choice((1, 2**31, 2**63))) + b"x"
            case _:
                field = draws.choice(METHODS[method].input_type.fields)
                return bytes(body) + encoded_field(field.number, b"") * draws.choice((1, 30_000))


class _Writer:
    """One request."""

    def __init__(self, known: Hostile, method: str, draws: Random) -> None:
        self._known, self._draws = known, draws
        self._service = METHODS[method].containing_service.name
        self._harm, self._filled = draws.choice(HARM), draws.choice(FILLED)

    def message(self, descriptor: Descriptor, *, later: bool = False) -> bytes:
        """`later`: of times that make a period, the end."""
        if descriptor.full_name == "google.protobuf.Timestamp":
            return self._timestamp(later)
        chosen = [field for field in descriptor.fields if field.containing_oneof is None or _is_optional(field)]
        oneofs = [oneof.fields for oneof in descriptor.oneofs if not _is_optional(oneof.fields[0])]
        chosen += [self._draws.choice(fields) for fields in oneofs if not self._bad()]
        parts = [self._field(field) for field in chosen if self._draws.random() < self._filled]
        if self._bad():
            parts.append(self._stray(descriptor))
            self._draws.shuffle(parts)
        return b"".join(parts)

    def _field(self, field: FieldDescriptor) -> bytes:
        """Of another type than declared, or as often as it likes, where it is bad."""
        times = self._draws.choice((0, 1, 1, 2, 5)) if field.is_repeated else 1
        if self._harm and self._draws.random() < self._harm / 20:
            times = self._draws.choice((2, 60, 300))
        if self._harm and self._draws.random() < self._harm / 10:
            return self._of_another_type(field.number) * times
        return b"".join(self._value(field) for _ in range(times))

    def _value(self, field: FieldDescriptor) -> bytes:
        if field.message_type is not None:
            return encoded_field(field.number, self.message(field.message_type, later=field.name == "end_time"))
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return encoded_field(field.number, self._text(field.name))
        return varint(field.number << 3 | VARINT) + varint(self._number(field) % 2**64)

    def _number(self, field: FieldDescriptor) -> int:
        if field.enum_type is not None and not self._bad():
            return int(self._draws.choice(field.enum_type.values).number)
        return self._draws.choice(NUMBERS) if self._bad() else self._draws.randrange(2)

    def _text(self, name: str) -> bytes:
        draws = self._draws
        if not self._bad():
            return self._plain(name).encode()
        share = draws.random()
        if share < 0.01:
            return draws.choice((b"x", b"\xf0\x9f\x92\xa5", b"\0")) * draws.choice((5_000, 60_000, 270_000))
        if share < 0.3:
            return self._id(draws.choice(list(self._known.ids))).encode()
        if share < 0.4 and self._known.tokens:
            return self._mutated(draws.choice(self._known.tokens)).encode()
        return draws.choice(NASTY)

    def _plain(self, name: str) -> str:
        draws = self._draws
        prefix = PREFIXES.get(name) or (PREFIXES[self._service] if name in ("id", "resource") else "")
        if prefix:
            return self._id(prefix)
        if name == "email":
            return f"{draws.getrandbits(64):x}@example.com"
        if name == "request_id":
            if not self._known.request_ids or draws.random() < 0.8:
                self._known.request_ids.append(f"fuzz-{draws.getrandbits(64):x}")
            return draws.choice(self._known.request_ids)
        if name == "page_token":
            return draws.choice(self._known.tokens) if self._known.tokens and draws.random() < 0.5 else ""
        return draws.choice(PLAIN.get(name, ("Picker",)))

    def _id(self, prefix: str) -> str:
        known = self._known.ids.get(prefix)
        return self._draws.choice(known) if known else f"{prefix}_{'0' * 26}"

    def _mutated(self, text: str) -> str:
        place = self._draws.randrange(len(text))
        return text[:place] + self._draws.choice(("", "=", "!", "A", "é")) + text[place + 1 :]

    def _timestamp(self, later: bool) -> bytes:
        seconds = FIRST_SECOND + self._draws.randrange(DAYS_APART) + later * DAYS_APART
        seconds = self._draws.choice(SECONDS) if self._bad() else seconds
        nanos = self._draws.choice((-1, 999_999_999, 1_000_000_000, 2**31 - 1)) if self._bad() else 0
        return b"\x08" + varint(seconds % 2**64) + b"\x10" + varint(nanos % 2**64)

    def _stray(self, descriptor: Descriptor) -> bytes:
        """Fields that nobody declared, and one that is a message in a message and so on."""
        number = self._draws.choice((15, 99, 1_000, 2**29 - 1))
        strays: tuple[Callable[[], bytes], ...] = (
            lambda: self._of_another_type(number),
            lambda: encoded_field(number, self._draws.randbytes(200)),
            lambda: (varint(number << 3 | GROUP)) * DEEP + varint(number << 3 | END_GROUP) * DEEP,
            lambda: varint(number << 3 | END_GROUP),
            lambda: self._nested(descriptor),
        )
        return self._draws.choice(strays)()

    def _nested(self, descriptor: Descriptor) -> bytes:
        inner, number = b"", self._draws.choice(descriptor.fields).number if descriptor.fields else 1
        for _ in range(DEEP):
            inner = encoded_field(number, inner)
        return inner

    def _of_another_type(self, number: int) -> bytes:
        kind = self._draws.choice((VARINT, FIXED64, LENGTH, FIXED32, 6))
        content = {VARINT: b"\xff" * 9 + b"\x01", FIXED64: b"\xff" * 8, LENGTH: b"\x03\x08\x96\x01", FIXED32: b"\0" * 4}
        return varint(number << 3 | kind) + content.get(kind, b"")

    def _bad(self) -> bool:
        return self._draws.random() < self._harm


def _is_optional(field: FieldDescriptor) -> bool:
    """Declared `optional`, which a oneof of its own stands for."""
    return field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"
