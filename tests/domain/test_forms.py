"""The application form's data (spec 5)."""

import hashlib
from dataclasses import replace

import pytest

from server.domain import forms
from server.domain.enums import (
    ApplicationSessionStatus,
    BindingWorkflow,
    CoverageType,
    QuestionType,
    UnderwritingReason,
)
from server.domain.forms import Audience, Document, Form, Question, Rule, form, newest
from server.domain.states import STATE_FUND_ONLY, STATES, is_offered

SIGNED = {
    "2026-11": {
        "fraud_notice": "c5da9478e54695e256e51667127aceaeecc2c028e4b8e92303a05c7d49a82e47",
        "premium_withholding": "03114353b13fce9a76aefc64706c9eb265767dbad55bb22b5b87b2b574576dc1",
        "new_york_fraud_notice": "5ae93739c85786f56007a9344ee02dceff8caf036586199cd24eb83597c08f28",
        "esign_consent": "e293efe03cd0e352477d415f5a7043e3d0752f34527e49543057d70a72b2f258",
    },
}
"""The SHA-256 of every text that was ever signed: a form in use is never edited, a new one is added."""

ALL = [form(version) for version in SIGNED]
every_form = pytest.mark.parametrize("each", ALL, ids=[each.version for each in ALL])

INELIGIBLE, REVIEW = ApplicationSessionStatus.INELIGIBLE, ApplicationSessionStatus.MANUAL_REVIEW


def test_every_form_is_listed_here() -> None:
    assert list(forms._forms()) == list(SIGNED)


def test_new_sessions_begin_with_the_last_form() -> None:
    assert newest() == form(list(SIGNED)[-1])


def test_there_is_no_form_of_an_unknown_version() -> None:
    with pytest.raises(KeyError):
        form("1999-01")


@every_form
def test_the_texts_that_are_signed_never_change(each: Form) -> None:
    assert {document.id: document.sha256 for document in each.documents} == SIGNED[each.version]


@every_form
def test_ids_are_unique(each: Form) -> None:
    for ids in ([q.id for q in each.questions], [d.id for d in each.documents]):
        assert len(ids) == len(set(ids))


@every_form
def test_texts_are_plain_and_short(each: Form) -> None:
    for text in [*(q.text for q in each.questions), *(d.text for d in each.documents)]:
        assert text == " ".join(text.split())
        assert text.isascii()
        assert 0 < len(text) <= 500
    assert all(document.title and document.version for document in each.documents)


@every_form
def test_questions_make_sense(each: Form) -> None:
    for question in each.questions:
        assert STATES.issuperset(question.audience.states)
        if question.type is not QuestionType.INT:
            assert (question.minimum, question.maximum) == (None, None)
        if question.rule:
            assert question.type is QuestionType.BOOL
            assert question.rule.status in (INELIGIBLE, REVIEW)
            assert question.rule.reason is not UnderwritingReason.DECLINED_IN_REVIEW


@pytest.mark.parametrize("state", ["CA", "NY"])
def test_the_questions_of_a_general_opt_in_are_those_of_the_specification(state: str) -> None:
    questions = fitted(state, OPT_IN, CoverageType.WORKERS_COMP).questions
    asked = {question.id: replace(question, text="", audience=Audience()) for question in questions}
    assert asked == {
        question.id: question
        for question in [
            Question(
                id="age_18_or_over",
                text="",
                type=QuestionType.BOOL,
                rule=Rule(answer=False, status=INELIGIBLE, reason=UnderwritingReason.UNDER_AGE),
            ),
            Question(
                id="losses_last_3_years",
                text="",
                type=QuestionType.BOOL,
                rule=Rule(answer=True, status=REVIEW, reason=UnderwritingReason.RECENT_LOSSES),
            ),
            Question(id="years_experience", text="", type=QuestionType.INT, minimum=0, maximum=80),
            Question(id="other_workers_comp", text="", type=QuestionType.BOOL),
            Question(
                id="has_employees",
                text="",
                type=QuestionType.BOOL,
                rule=Rule(answer=True, status=REVIEW, reason=UnderwritingReason.HAS_EMPLOYEES),
            ),
        ]
    }


@pytest.mark.parametrize("state", ["CA", "NY"])
def test_the_documents_of_a_general_opt_in_are_those_of_the_specification(state: str) -> None:
    documents = fitted(state, OPT_IN, CoverageType.WORKERS_COMP).documents
    assert [d.id for d in documents] == ["fraud_notice", "premium_withholding", "esign_consent"]


EVERYBODYS = ["age_18_or_over", "losses_last_3_years", "years_experience", "has_employees"]


@pytest.mark.parametrize(
    ("state", "types", "more"),
    [
        ("CA", [CoverageType.WORKERS_COMP], ["other_workers_comp"]),
        ("CA", [CoverageType.GENERAL], ["harm_to_others_last_3_years"]),
        ("NY", [CoverageType.GENERAL], ["harm_to_others_last_3_years", "works_at_heights"]),
        ("NY", [CoverageType.WORKERS_COMP], ["other_workers_comp"]),
        ("CA", [CoverageType.PROFESSIONAL], ["claims_by_clients_last_3_years"]),
        ("HI", [CoverageType.MEDIA, CoverageType.CYBER], ["publishes_for_clients", "keeps_personal_data"]),
        (
            "CA",
            [CoverageType.GENERAL, CoverageType.WORKERS_COMP],
            ["other_workers_comp", "harm_to_others_last_3_years"],
        ),
    ],
)
def test_the_questions_for_a_quote_follow_its_types_and_state(
    state: str, types: list[CoverageType], more: list[str]
) -> None:
    asked = [question.id for question in fitted(state, BindingWorkflow.STANDARD, *types).questions]
    assert sorted(asked) == sorted(EVERYBODYS + more)


@pytest.mark.parametrize(
    ("state", "documents"),
    [("CA", ["fraud_notice", "esign_consent"]), ("NY", ["fraud_notice", "new_york_fraud_notice", "esign_consent"])],
)
def test_the_documents_for_a_quote_follow_the_state_and_withhold_nothing(state: str, documents: list[str]) -> None:
    shown = fitted(state, BindingWorkflow.STANDARD, CoverageType.WORKERS_COMP).documents
    assert [document.id for document in shown] == documents


def fitted(state: str, workflow: BindingWorkflow, *types: CoverageType) -> Form:
    return form("2026-11").fitted(types, state, workflow)


OPT_IN = BindingWorkflow.GENERAL_OPT_IN


def test_a_document_is_known_by_the_sha256_of_its_text() -> None:
    document = Document(id="note", title="Note", version="1", text="Work is risk.")
    assert document.sha256 == hashlib.sha256(b"Work is risk.").hexdigest()


def test_there_are_50_states_and_dc() -> None:
    assert len(STATES) == 51
    assert "DC" in STATES
    assert all(len(state) == 2 and state.isupper() for state in STATES)


def test_four_states_sell_workers_compensation_through_a_state_fund_only() -> None:
    assert {state for state in STATES if not is_offered(state)} == {"ND", "OH", "WA", "WY"} == STATE_FUND_ONLY
