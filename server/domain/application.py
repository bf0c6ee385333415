"""An application session, step by step (spec 5). Each function returns the session as it is afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from unicodedata import normalize

from server.domain.enums import (
    ApplicationSessionStatus,
    ApplicationStep,
    BindingWorkflow,
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
    InvalidFields,
    Violation,
)
from server.domain.forms import Form, Question, form
from server.domain.records import Address, ApplicationSession, Contractor, OptIn, Signature

OPEN = (ApplicationSessionStatus.CREATED, ApplicationSessionStatus.STARTED)
LIVE = (*OPEN, ApplicationSessionStatus.MANUAL_REVIEW)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyInfo:
    """Corrections by the contractor; what is None is confirmed."""

    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    address: Address | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    question: str
    value: bool | int | str | None  # None: nothing was set


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplicationQuestions:
    answers: Sequence[Answer]


@dataclass(frozen=True, kw_only=True, slots=True)
class SignatureGiven:
    document: str
    version: str
    legal_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EsignatureDocument:
    signatures: Sequence[SignatureGiven]
    ip_address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalReview:
    pass


Step = VerifyInfo | ApplicationQuestions | EsignatureDocument | FinalReview

STEP_OF: Mapping[type[Step], ApplicationStep] = {
    VerifyInfo: ApplicationStep.VERIFY_INFO,
    ApplicationQuestions: ApplicationStep.APPLICATION_QUESTIONS,
    EsignatureDocument: ApplicationStep.ESIGNATURE_DOCUMENT,
    FinalReview: ApplicationStep.FINAL_REVIEW,
}


def form_of(session: ApplicationSession) -> Form:
    """What this session asks and has signed: its version's questions and documents for its types and state."""
    workflow = BindingWorkflow.GENERAL_OPT_IN if session.is_general_opt_in else BindingWorkflow.STANDARD
    return form(session.form_version).fitted(session.coverage_types, session.work_state, workflow)


def status_at(session: OptIn, now: datetime) -> ApplicationSessionStatus:
    """The status as it reads: an open session past its time is EXPIRED, one in review is not."""
    if session.status in OPEN and session.expire_time <= now:
        return ApplicationSessionStatus.EXPIRED
    return session.status


def submit(
    session: ApplicationSession, contractor: Contractor, step: Step, now: datetime
) -> tuple[ApplicationSession, Contractor]:
    """Takes the step that is due, or an earlier one again. The contractor changes with VerifyInfo only."""
    require_open(session, now)
    taken = STEP_OF[type(step)]
    if taken > session.step:
        raise ApplicationStepOutOfOrder(step=taken.name, due=session.step.name)
    session = replace(
        session,
        status=ApplicationSessionStatus.STARTED,
        step=ApplicationStep(taken + 1),
        signatures=() if taken <= ApplicationStep.ESIGNATURE_DOCUMENT else session.signatures,
    )
    match step:
        case VerifyInfo():
            return session, corrected(contractor, step, now)
        case ApplicationQuestions():
            answers = _checked_answers(step.answers, form_of(session).questions)
            return replace(session, answers=answers), contractor
        case EsignatureDocument():
            signatures = _checked_signatures(step, form_of(session), contractor, now)
            return replace(session, signatures=signatures), contractor
        case _:  # FinalReview
            return underwrite(session, now), contractor


def corrected(contractor: Contractor, info: VerifyInfo, now: datetime) -> Contractor:
    names = ("first_name", "middle_name", "last_name", "phone", "address")
    after = replace(contractor, **{name: value for name in names if (value := getattr(info, name)) is not None})
    return contractor if after == contractor else replace(after, update_time=now)


def underwrite(session: ApplicationSession, now: datetime) -> ApplicationSession:
    """Runs the underwriting rules: ineligible before review before complete, every reason listed."""
    hits = [
        question.rule
        for question in form_of(session).questions
        if question.rule and session.answers.get(question.id) is question.rule.answer
    ]
    session = replace(session, reasons=tuple(sorted(hit.reason for hit in hits)))
    statuses = {hit.status for hit in hits}
    for status in (ApplicationSessionStatus.INELIGIBLE, ApplicationSessionStatus.MANUAL_REVIEW):
        if status in statuses:
            return replace(session, status=status, step=ApplicationStep.FINAL_REVIEW)
    return _completed(session, now)


def review(session: ApplicationSession, decision: ReviewDecision, note: str, now: datetime) -> ApplicationSession:
    if session.status is not ApplicationSessionStatus.MANUAL_REVIEW:
        raise ApplicationNotInReview(application_session=session.id, status=status_at(session, now).name)
    session = replace(session, review_note=note)
    if decision is ReviewDecision.APPROVE:
        return _completed(session, now)
    return replace(
        session,
        status=ApplicationSessionStatus.INELIGIBLE,
        reasons=(*session.reasons, UnderwritingReason.DECLINED_IN_REVIEW),
    )


def cancel(session: ApplicationSession, now: datetime) -> ApplicationSession:
    """Closes a session that is open or in review; a complete general opt-in is withdrawn."""
    withdrawn = session.is_general_opt_in and session.status is ApplicationSessionStatus.APPLICATION_COMPLETE
    if not withdrawn and status_at(session, now) is not ApplicationSessionStatus.MANUAL_REVIEW:
        require_open(session, now)
    return replace(session, status=ApplicationSessionStatus.CANCELLED)


