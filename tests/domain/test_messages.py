"""One sentence for a person about every binding."""

from operator import attrgetter

import pytest

from server.domain.enums import BindingOutcome, BindingReason, BindingWorkflow, CoverageType
from server.domain.messages import WHY, sentence
from server.domain.records import Binding

OPT_IN, STANDARD = BindingWorkflow.GENERAL_OPT_IN, BindingWorkflow.STANDARD
WORKERS_COMP, GENERAL, CYBER = CoverageType.WORKERS_COMP, CoverageType.GENERAL, CoverageType.CYBER
NO_OPT_IN = BindingReason.NO_GENERAL_OPT_IN
NOT_APPROVED = BindingReason.JOB_CATEGORY_NOT_APPROVED
NOT_WITHHELD = BindingReason.PREMIUM_NOT_WITHHELD

SENTENCES = {
    "New coverage was bound from the completed general opt-in.": Binding(
        outcome=BindingOutcome.COVERAGE_BOUND, workflow=OPT_IN
    ),
    "New coverage was bound from the completed general opt-in; the standard workflow applies to general.": Binding(
        outcome=BindingOutcome.COVERAGE_BOUND, workflow=OPT_IN, standard_workflow_coverage_types=(GENERAL,)
    ),
    "New coverage was bound from a quote; the standard workflow applies to cyber.": Binding(
        outcome=BindingOutcome.COVERAGE_BOUND,
        workflow=STANDARD,
        reasons=(NO_OPT_IN,),
        standard_workflow_coverage_types=(CYBER,),
    ),
    "Matching coverage was reused.": Binding(outcome=BindingOutcome.COVERAGE_REUSED, workflow=OPT_IN),
    "Matching coverage was reused; the standard workflow applies to general and cyber.": Binding(
        outcome=BindingOutcome.COVERAGE_REUSED, workflow=OPT_IN, standard_workflow_coverage_types=(GENERAL, CYBER)
    ),
    "Matching coverage was reused without the general opt-in, because the contractor has no general opt-in.": Binding(
        outcome=BindingOutcome.COVERAGE_REUSED, workflow=STANDARD, reasons=(NO_OPT_IN,)
    ),
    (
        "The standard workflow applies, because the contractor has no general opt-in, the job category is not approved "
        "for workers' compensation in this work state and the premium is not withheld."
    ): Binding(
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        workflow=STANDARD,
        reasons=(NO_OPT_IN, NOT_APPROVED, NOT_WITHHELD),
        standard_workflow_coverage_types=(WORKERS_COMP,),
    ),
    "The standard workflow applies, because no policy matches.": Binding(
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        workflow=STANDARD,
        standard_workflow_coverage_types=(WORKERS_COMP,),
    ),
    "The standard workflow applies to workers' compensation, because the premium is not withheld.": Binding(
        outcome=BindingOutcome.STANDARD_WORKFLOW,
        workflow=STANDARD,
        policies=("pl_1",),
        reasons=(NOT_WITHHELD,),
        standard_workflow_coverage_types=(WORKERS_COMP,),
    ),
    "Coverage could not be bound, because the carrier declined; the standard workflow applies.": Binding(
        outcome=BindingOutcome.BINDING_FAILED,
        workflow=OPT_IN,
        reasons=(BindingReason.CARRIER_DECLINED,),
        standard_workflow_coverage_types=(WORKERS_COMP, GENERAL),
    ),
    "The carrier is being asked to bind coverage.": Binding(outcome=BindingOutcome.BINDING_PENDING, workflow=OPT_IN),
}


@pytest.mark.parametrize(("text", "binding"), list(SENTENCES.items()), ids=list(SENTENCES))
def test_the_sentence(text: str, binding: Binding) -> None:
    assert sentence(binding) == text


def test_every_outcome_has_a_sentence_above() -> None:
    assert {binding.outcome for binding in SENTENCES.values()} == set(BindingOutcome)


def test_every_reason_has_words_of_its_own() -> None:
    assert list(WHY) == list(BindingReason)
    assert len(set(WHY.values())) == len(BindingReason)


@pytest.mark.parametrize("outcome", BindingOutcome, ids=attrgetter("name"))
@pytest.mark.parametrize("workflow", BindingWorkflow, ids=attrgetter("name"))
@pytest.mark.parametrize("reason", BindingReason, ids=attrgetter("name"))
def test_whatever_was_decided_is_one_sentence(
    outcome: BindingOutcome, workflow: BindingWorkflow, reason: BindingReason
) -> None:
    left = (WORKERS_COMP, GENERAL, CYBER)
    text = sentence(
        Binding(outcome=outcome, workflow=workflow, reasons=(reason,), standard_workflow_coverage_types=left)
    )
    assert text[0].isupper()
    assert text.endswith(".")
    assert text.count(".") == 1
    assert "_" not in text
