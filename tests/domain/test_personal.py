"""What is left of records when a contractor is erased."""

from dataclasses import replace

import pytest

from server.domain.personal import MARK, Record, erased
from server.domain.records import Address, Contractor
from tests.storage import records

RECORDS: list[Record] = [
    records.contractor(),
    records.full_contractor(records.contractor()),
    records.full_session(records.session("cn_1")),
    records.full_quote(records.quote("cn_1", "jb_1")),
    records.full_policy(records.policy("cn_1")),
    records.full_assignment(records.assignment("cn_1", "jb_1")),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_erasing_twice_changes_nothing(record: Record) -> None:
    assert erased(erased(record)) == erased(record)


def test_of_a_contractor_the_state_is_left() -> None:
    after = erased(records.full_contractor(records.contractor()))
    assert isinstance(after, Contractor)
    assert after.address == Address(line1=MARK, line2=MARK, locality=MARK, region="NY", postalcode=MARK, country="USA")
    assert after.metadata == {MARK: MARK}
    assert {after.first_name, after.middle_name, after.last_name, after.company_name} == {MARK}
    assert (after.email, after.phone) == (MARK, MARK)


def test_of_an_application_the_answers_that_are_no_text_and_the_hashes_are_left() -> None:
    before = replace(
        records.full_session(records.session("cn_1")), answers={"years": 5, "losses": True, "trade": "with my brother"}
    )
    after = erased(before)
    signed, later = before.signatures  # the second one without evidence
    signatures = (
        replace(signed, legal_name=MARK, ip_address=MARK, user_agent=MARK),
        replace(later, legal_name=MARK),
    )
    assert after == replace(
        before,
        success_url=MARK,
        cancel_url=MARK,
        review_note=MARK,
        answers={"years": 5, "losses": True, "trade": MARK},
        signatures=signatures,
    )


def test_of_policies_and_assignments_all_is_left_but_why_they_were_cancelled() -> None:
    for record in (records.full_policy(records.policy("cn_1")), records.full_assignment(records.assignment("c", "j"))):
        assert erased(record) == replace(record, cancel_reason=MARK)
    quote = records.full_quote(records.quote("cn_1", "jb_1"))
    assert erased(quote) == quote


def test_what_is_empty_stays_empty() -> None:
    policy = records.policy("cn_1")
    assert policy.cancel_reason == ""
    assert erased(policy) == policy
