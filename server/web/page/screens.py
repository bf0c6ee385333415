"""The screens: what each shows of an application, and the step that its form makes. No rule stands here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import phonenumbers

from server.domain import application
from server.domain.enums import ApplicationStep, QuestionType
from server.domain.errors import InvalidFields
from server.domain.forms import Form, Question
from server.domain.records import ApplicationSession, Contractor
from server.service.parsing import parsed
from server.service.steps import ApplicationQuestionsFields, EsignatureDocumentFields, VerifyInfoFields
from server.web.page.texts import Texts

Typed = Mapping[str, str]
"""What stands in a form, by the name of its field."""

NAMES = ("first_name", "middle_name", "last_name", "phone")
ADDRESS = ("line1", "line2", "locality", "region", "postalcode")
WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")
ITEM = re.compile(r"\[(\d+)\]")
YES_OR_NO = {"yes": True, "no": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is on record, and where the one who applies sits."""

    session: ApplicationSession
    contractor: Contractor
    ip_address: str
    user_agent: str

    @property
    def form(self) -> Form:
        return application.form_of(self.session)

    @property
    def legal_name(self) -> str:
        return f"{self.contractor.first_name} {self.contractor.last_name}"


class Screen:
    """One step."""

    name: str  # in its path, the texts and its template
    due: ApplicationStep

    def on_record(self, known: Known) -> Typed:
        return {}

    def step(self, known: Known, typed: Typed) -> application.Step:
        """Raises InvalidFields."""
        raise NotImplementedError

    def errors(self, known: Known, invalid: InvalidFields, texts: Texts, typed: Typed) -> dict[str, str]:
        """By the name of the field, as a person would say it."""
        return {}


class Information(Screen):
    name = "information"
    due = ApplicationStep.VERIFY_INFO

    def on_record(self, known: Known) -> Typed:
        contractor = known.contractor
        names = {name: getattr(contractor, name) for name in NAMES}
        address = {name: getattr(contractor.address, name) for name in ADDRESS}
        return {**names, **address, "phone": dialled(contractor.phone), "postalcode": spaced(address["postalcode"])}

    def step(self, known: Known, typed: Typed) -> application.Step:
        """Only what differs from the record is a correction; an address is corrected as a whole."""
        before = self.on_record(known)
        changed = {name: value for name, value in typed.items() if value.strip() != before.get(name, value.strip())}
        plain: dict[str, Any] = {name: changed[name] for name in NAMES if name in changed}
        if changed.keys() & set(ADDRESS):
            plain["address"] = {name: {**before, **typed}[name] for name in ADDRESS}
            for name in ("region", "postalcode"):
                if not plain["address"][name] and not before[name]:
                    del plain["address"][name]
        return parsed(VerifyInfoFields, plain).step()

    def errors(self, known: Known, invalid: InvalidFields, texts: Texts, typed: Typed) -> dict[str, str]:
        fields = (violation.field.rpartition(".")[2] for violation in invalid.violations)
        return {name: texts["errors"][name] for name in fields}


class Questions(Screen):
    name = "questions"
    due = ApplicationStep.APPLICATION_QUESTIONS

    def on_record(self, known: Known) -> Typed:
        said = {True: "yes", False: "no"}
        return {
            name: said[answer] if isinstance(answer, bool) else str(answer)
            for name, answer in known.session.answers.items()
        }

    def step(self, known: Known, typed: Typed) -> application.Step:
        """One that was left empty is sent as such, so that the error stands at it."""
        answers = [
            {"question": question.id, **answered(question, typed.get(question.id, ""))}
            for question in self._sent(known, typed)
        ]
        return parsed(ApplicationQuestionsFields, {"answers": answers}).step()

    def errors(self, known: Known, invalid: InvalidFields, texts: Texts, typed: Typed) -> dict[str, str]:
        sent = self._sent(known, typed)
        return {
            question.id: rule_of(question, texts)
            for violation in invalid.violations
            for question in [item_of(violation.field, sent)]
        }

    def _sent(self, known: Known, typed: Typed) -> list[Question]:
        return [question for question in known.form.questions if question.required or typed.get(question.id)]


class Documents(Screen):
    name = "documents"
    due = ApplicationStep.ESIGNATURE_DOCUMENT

    def on_record(self, known: Known) -> Typed:
        return {signature.document: signature.legal_name for signature in known.session.signatures}

    def step(self, known: Known, typed: Typed) -> application.Step:
        signatures = [
            {
                "document": document.id,
                "version": typed.get(f"{document.id}.version", ""),
                "legal_name": typed.get(document.id, ""),
            }
            for document in known.form.documents
        ]
        evidence = {"ip_address": known.ip_address} if known.ip_address else {}
        evidence["user_agent"] = known.user_agent
        return parsed(EsignatureDocumentFields, {"signatures": signatures, **evidence}).step()

    def errors(self, known: Known, invalid: InvalidFields, texts: Texts, typed: Typed) -> dict[str, str]:
        found: dict[str, str] = {}
        for violation in invalid.violations:
            document = item_of(violation.field, known.form.documents)
            rule = "legal_name" if violation.field.endswith("legal_name") else "document"
            found.setdefault(document.id, texts["errors"][rule].format(name=known.legal_name))
        return found


class Submit(Screen):
    name = "submit"
    due = ApplicationStep.FINAL_REVIEW

    def step(self, known: Known, typed: Typed) -> application.Step:
        return application.FinalReview()


SCREENS: tuple[Screen, ...] = (Information(), Questions(), Documents(), Submit())


def screen_due(session: ApplicationSession) -> Screen:
    """Of an open session."""
    return next(screen for screen in SCREENS if screen.due is session.step)


def screen_named(name: str) -> Screen | None:
    return next((screen for screen in SCREENS if screen.name == name), None)


def dialled(phone: str) -> str:
    """As it is written where it is: a US number without its country."""
    number = phonenumbers.parse(phone, "US")
    form = phonenumbers.PhoneNumberFormat
    return phonenumbers.format_number(number, form.NATIONAL if number.country_code == 1 else form.INTERNATIONAL)


def spaced(postalcode: str) -> str:
    return f"{postalcode[:5]}-{postalcode[5:]}" if len(postalcode) == 9 else postalcode


def answered(question: Question, typed: str) -> dict[str, bool | int | str]:
    """The value in its field; the domain says whether it is the right one."""
    if question.type is QuestionType.BOOL and typed in YES_OR_NO:
        return {"bool_value": YES_OR_NO[typed]}
    if question.type is QuestionType.INT and WHOLE_NUMBER.fullmatch(typed):
        return {"int_value": int(typed)}
    return {"string_value": typed} if typed.strip() else {}


def rule_of(question: Question, texts: Texts) -> str:
    kinds = {QuestionType.BOOL: "yes_or_no", QuestionType.INT: "number", QuestionType.TEXT: "text"}
    sentence: str = texts["errors"][kinds[question.type]]
    return sentence.format(minimum=question.minimum, maximum=question.maximum)


def item_of(path: str, items: Any) -> Any:
    """What the number in a violation's path counts, from 1."""
    found = ITEM.search(path)
    return items[int(found[1]) - 1] if found else items[0]
