"""An application session, step by step (spec 5)."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Any

import pytest

from server.domain import application, forms
from server.domain.application import (
    Answer,
    ApplicationQuestions,
    EsignatureDocument,
    FinalReview,
    SignatureGiven,
    Step,
    VerifyInfo,
)
from server.domain.enums import (
    ApplicationSessionStatus,
    ApplicationStep,
    CoverageType,
    QuestionType,
    ReviewDecision,
    UnderwritingReason,
)
from server.domain.errors import (
    ApplicationAlreadyComplete,
    ApplicationClosed,
    ApplicationNotInReview,
    ApplicationStepOutOfOrder,
    FailedPrecondition,
    InvalidFields,
)
from server.domain.records import Address, ApplicationSession, Contractor, Signature
from tests.domain.given import JANE, LONG_AGO, NEW_SESSION, NOW

CREATED, STARTED = ApplicationSessionStatus.CREATED, ApplicationSessionStatus.STARTED
IN_REVIEW = ApplicationSessionStatus.MANUAL_REVIEW
COMPLETE = ApplicationSessionStatus.APPLICATION_COMPLETE
INELIGIBLE = ApplicationSessionStatus.INELIGIBLE
EXPIRED, CANCELLED = ApplicationSessionStatus.EXPIRED, ApplicationSessionStatus.CANCELLED
UNDER_AGE, RECENT_LOSSES = UnderwritingReason.UNDER_AGE, UnderwritingReason.RECENT_LOSSES
HAS_EMPLOYEES, DECLINED = UnderwritingReason.HAS_EMPLOYEES, UnderwritingReason.DECLINED_IN_REVIEW

by_name = attrgetter("name")

Value = bool | int | str | None
GOOD: Mapping[str, bool | int | str] = {
    "age_18_or_over": True,
    "losses_last_3_years": False,
    "years_experience": 7,
    "other_workers_comp": False,
    "has_employees": False,
}
FORM = application.form_of(NEW_SESSION)
DOCUMENTS = [document.id for document in FORM.documents]


def answering(**changes: Value) -> ApplicationQuestions:
    return ApplicationQuestions(answers=[Answer(question=q, value=v) for q, v in {**GOOD, **changes}.items()])


def signing(legal_name: str = "Jane Doe", **signature: str) -> EsignatureDocument:
    given = [SignatureGiven(document=d.id, version=d.version, legal_name=legal_name) for d in FORM.documents]
    return EsignatureDocument(signatures=given, **signature)


STEPS: Mapping[ApplicationStep, Step] = {
    ApplicationStep.VERIFY_INFO: VerifyInfo(),
    ApplicationStep.APPLICATION_QUESTIONS: answering(),
    ApplicationStep.ESIGNATURE_DOCUMENT: signing(),
    ApplicationStep.FINAL_REVIEW: FinalReview(),
}


def take(*steps: Step, session: ApplicationSession = NEW_SESSION, contractor: Contractor = JANE) -> ApplicationSession:
    for step in steps:
        session, contractor = application.submit(session, contractor, step, NOW)
    return session


def due(step: ApplicationStep) -> ApplicationSession:
    """A session in which this step is due, and every step before it was taken."""
    return take(*(taken for at, taken in STEPS.items() if at < step))


def submitted(**changes: Value) -> ApplicationSession:
    return take(VerifyInfo(), answering(**changes), signing(), FinalReview())


def violations(session: ApplicationSession, step: Step, contractor: Contractor = JANE) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        application.submit(session, contractor, step, NOW)
    found = {violation.field: violation.rule for violation in caught.value.violations}
    assert len(found) == len(caught.value.violations), "one violation for every bad field"
    return found


# The order of the steps.


def test_every_step_in_turn_completes_the_application() -> None:
    session = NEW_SESSION
    for step, taken in STEPS.items():
        assert session.step is step
        session = take(taken, session=session)
        assert session.status is (COMPLETE if step is ApplicationStep.FINAL_REVIEW else STARTED)
    assert session == replace(
        NEW_SESSION,
        status=COMPLETE,
        step=ApplicationStep.DONE,
        complete_time=NOW,
        answers=GOOD,
        signatures=session.signatures,
    )
    assert [signature.document for signature in session.signatures] == DOCUMENTS


@pytest.mark.parametrize("taken", STEPS, ids=lambda step: f"{step.name} taken")
@pytest.mark.parametrize("at", STEPS, ids=lambda step: f"{step.name} due")
def test_the_step_that_is_due_or_an_earlier_one_is_taken(at: ApplicationStep, taken: ApplicationStep) -> None:
    session = due(at)
    if taken > at:
        with pytest.raises(ApplicationStepOutOfOrder) as caught:
            take(STEPS[taken], session=session)
        assert caught.value.metadata == {"step": taken.name, "due": at.name}
    else:
        assert take(STEPS[taken], session=session).step == taken + 1


@pytest.mark.parametrize("again", [ApplicationStep.VERIFY_INFO, ApplicationStep.APPLICATION_QUESTIONS], ids=by_name)
def test_an_earlier_step_again_drops_the_signatures_and_makes_every_later_step_due(again: ApplicationStep) -> None:
    session = due(ApplicationStep.FINAL_REVIEW)
    assert session.signatures
    session = take(STEPS[again], session=session)
    assert session.signatures == ()
    assert session.step == again + 1
    with pytest.raises(ApplicationStepOutOfOrder):
        take(FinalReview(), session=session)


def test_a_step_again_replaces_what_was_sent() -> None:
    session = take(answering(years_experience=8), signing("JANE DOE"), session=due(ApplicationStep.FINAL_REVIEW))
    assert session.answers == {**GOOD, "years_experience": 8}
    session = take(signing("jane doe"), session=session)
    assert [signature.legal_name for signature in session.signatures] == ["jane doe"] * len(DOCUMENTS)


# VerifyInfo.


def test_what_is_unset_is_confirmed() -> None:
    session, contractor = application.submit(NEW_SESSION, JANE, VerifyInfo(), NOW)
    assert contractor == JANE
    assert session == replace(NEW_SESSION, status=STARTED, step=ApplicationStep.APPLICATION_QUESTIONS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first_name", "Janet"),
        ("middle_name", "Ann"),
        ("last_name", "Roe"),
        ("phone", "+442071234567"),
        ("address", Address(region="NY")),
    ],
)
def test_what_is_set_is_a_correction_of_the_contractor(name: str, value: Any) -> None:
    assert JANE.update_time == LONG_AGO
    _, corrected = application.submit(NEW_SESSION, JANE, VerifyInfo(**{name: value}), NOW)
    assert corrected == replace(JANE, update_time=NOW, **{name: value})


def test_a_middle_name_can_be_taken_away() -> None:
    middle = replace(JANE, middle_name="Ann")
    assert application.corrected(middle, VerifyInfo(middle_name=""), NOW).middle_name == ""


def test_what_is_as_it_was_is_no_correction() -> None:
    same = VerifyInfo(first_name=JANE.first_name, phone=JANE.phone, address=JANE.address)
    assert application.corrected(JANE, same, NOW) == JANE


def test_a_corrected_name_is_the_one_to_sign_with() -> None:
    session = take(VerifyInfo(first_name="Janet"), answering(), signing("Janet Doe"))
    assert session.step is ApplicationStep.FINAL_REVIEW


@pytest.mark.parametrize("step", [answering(), signing(), FinalReview()], ids=lambda step: type(step).__name__)
def test_no_other_step_changes_the_contractor(step: Step) -> None:
    assert application.submit(due(ApplicationStep.FINAL_REVIEW), JANE, step, NOW)[1] is JANE


# ApplicationQuestions.

ANSWERS = "application_questions.answers"


@pytest.mark.parametrize("years", [0, 80])
def test_a_number_is_taken_within_its_bounds(years: int) -> None:
    assert take(VerifyInfo(), answering(years_experience=years)).answers["years_experience"] == years


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"favourite_colour": "red"}, f"{ANSWERS}[6].question", "is not a question of this form"),
        ({"years_experience": -1}, f"{ANSWERS}[3].int_value", "must be from 0 to 80"),
        ({"years_experience": 81}, f"{ANSWERS}[3].int_value", "must be from 0 to 80"),
        ({"years_experience": True}, f"{ANSWERS}[3].int_value", "must be set, and no other kind of value"),
        ({"years_experience": "7"}, f"{ANSWERS}[3].int_value", "must be set, and no other kind of value"),
        ({"years_experience": None}, f"{ANSWERS}[3].int_value", "must be set, and no other kind of value"),
        ({"age_18_or_over": 1}, f"{ANSWERS}[1].bool_value", "must be set, and no other kind of value"),
        ({"age_18_or_over": "yes"}, f"{ANSWERS}[1].bool_value", "must be set, and no other kind of value"),
        ({"age_18_or_over": None}, f"{ANSWERS}[1].bool_value", "must be set, and no other kind of value"),
    ],
)
def test_an_unknown_or_mistyped_answer_is_a_field_error(changes: dict[str, Value], field: str, rule: str) -> None:
    assert violations(due(ApplicationStep.APPLICATION_QUESTIONS), answering(**changes)) == {field: rule}


def test_missing_answers_are_a_field_error() -> None:
    given = [Answer(question=q, value=v) for q, v in GOOD.items() if q not in ("age_18_or_over", "has_employees")]
    session = due(ApplicationStep.APPLICATION_QUESTIONS)
    assert violations(session, ApplicationQuestions(answers=given)) == {
        ANSWERS: "must answer age_18_or_over, has_employees"
    }
    assert violations(session, ApplicationQuestions(answers=[])) == {ANSWERS: f"must answer {', '.join(GOOD)}"}


def test_a_doubled_answer_is_a_field_error() -> None:
    doubled = [*answering().answers, Answer(question="has_employees", value=False)]
    session = due(ApplicationStep.APPLICATION_QUESTIONS)
    assert violations(session, ApplicationQuestions(answers=doubled)) == {f"{ANSWERS}[6].question": "is answered twice"}


def test_all_bad_answers_are_told_at_once() -> None:
    given = [
        Answer(question="", value=True),
        Answer(question="years_experience", value=99),
        Answer(question="years_experience", value=7),
        Answer(question="has_employees", value="no"),
        *(Answer(question=q, value=False) for q in ("age_18_or_over", "losses_last_3_years")),
    ]
    assert violations(due(ApplicationStep.APPLICATION_QUESTIONS), ApplicationQuestions(answers=given)) == {
        f"{ANSWERS}[1].question": "is not a question of this form",
        f"{ANSWERS}[2].int_value": "must be from 0 to 80",
        f"{ANSWERS}[3].question": "is answered twice",
        f"{ANSWERS}[4].bool_value": "must be set, and no other kind of value",
        ANSWERS: "must answer other_workers_comp",
    }


def test_text_answers_and_questions_that_need_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    note = forms.Question(id="note", text="", type=QuestionType.TEXT, required=False)
    in_ny = forms.Question(id="in_ny", text="", type=QuestionType.BOOL, audience=forms.Audience(states=("NY",)))
    extended = replace(FORM, version="next", questions=(*FORM.questions, note, in_ny))
    monkeypatch.setitem(forms._forms(), "next", extended)
    session = replace(due(ApplicationStep.APPLICATION_QUESTIONS), form_version="next")

    assert take(answering(), session=session).answers == GOOD
    assert take(answering(note="none"), session=session).answers == {**GOOD, "note": "none"}
    assert violations(session, answering(note=1)) == {
        f"{ANSWERS}[6].string_value": "must be set, and no other kind of value"
    }
    assert violations(session, answering(in_ny=True)) == {f"{ANSWERS}[6].question": "is not a question of this form"}
    assert violations(replace(session, work_state="NY"), answering()) == {ANSWERS: "must answer in_ny"}


# EsignatureDocument.

SIGNATURES = "esignature_document.signatures"
AT_SIGNATURES = due(ApplicationStep.ESIGNATURE_DOCUMENT)


def test_signatures_are_stored_with_the_time_and_the_sha256_of_the_text() -> None:
    session = take(signing("jane  DOE", ip_address="192.0.2.1", user_agent="curl"), session=AT_SIGNATURES)
    assert session.signatures == tuple(
        Signature(
            document=document.id,
            version=document.version,
            legal_name="jane  DOE",
            text_sha256=hashlib.sha256(document.text.encode()).hexdigest(),
            sign_time=NOW,
            ip_address="192.0.2.1",
            user_agent="curl",
        )
        for document in FORM.documents
    )


def test_address_and_user_agent_are_optional() -> None:
    assert {(s.ip_address, s.user_agent) for s in take(signing(), session=AT_SIGNATURES).signatures} == {("", "")}


MIDDLE = replace(JANE, first_name="Jane", middle_name="Ann Lee", last_name="O'Neill Straße")


@pytest.mark.parametrize(
    ("contractor", "name", "legal"),
    [
        (JANE, "Jane Doe", True),
        (JANE, "  jANE\t\u00a0DOE\n", True),
        (JANE, "JaneDoe", False),
        (JANE, "Jane", False),
        (JANE, "Doe Jane", False),
        (JANE, "Jane Ann Doe", False),
        (JANE, "", False),
        (MIDDLE, "Jane O'Neill Straße", True),
        (MIDDLE, "jane ann lee o'neill STRASSE", True),
        (MIDDLE, "Jane Ann O'Neill Straße", False),
        (replace(JANE, first_name="José"), "JOSE\u0301 Doe", True),
        (replace(JANE, first_name="Jose\u0301"), "josé doe", True),
        (replace(JANE, first_name="José"), "Jose Doe", False),
    ],
)
def test_the_legal_name(contractor: Contractor, name: str, legal: bool) -> None:
    if legal:
        assert take(signing(name), session=AT_SIGNATURES, contractor=contractor).signatures
    else:
        rule = "must be the contractor's first and last name"
        assert violations(AT_SIGNATURES, signing(name), contractor) == {
            f"{SIGNATURES}[{position}].legal_name": rule for position in range(1, len(DOCUMENTS) + 1)
        }


def test_missing_signatures_are_a_field_error() -> None:
    assert violations(AT_SIGNATURES, EsignatureDocument(signatures=signing().signatures[:1])) == {
        SIGNATURES: "must sign premium_withholding, esign_consent"
    }
    assert violations(AT_SIGNATURES, EsignatureDocument(signatures=[])) == {
        SIGNATURES: "must sign fraud_notice, premium_withholding, esign_consent"
    }


def test_all_bad_signatures_are_told_at_once() -> None:
    def sign(document: str, version: str = "1", legal_name: str = "Jane Doe") -> SignatureGiven:
        return SignatureGiven(document=document, version=version, legal_name=legal_name)

    given = [sign("contract"), sign("fraud_notice", "2", "Mallory"), sign("esign_consent"), sign("esign_consent")]
    assert violations(AT_SIGNATURES, EsignatureDocument(signatures=given)) == {
        f"{SIGNATURES}[1].document": "is not a document of this form",
        f"{SIGNATURES}[2].version": "must be 1, the version shown",
        f"{SIGNATURES}[2].legal_name": "must be the contractor's first and last name",
        f"{SIGNATURES}[4].document": "is signed twice",
        SIGNATURES: "must sign premium_withholding",
    }


# FinalReview: the underwriting rules.


@pytest.mark.parametrize(
    ("answers", "status", "reasons"),
    [
        pytest.param({}, COMPLETE, (), id="nothing against it: complete"),
        pytest.param({"other_workers_comp": True, "years_experience": 0}, COMPLETE, (), id="answers without a rule"),
        pytest.param({"age_18_or_over": False}, INELIGIBLE, (UNDER_AGE,), id="age_18_or_over, no: ineligible"),
        pytest.param({"losses_last_3_years": True}, IN_REVIEW, (RECENT_LOSSES,), id="losses_last_3_years, yes: review"),
        pytest.param({"has_employees": True}, IN_REVIEW, (HAS_EMPLOYEES,), id="has_employees, yes: review"),
        pytest.param(
            {"has_employees": True, "losses_last_3_years": True},
            IN_REVIEW,
            (RECENT_LOSSES, HAS_EMPLOYEES),
            id="every reason is listed",
        ),
        pytest.param(
            {"has_employees": True, "losses_last_3_years": True, "age_18_or_over": False},
            INELIGIBLE,
            (UNDER_AGE, RECENT_LOSSES, HAS_EMPLOYEES),
            id="ineligible before review before complete",
        ),
    ],
)
def test_underwriting(
    answers: dict[str, Value], status: ApplicationSessionStatus, reasons: tuple[UnderwritingReason, ...]
) -> None:
    session = submitted(**answers)
    assert (session.status, session.reasons) == (status, reasons)
    if status is COMPLETE:
        assert (session.step, session.complete_time) == (ApplicationStep.DONE, NOW)
    else:
        assert (session.step, session.complete_time) == (ApplicationStep.FINAL_REVIEW, None)


def test_underwriting_runs_in_the_final_review_only() -> None:
    session = take(VerifyInfo(), answering(age_18_or_over=False, has_employees=True), signing())
    assert (session.status, session.reasons) == (STARTED, ())
    assert take(answering(), signing(), FinalReview(), session=session).status is COMPLETE


def test_the_reasons_are_in_enum_order_whatever_the_order_of_the_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    reversed_form = replace(FORM, version="next", questions=FORM.questions[::-1])
    monkeypatch.setitem(forms._forms(), "next", reversed_form)
    session = replace(NEW_SESSION, form_version="next", answers={"has_employees": True, "losses_last_3_years": True})
    assert application.underwrite(session, NOW).reasons == (RECENT_LOSSES, HAS_EMPLOYEES)


# Review.


def test_an_approved_review_completes() -> None:
    session = submitted(has_employees=True)
    later = NOW + timedelta(days=90)
    assert application.review(session, ReviewDecision.APPROVE, "one nephew", later) == replace(
        session, status=COMPLETE, step=ApplicationStep.DONE, complete_time=later, review_note="one nephew"
    )


def test_a_declined_review_ends_ineligible() -> None:
    session = submitted(has_employees=True)
    assert application.review(session, ReviewDecision.DECLINE, "a crew", NOW) == replace(
        session, status=INELIGIBLE, reasons=(HAS_EMPLOYEES, DECLINED), review_note="a crew"
    )


# Closed sessions.


def stored_as(status: ApplicationSessionStatus, *, is_general_opt_in: bool = True) -> ApplicationSession:
    return replace(due(ApplicationStep.FINAL_REVIEW), status=status, is_general_opt_in=is_general_opt_in)


OVERDUE = replace(stored_as(STARTED), expire_time=NOW)
STORED = {status: pytest.param(stored_as(status), status, id=status.name) for status in ApplicationSessionStatus}
CLOSED = [
    *(STORED[status] for status in (INELIGIBLE, EXPIRED, CANCELLED)),
    pytest.param(OVERDUE, EXPIRED, id="past its time"),
]
LIVE = [stored_as(status) for status in (CREATED, STARTED, IN_REVIEW)]


def refused(change: Callable[[], object]) -> tuple[type[FailedPrecondition], dict[str, str]]:
    with pytest.raises(FailedPrecondition) as caught:
        change()
    return type(caught.value), caught.value.metadata


@pytest.mark.parametrize("status", ApplicationSessionStatus, ids=by_name)
def test_an_open_session_past_its_time_reads_as_expired_and_no_other_does(status: ApplicationSessionStatus) -> None:
    session = stored_as(status)
    past_its_time = EXPIRED if status in (CREATED, STARTED) else status
    assert application.status_at(session, session.expire_time - timedelta(microseconds=1)) is status
    assert application.status_at(session, session.expire_time) is past_its_time


@pytest.mark.parametrize(("session", "status"), [*CLOSED, STORED[IN_REVIEW]])
@pytest.mark.parametrize("step", list(STEPS.values()), ids=lambda step: type(step).__name__)
def test_a_session_that_is_closed_or_in_review_takes_no_step(
    session: ApplicationSession, status: ApplicationSessionStatus, step: Step
) -> None:
    closed = {"application_session": "ias_ca", "status": status.name}
    assert refused(lambda: take(step, session=session)) == (ApplicationClosed, closed)


@pytest.mark.parametrize("step", list(STEPS.values()), ids=lambda step: type(step).__name__)
def test_a_complete_session_takes_no_step(step: Step) -> None:
    complete = (ApplicationAlreadyComplete, {"application_session": "ias_ca"})
    assert refused(lambda: take(step, session=submitted())) == complete


@pytest.mark.parametrize("decision", ReviewDecision, ids=by_name)
@pytest.mark.parametrize(("session", "status"), [*CLOSED, STORED[CREATED], STORED[STARTED], STORED[COMPLETE]])
def test_only_a_session_in_review_is_reviewed(
    session: ApplicationSession, status: ApplicationSessionStatus, decision: ReviewDecision
) -> None:
    not_in_review = {"application_session": "ias_ca", "status": status.name}
    assert refused(lambda: application.review(session, decision, "", NOW)) == (ApplicationNotInReview, not_in_review)


@pytest.mark.parametrize("session", LIVE, ids=lambda session: session.status.name)
def test_an_open_session_or_one_in_review_is_cancelled_and_keeps_its_step(session: ApplicationSession) -> None:
    assert application.cancel(session, NOW) == replace(session, status=CANCELLED)


def test_a_session_in_review_is_cancelled_past_its_time_too() -> None:
    assert application.cancel(stored_as(IN_REVIEW), NOW + timedelta(days=365)).status is CANCELLED


def test_cancelling_a_complete_general_opt_in_withdraws_it() -> None:
    assert application.cancel(submitted(), NOW) == replace(submitted(), status=CANCELLED)


def test_a_complete_session_for_a_quote_is_not_withdrawn() -> None:
    session = stored_as(COMPLETE, is_general_opt_in=False)
    complete = (ApplicationAlreadyComplete, {"application_session": "ias_ca"})
    assert refused(lambda: application.cancel(session, NOW)) == complete


@pytest.mark.parametrize(("session", "status"), CLOSED)
def test_a_closed_session_is_not_cancelled(session: ApplicationSession, status: ApplicationSessionStatus) -> None:
    closed = {"application_session": "ias_ca", "status": status.name}
    assert refused(lambda: application.cancel(session, NOW)) == (ApplicationClosed, closed)


@pytest.mark.parametrize("status", [CREATED, STARTED], ids=by_name)
def test_an_open_session_is_expired_at_once(status: ApplicationSessionStatus) -> None:
    session = stored_as(status)
    assert application.expire(session, NOW) == replace(session, status=EXPIRED, expire_time=NOW)


@pytest.mark.parametrize(("session", "status"), [*CLOSED, STORED[IN_REVIEW]])
def test_a_session_that_is_closed_or_in_review_is_not_expired(
    session: ApplicationSession, status: ApplicationSessionStatus
) -> None:
    closed = {"application_session": "ias_ca", "status": status.name}
    assert refused(lambda: application.expire(session, NOW)) == (ApplicationClosed, closed)


def test_a_complete_session_is_not_expired() -> None:
    complete = (ApplicationAlreadyComplete, {"application_session": "ias_ca"})
    assert refused(lambda: application.expire(submitted(), NOW)) == complete


# A quote that changed.


FOR_A_QUOTE = replace(NEW_SESSION, is_general_opt_in=False, quote="qt_1")
WORKERS_COMP, GENERAL = CoverageType.WORKERS_COMP, CoverageType.GENERAL


def through_signatures(session: ApplicationSession) -> ApplicationSession:
    documents = [
        SignatureGiven(document=d.id, version=d.version, legal_name="Jane Doe")
        for d in application.form_of(session).documents
    ]
    return take(VerifyInfo(), answering(), EsignatureDocument(signatures=documents), session=session)


@pytest.mark.parametrize(
    ("session", "types", "state", "expected"),
    [
        (through_signatures(FOR_A_QUOTE), (WORKERS_COMP,), "NJ", {"work_state": "NJ"}),  # the same form
        (
            through_signatures(FOR_A_QUOTE),
            (GENERAL, WORKERS_COMP),
            "CA",
            {"coverage_types": (GENERAL, WORKERS_COMP), "step": ApplicationStep.APPLICATION_QUESTIONS},
        ),
        (
            through_signatures(FOR_A_QUOTE),
            (WORKERS_COMP,),
            "NY",
            {"work_state": "NY", "step": ApplicationStep.APPLICATION_QUESTIONS},
        ),
        (
            replace(through_signatures(FOR_A_QUOTE), status=IN_REVIEW, reasons=(RECENT_LOSSES,)),
            (WORKERS_COMP,),
            "NY",
            {"work_state": "NY", "step": ApplicationStep.APPLICATION_QUESTIONS, "status": STARTED, "reasons": ()},
        ),
        (FOR_A_QUOTE, (GENERAL,), "CA", {"coverage_types": (GENERAL,)}),  # nothing was answered yet
    ],
)
def test_a_session_follows_its_quote(
    session: ApplicationSession, types: tuple[CoverageType, ...], state: str, expected: dict[str, Any]
) -> None:
    after = application.applied_anew(session, types, state)
    dropped: dict[str, Any] = {"answers": {}, "signatures": ()} if "step" in expected else {}
    assert after == replace(session, **expected, **dropped)
