"""Requests about application sessions."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from server.domain import application
from server.domain.enums import ApplicationSessionStatus, ReviewDecision
from server.domain.errors import Violation
from server.service import settable
from server.service.fields import (
    AddressFields,
    ChangeRequest,
    Fields,
    FilterReference,
    IdRequest,
    IpAddress,
    ListRequest,
    Name,
    Note,
    OptionalName,
    Phone,
    Short,
    State,
    known,
    text,
)
from server.service.settable import ApplicationSessionFields

MOST_ANSWERS = 100
MOST_SIGNATURES = 20


class CreateApplicationSession(ChangeRequest):
    application_session: ApplicationSessionFields


def fits_its_workflow(request: dict[str, Any]) -> Iterable[Violation]:
    for bad in settable.fits_its_workflow(request.get("application_session", {})):
        yield Violation(f"application_session.{bad.field}", bad.rule)


class ListApplicationSessions(ListRequest):
    contractor: FilterReference = ""
    is_general_opt_in: bool | None = None
    work_state: State = ""
    status: Annotated[ApplicationSessionStatus | None, known(ApplicationSessionStatus)] = None


class VerifyInfoFields(Fields):
    first_name: Name | None = None
    middle_name: OptionalName | None = None
    last_name: Name | None = None
    phone: Phone | None = None
    address: AddressFields | None = None

    def step(self) -> application.VerifyInfo:
        return application.VerifyInfo(**self.values())


class AnswerFields(Fields):
    question: Short = ""
    bool_value: bool | None = None
    int_value: int | None = None
    string_value: Note | None = None

    def answer(self) -> application.Answer:
        values = (self.bool_value, self.int_value, self.string_value)
        return application.Answer(question=self.question, value=next((v for v in values if v is not None), None))


class ApplicationQuestionsFields(Fields):
    answers: Annotated[list[AnswerFields], Field(max_length=MOST_ANSWERS)] = []  # noqa: RUF012

    def step(self) -> application.ApplicationQuestions:
        return application.ApplicationQuestions(answers=[entry.answer() for entry in self.answers])


class SignatureFields(Fields):
    document: Short = ""
    version: Short = ""
    legal_name: Short = ""


class EsignatureDocumentFields(Fields):
    signatures: Annotated[list[SignatureFields], Field(max_length=MOST_SIGNATURES)] = []  # noqa: RUF012
    ip_address: IpAddress = ""
    user_agent: Annotated[str, text(1_000)] = ""

    def step(self) -> application.EsignatureDocument:
        signatures = [application.SignatureGiven(**dict(entry)) for entry in self.signatures]
        return application.EsignatureDocument(
            signatures=signatures, ip_address=self.ip_address, user_agent=self.user_agent
        )


class FinalReviewFields(Fields):
    def step(self) -> application.FinalReview:
        return application.FinalReview()


class SubmitApplicationStep(IdRequest):
    verify_info: VerifyInfoFields | None = None
    application_questions: ApplicationQuestionsFields | None = None
    esignature_document: EsignatureDocumentFields | None = None
    final_review: FinalReviewFields | None = None

    def step(self) -> application.Step:
        """The one that is set: `has_a_step` has made sure of it."""
        fields = (self.verify_info, self.application_questions, self.esignature_document, self.final_review)
        return next(entry.step() for entry in fields if entry is not None)


def has_a_step(request: dict[str, Any]) -> Iterable[Violation]:
    if not {"verify_info", "application_questions", "esignature_document", "final_review"} & request.keys():
        yield Violation("step", "is required: one of the steps must be set")


class ReviewApplicationSession(IdRequest):
    decision: Annotated[ReviewDecision, known(ReviewDecision)]
    note: Note = ""
