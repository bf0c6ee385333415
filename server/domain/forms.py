"""The application forms: reads `application_forms.toml`, where questions, documents and rules are data."""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from server.domain.enums import ApplicationSessionStatus, QuestionType, UnderwritingReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """An answer that keeps an application from being complete at once (spec 5)."""

    answer: bool
    status: ApplicationSessionStatus
    reason: UnderwritingReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    id: str
    text: str
    type: QuestionType
    required: bool = True
    states: tuple[str, ...] = ()  # asked in these only; empty: in every state
    minimum: int | None = None
    maximum: int | None = None
    rule: Rule | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    id: str
    title: str
    version: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the text, in hex: what a signature keeps as proof of what was signed."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    version: str
    questions: tuple[Question, ...]
    documents: tuple[Document, ...]

    def asked_in(self, state: str) -> tuple[Question, ...]:
        return tuple(q for q in self.questions if not q.states or state in q.states)


def form(version: str) -> Form:
    """The form of a version; KeyError when there has never been one."""
    return _forms()[version]


def newest() -> Form:
    """The form that new sessions begin with."""
    return list(_forms().values())[-1]


@cache
def _forms() -> dict[str, Form]:
    data = tomllib.loads(Path(__file__).with_name("application_forms.toml").read_text())
    return {entry["version"]: _form(entry) for entry in data["form"]}


def _form(entry: dict[str, Any]) -> Form:
    return Form(
        version=entry["version"],
        questions=tuple(_question(q) for q in entry["questions"]),
        documents=tuple(Document(**d | {"text": d["text"].strip()}) for d in entry["documents"]),
    )


def _question(entry: dict[str, Any]) -> Question:
    rule = entry.get("rule")
    return Question(
        **entry
        | {
            "type": QuestionType[entry["type"]],
            "states": tuple(entry.get("states", ())),
            "rule": rule and _rule(rule),
        }
    )


def _rule(entry: dict[str, Any]) -> Rule:
    return Rule(
        answer=entry["answer"],
        status=ApplicationSessionStatus[entry["status"]],
        reason=UnderwritingReason[entry["reason"]],
    )
