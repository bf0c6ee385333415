"""What is decided when a policy that would be reused is still being bound after the time to wait."""

from server.domain.decision import given_up
from server.domain.enums import BindingOutcome, BindingReason, BindingWorkflow, CoverageType
from server.domain.records import Binding

TYPES = (CoverageType.WORKERS_COMP,)


def test_an_opt_in_s_binding_has_failed() -> None:
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_REUSED,
        workflow=BindingWorkflow.GENERAL_OPT_IN,
        policies=("pl_1",),
        application_session="ias_1",
        net_rate=250,
    )
    told = given_up(binding, TYPES)
    assert told.outcome is BindingOutcome.BINDING_FAILED
    assert told.reasons == (BindingReason.CARRIER_UNAVAILABLE,)
    assert (told.policies, told.net_rate, told.standard_workflow_coverage_types) == ((), 0, TYPES)


def test_the_standard_workflow_goes_on_for_its_own_reasons() -> None:
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_REUSED,
        workflow=BindingWorkflow.STANDARD,
        policies=("pl_1",),
        reasons=(BindingReason.NO_GENERAL_OPT_IN,),
        net_rate=250,
    )
    told = given_up(binding, TYPES)
    assert told.outcome is BindingOutcome.STANDARD_WORKFLOW
    assert told.reasons == (BindingReason.NO_GENERAL_OPT_IN,)
    assert (told.policies, told.net_rate, told.standard_workflow_coverage_types) == ((), 0, TYPES)
