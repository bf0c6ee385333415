"""The application forms: reads `application_forms.toml`, where questions, documents and rules are data."""

import hashlib
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from server.domain.enums import (
    ApplicationSessionStatus,
    BindingWorkflow,
    CoverageType,
    QuestionType,
    UnderwritingReason,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """An answer that keeps an application from being complete at once (spec 5)."""

    answer: bool
    status: ApplicationSessionStatus
    reason: UnderwritingReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Audience:
    """The applications that a question or document is for; what is empty limits nothing."""

    types: tuple[CoverageType, ...] = ()  # those that apply for any of these
    states: tuple[str, ...] = ()  # those for work in one of these
    workflows: tuple[BindingWorkflow, ...] = ()  # general opt-ins, or applications for quotes

    def has(self, types: Collection[CoverageType], state: str, workflow: BindingWorkflow) -> bool:
        return (
            (not self.types or not set(self.types).isdisjoint(types))
            and (not self.states or state in self.states)
            and (not self.workflows or workflow in self.workflows)
        )


EVERYONE = Audience()


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    id: str
    text: str
    type: QuestionType
    required: bool = True
    minimum: int | None = None
    maximum: int | None = None
    rule: Rule | None = None
    audience: Audience = EVERYONE


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    id: str
    title: str
    version: str
    text: str
    audience: Audience = EVERYONE

    @property
    def sha256(self) -> str:
        """Of the text, in hex: what a signature keeps as proof of what was signed."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    version: str
    questions: tuple[Question, ...]
    documents: tuple[Document, ...]

    def fitted(self, types: Collection[CoverageType], state: str, workflow: BindingWorkflow) -> "Form":
        """What an application for these types in this state is asked and signs."""
        return replace(
            self,
            questions=tuple(q for q in self.questions if q.audience.has(types, state, workflow)),
            documents=tuple(d for d in self.documents if d.audience.has(types, state, workflow)),
        )


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
        documents=tuple(Document(**_addressed(d) | {"text": d["text"].strip()}) for d in entry["documents"]),
    )


def _question(entry: dict[str, Any]) -> Question:
    rule = entry.get("rule")
    return Question(**_addressed(entry) | {"type": QuestionType[entry["type"]], "rule": rule and _rule(rule)})


def _addressed(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry, with whom it is for as an Audience."""
    audience = Audience(
        types=tuple(CoverageType[name] for name in entry.get("types", ())),
        states=tuple(entry.get("states", ())),
        workflows=tuple(BindingWorkflow[name] for name in entry.get("workflows", ())),
    )
    return {name: entry[name] for name in entry.keys() - {"types", "states", "workflows"}} | {"audience": audience}


def _rule(entry: dict[str, Any]) -> Rule:
    return Rule(
        answer=entry["answer"],
        status=ApplicationSessionStatus[entry["status"]],
        reason=UnderwritingReason[entry["reason"]],
    )