def expire(session: ApplicationSession, now: datetime) -> ApplicationSession:
    require_open(session, now)
    return replace(session, status=ApplicationSessionStatus.EXPIRED, expire_time=now)


def applied_anew(
    session: ApplicationSession, coverage_types: tuple[CoverageType, ...], work_state: str
) -> ApplicationSession:
    """The open session of a quote that changed: where the form is another one now, it is filled in again."""
    after = replace(session, coverage_types=coverage_types, work_state=work_state)
    if form_of(after) == form_of(session):
        return after
    if session.status is ApplicationSessionStatus.MANUAL_REVIEW:  # of answers to other questions
        after = replace(after, status=ApplicationSessionStatus.STARTED, reasons=())
    step = min(session.step, ApplicationStep.APPLICATION_QUESTIONS)
    return replace(after, step=step, answers={}, signatures=())


def require_open(session: ApplicationSession, now: datetime) -> None:
    """Raises ApplicationAlreadyComplete or ApplicationClosed unless the contractor may go on."""
    status = status_at(session, now)
    if status is ApplicationSessionStatus.APPLICATION_COMPLETE:
        raise ApplicationAlreadyComplete(application_session=session.id)
    if status not in OPEN:
        raise ApplicationClosed(application_session=session.id, status=status.name)


def _completed(session: ApplicationSession, now: datetime) -> ApplicationSession:
    return replace(
        session,
        status=ApplicationSessionStatus.APPLICATION_COMPLETE,
        step=ApplicationStep.DONE,
        complete_time=now,
    )


def _checked_answers(answers: Sequence[Answer], asked: Sequence[Question]) -> dict[str, bool | int | str]:
    """Unknown, missing, doubled and mistyped answers are field errors; the first item is [1], as in BadRequest."""
    path = "application_questions.answers"
    questions = {question.id: question for question in asked}
    found: list[Violation] = []
    values: dict[str, bool | int | str | None] = {}
    for position, answer in enumerate(answers, 1):
        question = questions.get(answer.question)
        if question is None:
            found.append(Violation(f"{path}[{position}].question", "is not a question of this form"))
        elif answer.question in values:
            found.append(Violation(f"{path}[{position}].question", "is answered twice"))
        elif rule := _broken_rule(question, answer.value):
            found.append(Violation(f"{path}[{position}].{VALUE_FIELD[question.type]}", rule))
        values[answer.question] = answer.value
    missing = [q.id for q in asked if q.required and q.id not in values]
    if missing:
        found.append(Violation(path, f"must answer {', '.join(missing)}"))
    if found:
        raise InvalidFields(found)
    return {question: value for question, value in values.items() if value is not None}


VALUE_FIELD = {
    QuestionType.BOOL: "bool_value",
    QuestionType.INT: "int_value",
    QuestionType.TEXT: "string_value",
}
VALUE_TYPE = {QuestionType.BOOL: bool, QuestionType.INT: int, QuestionType.TEXT: str}


def _broken_rule(question: Question, value: bool | int | str | None) -> str:
    if type(value) is not VALUE_TYPE[question.type]:
        return "must be set, and no other kind of value"
    low, high = question.minimum, question.maximum
    outside = isinstance(value, int) and ((low is not None and value < low) or (high is not None and value > high))
    return f"must be from {low} to {high}" if outside else ""


def _checked_signatures(
    step: EsignatureDocument, signed_form: Form, contractor: Contractor, now: datetime
) -> tuple[Signature, ...]:
    path = "esignature_document.signatures"
    documents = {document.id: document for document in signed_form.documents}
    names = legal_names(contractor)
    found: list[Violation] = []
    signed: dict[str, Signature] = {}
    for position, given in enumerate(step.signatures, 1):
        document = documents.get(given.document)
        if document is None:
            found.append(Violation(f"{path}[{position}].document", "is not a document of this form"))
            continue
        if given.document in signed:
            found.append(Violation(f"{path}[{position}].document", "is signed twice"))
        if given.version != document.version:
            found.append(Violation(f"{path}[{position}].version", f"must be {document.version}, the version shown"))
        if _folded(given.legal_name) not in names:
            found.append(Violation(f"{path}[{position}].legal_name", "must be the contractor's first and last name"))
        signed[given.document] = Signature(
            document=document.id,
            version=document.version,
            legal_name=given.legal_name,
            text_sha256=document.sha256,
            sign_time=now,
            ip_address=step.ip_address,
            user_agent=step.user_agent,
        )
    missing = [document for document in documents if document not in signed]
    if missing:
        found.append(Violation(path, f"must sign {', '.join(missing)}"))
    if found:
        raise InvalidFields(found)
    return tuple(signed.values())


def legal_names(contractor: Contractor) -> frozenset[str]:
    """First and last name, with and without the middle name, folded in case, spacing and composition of letters."""
    first, middle, last = contractor.first_name, contractor.middle_name, contractor.last_name
    return frozenset({_folded(f"{first} {last}"), _folded(f"{first} {middle} {last}")})


def _folded(name: str) -> str:
    """As Unicode matches without case (D145)."""
    return " ".join(normalize("NFD", normalize("NFD", name).casefold()).split())
