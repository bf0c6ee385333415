"""The world that these tests start from: Jane, opted in and complete for California, and a roofing job there.

Nothing is bound yet, and Jane is eligible. Each test replaces what it is about.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from server.domain.decision import AssignmentRequest, Facts, NewPolicy
from server.domain.enums import (
    ApplicationSessionStatus,
    ApplicationStep,
    CoverageType,
    PolicyOrigin,
    PolicyStatus,
)
from server.domain.records import Address, ApplicationSession, Approval, Contractor, Job, JobCategory, Policy
from server.domain.terms import Period


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOW = utc("2026-11-22 12:00")
LONG_AGO = utc("2023-11-01")

JANE = Contractor(
    id="cn_jane",
    platform="pf_default",
    first_name="Jane",
    last_name="Doe",
    email="jane.doe@example.com",
    phone="+15551234567",
    address=Address(region="CA"),
    create_time=LONG_AGO,
    update_time=LONG_AGO,
)
ROOFING = JobCategory(
    code="jc_roofing",
    platform="pf_default",
    name="Roofing",
    create_time=LONG_AGO,
    approvals=(Approval(coverage_type=CoverageType.WORKERS_COMP, state="", net_rate=425, approve_time=LONG_AGO),),
)
JOB = Job(
    id="jb_roof",
    platform="pf_default",
    name="Roofer",
    category_code="jc_roofing",
    address=Address(region="CA"),
    create_time=LONG_AGO,
    update_time=LONG_AGO,
)
NEW_SESSION = ApplicationSession(
    id="ias_ca",
    platform="pf_default",
    contractor="cn_jane",
    is_general_opt_in=True,
    work_state="CA",
    success_url="https://example.com/success",
    cancel_url="https://example.com/cancel",
    form_version="2026-11",
    create_time=NOW,
    expire_time=NOW + timedelta(days=30),
)
OPT_IN = replace(
    NEW_SESSION,
    create_time=LONG_AGO,
    expire_time=LONG_AGO + timedelta(days=30),
    status=ApplicationSessionStatus.APPLICATION_COMPLETE,
    step=ApplicationStep.DONE,
    complete_time=LONG_AGO + timedelta(days=1),
)

# The guide's own dates: both are past, and so is the policy's term. The clock plays no part in the decision.
PERIOD = Period(utc("2023-12-03"), utc("2023-12-07"))
REQUEST = AssignmentRequest(
    contractor="cn_jane", job="jb_roof", coverage_types=(CoverageType.WORKERS_COMP,), period=PERIOD
)
FACTS = Facts(contractor=JANE, job=JOB, category=ROOFING, opt_ins=(OPT_IN,), policies=(), platform_withholds=True)
POLICY = Policy(
    id="pl_1",
    platform="pf_default",
    contractor="cn_jane",
    number=1,
    coverage_types=(CoverageType.WORKERS_COMP,),
    work_state="CA",
    residence_state="CA",
    category_code="jc_roofing",
    effective_time=utc("2023-12-03"),
    expire_time=utc("2024-12-03"),
    status=PolicyStatus.ACTIVE,
    origin=PolicyOrigin.GENERAL_OPT_IN,
    net_rate=300,
    create_time=LONG_AGO,
    application_session="ias_ca",
)


def issued(wanted: NewPolicy) -> Policy:
    """The policy that a decision wants, once a carrier has issued it."""
    return replace(
        POLICY,
        id="pl_new",
        number=99,
        coverage_types=wanted.coverage_types,
        work_state=wanted.work_state,
        residence_state=wanted.residence_state,
        category_code=wanted.category_code,
        effective_time=wanted.term.start,
        expire_time=wanted.term.end,
        net_rate=wanted.net_rate,
        application_session=wanted.application_session,
    )
