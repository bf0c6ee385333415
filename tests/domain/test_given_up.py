"""What is decided when a policy that would be reused is still being bound after the time to wait, or has failed."""

from dataclasses import replace

import pytest

from server.domain.decision import decide, failed, given_up, must_wait, what_to_bind
from server.domain.enums import BindingOutcome, BindingReason, BindingWorkflow, CoverageType, PolicyStatus
from server.domain.records import Binding, Policy
from tests.domain.given import FACTS, NOW, POLICY, REQUEST

TYPES = (CoverageType.WORKERS_COMP,)


def test_an_opt_in_s_binding_has_failed() -> None:
    binding = Binding(
        outcome=BindingOutcome.COVERAGE_REUSED,
        workflow=BindingWorkflow.GENERAL_OPT_IN,
        policies=("pl_1",),
        application_session="ias_1",
        net_rate=250,
    )
    told = given_up(binding, TYPES, BindingReason.CARRIER_UNAVAILABLE)
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
    told = given_up(binding, TYPES, BindingReason.CARRIER_UNAVAILABLE)
    assert told.outcome is BindingOutcome.STANDARD_WORKFLOW
    assert told.reasons == (BindingReason.NO_GENERAL_OPT_IN,)
    assert (told.policies, told.net_rate, told.standard_workflow_coverage_types) == ((), 0, TYPES)


PENDING = replace(POLICY, status=PolicyStatus.PENDING)
FAILED = replace(POLICY, status=PolicyStatus.FAILED, fail_reason=BindingReason.CARRIER_DECLINED)


def test_one_that_is_still_being_bound_was_waited_for_long_enough() -> None:
    decision = decide(REQUEST, replace(FACTS, policies=[PENDING]), NOW)
    assert must_wait(decision, None)
    assert must_wait(decision, replace(POLICY, status=PolicyStatus.CANCELLED)), "what was decided before is no answer"
    told = given_up(decision.binding, TYPES, BindingReason.CARRIER_UNAVAILABLE)
    assert what_to_bind(decision, TYPES, PENDING) == told


def test_one_that_was_issued_meanwhile_is_reused() -> None:
    decision = decide(REQUEST, replace(FACTS, policies=[POLICY]), NOW)
    assert what_to_bind(decision, TYPES, POLICY) == decision.binding


def test_who_waited_for_one_that_failed_is_told_so_and_binds_none() -> None:
    decision = decide(REQUEST, FACTS, NOW)
    assert what_to_bind(decision, TYPES, FAILED) == failed(decision.binding, TYPES, BindingReason.CARRIER_DECLINED)


def test_who_waited_for_one_that_failed_does_not_wait_for_the_next_one_too() -> None:
    decision = decide(REQUEST, replace(FACTS, policies=[PENDING]), NOW)
    assert not must_wait(decision, FAILED)
    told = what_to_bind(decision, TYPES, FAILED)
    assert told == failed(decision.binding, TYPES, BindingReason.CARRIER_DECLINED)


@pytest.mark.parametrize("awaited", [None, replace(POLICY, status=PolicyStatus.CANCELLED)])
def test_otherwise_what_was_decided_is_bound(awaited: Policy | None) -> None:
    decision = decide(REQUEST, FACTS, NOW)
    assert decision.bind is not None
    assert what_to_bind(decision, TYPES, awaited) == decision.bind
