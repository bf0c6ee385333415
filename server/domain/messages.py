"""One sentence for a person about each binding: derived from the decision, so never stored."""

from functools import cache

from server.domain.enums import BindingOutcome, BindingReason, BindingWorkflow, CoverageType
from server.domain.records import Binding

WHY = {
    BindingReason.WORKERS_COMP_NOT_REQUESTED: "workers' compensation was not requested",
    BindingReason.NO_GENERAL_OPT_IN: "the contractor has no general opt-in",
    BindingReason.OPT_IN_NOT_COMPLETE: "the contractor's general opt-in for this work state is not complete",
    BindingReason.WORK_STATE_MISMATCH: "the contractor's general opt-in is for another work state",
    BindingReason.JOB_CATEGORY_NOT_APPROVED: (
        "the job category is not approved for workers' compensation in this work state"
    ),
    BindingReason.PREMIUM_NOT_WITHHELD: "the premium is not withheld",
    BindingReason.WORK_STATE_NOT_OFFERED: "workers' compensation is not offered in this work state",
    BindingReason.CARRIER_DECLINED: "the carrier declined",
    BindingReason.CARRIER_UNAVAILABLE: "the carrier could not be reached or gave no answer in time",
}


def sentence(binding: Binding) -> str:
    return _sentence(
        binding.outcome,
        binding.workflow,
        binding.reasons,
        binding.standard_workflow_coverage_types,
        bool(binding.policies),
    )


@cache  # there are few: reasons and types are in their enums' order
def _sentence(
    outcome: BindingOutcome,
    workflow: BindingWorkflow,
    reasons: tuple[BindingReason, ...],
    types: tuple[CoverageType, ...],
    covered: bool,
) -> str:
    left = _types(types)
    why = _and([WHY[reason] for reason in reasons])
    match outcome:
        case BindingOutcome.COVERAGE_BOUND if workflow is BindingWorkflow.STANDARD:
            text = "New coverage was bound from a quote"
        case BindingOutcome.COVERAGE_BOUND:
            text = "New coverage was bound from the completed general opt-in"
        case BindingOutcome.COVERAGE_REUSED if why and workflow is BindingWorkflow.STANDARD:
            text = f"Matching coverage was reused without the general opt-in, because {why}"
        case BindingOutcome.COVERAGE_REUSED:
            text = "Matching coverage was reused"
        case BindingOutcome.STANDARD_WORKFLOW:
            to_what = f" to {left}" if covered else ""
            return f"The standard workflow applies{to_what}, because {why or 'no policy matches'}."
        case BindingOutcome.BINDING_FAILED:
            return f"Coverage could not be bound, because {why}; the standard workflow applies."
        case _:  # BINDING_PENDING
            return "The carrier is being asked to bind coverage."
    return f"{text}; the standard workflow applies to {left}." if left else f"{text}."


def _types(types: tuple[CoverageType, ...]) -> str:
    return _and([t.name.lower().replace("_comp", "' compensation") for t in types])


def _and(parts: list[str]) -> str:
    if not parts:
        return ""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
