"""The steps of an application as they are sent (spec 5), with the rule of each field: every face parses by these."""

from typing import Annotated

from pydantic import Field

from server.domain import application
from server.service.fields import (
    AddressFields,
    Fields,
    IpAddress,
    LegalName,
    Name,
    Note,
    OptionalName,
    Phone,
    Short,
    text,
)

MOST_ANSWERS = 100
MOST_SIGNATURES = 20
LONGEST_USER_AGENT = 1_000


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
    legal_name: LegalName = ""


class EsignatureDocumentFields(Fields):
    signatures: Annotated[list[SignatureFields], Field(max_length=MOST_SIGNATURES)] = []  # noqa: RUF012
    ip_address: IpAddress = ""
    user_agent: Annotated[str, text(LONGEST_USER_AGENT)] = ""

    def step(self) -> application.EsignatureDocument:
        signatures = [application.SignatureGiven(**dict(entry)) for entry in self.signatures]
        return application.EsignatureDocument(
            signatures=signatures, ip_address=self.ip_address, user_agent=self.user_agent
        )


class FinalReviewFields(Fields):
    def step(self) -> application.FinalReview:
        return application.FinalReview()
