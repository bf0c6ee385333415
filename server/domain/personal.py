"""What is personal in the records, and what is left of them once a contractor is erased (issue 5, item 6).

The contract marks the same fields with `debug_redact`; `tests/api/test_personal.py` holds the two equal. What the
insurance rests on stays: states, answers that are no text, what was signed and when, policies and decisions.
"""

from dataclasses import replace

from server.domain.records import Address, ApplicationSession, Assignment, Contractor, Policy, Quote, Signature

MARK = "[redacted]"

Record = Contractor | ApplicationSession | Quote | Policy | Assignment
"""What is kept about a contractor."""


def erased(record: Record) -> Record:
    """The record without its personal values: each that is there is the mark. Erasing twice changes nothing."""
    match record:
        case Contractor():
            return erased_contractor(record)
        case ApplicationSession():
            return replace(
                record,
                success_url=marked(record.success_url),
                cancel_url=marked(record.cancel_url),
                review_note=marked(record.review_note),
                answers={question: _answer(answer) for question, answer in record.answers.items()},
                signatures=tuple(map(_signature, record.signatures)),
            )
        case Policy() | Assignment():
            return replace(record, cancel_reason=marked(record.cancel_reason))
        case _:  # Quote, which has states, rates and ids
            return record


def erased_contractor(record: Contractor) -> Contractor:
    return replace(
        record,
        first_name=marked(record.first_name),
        middle_name=marked(record.middle_name),
        last_name=marked(record.last_name),
        email=marked(record.email),
        phone=marked(record.phone),
        company_name=marked(record.company_name),
        address=_address(record.address),
        metadata={MARK: MARK} if record.metadata else {},
    )


def marked(value: str) -> str:
    """An empty one says nothing of anybody."""
    return MARK if value else ""


def _address(address: Address) -> Address:
    return replace(
        address,
        line1=marked(address.line1),
        line2=marked(address.line2),
        locality=marked(address.locality),
        postalcode=marked(address.postalcode),
    )


def _answer(answer: bool | int | str) -> bool | int | str:
    return marked(answer) if isinstance(answer, str) else answer


def _signature(signature: Signature) -> Signature:
    return replace(
        signature,
        legal_name=marked(signature.legal_name),
        ip_address=marked(signature.ip_address),
        user_agent=marked(signature.user_agent),
    )
