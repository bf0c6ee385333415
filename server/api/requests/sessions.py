"""Requests about application sessions."""

from collections.abc import Iterable
from typing import Annotated, Any

from server.domain import application
from server.domain.enums import ApplicationSessionStatus, ReviewDecision
from server.domain.errors import Violation
from server.service import settable
from server.service.fields import ChangeRequest, FilterReference, IdRequest, ListRequest, Note, State, known
from server.service.settable import ApplicationSessionFields
from server.service.steps import (
    ApplicationQuestionsFields,
    EsignatureDocumentFields,
    FinalReviewFields,
    VerifyInfoFields,
)


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
