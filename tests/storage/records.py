"""Records for storage tests: of each kind one with defaults, and one with every field set."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from server.domain.enums import (
    ApplicationSessionStatus,
    ApplicationStep,
    AssignmentStatus,
    BindingOutcome,
    BindingReason,
    BindingWorkflow,
    CoverageType,
    PolicyOrigin,
    PolicyStatus,
    QuoteStatus,
    UnderwritingReason,
)
from server.domain.ports import Unit
from server.domain.records import (
    Address,
    ApplicationSession,
    Approval,
    Assignment,
    Binding,
    Contractor,
    CoverageRate,
    DecisionRecord,
    Job,
    JobCategory,
    Policy,
    Quote,
    Signature,
)
from server.domain.requests import StoredRequest

PLATFORM = "pf_default"
OTHER_PLATFORM = "pf_other"
NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, UTC)
DAY = timedelta(days=1)

_numbers = itertools.count(1)


def new_id(prefix: str) -> str:
    """Ids ascend, as those of the server do."""
    return f"{prefix}_{next(_numbers):026}"


FULL_ADDRESS = Address(
    line1="1 Dock Rd",
    line2="Door 4",
    locality="São José",
    region="NY",
    postalcode="941021234",
    country="USA",  # not the default
)


def contractor(**changes: Any) -> Contractor:
    id_ = new_id("cn")
    fields: dict[str, Any] = {
        "id": id_,
        "platform": PLATFORM,
        "first_name": "Jane",
        "last_name": "Doe",
        "email": f"{id_}@example.com",
        "phone": "+15551234567",
        "address": Address(region="CA"),
        "create_time": NOW,
        "update_time": NOW,
    }
    return Contractor(**fields | changes)


def full_contractor(base: Contractor) -> Contractor:
    return replace(
        base,
        first_name="Zoë",
        last_name="Nuñez O'Brien; --",
        middle_name="Ann\u2028",
        email=f"Other.{base.email}",
        phone="+442071234567",
        address=FULL_ADDRESS,
        update_time=NOW + DAY,
        delete_time=NOW + 2 * DAY,
        company_name='"Doe" & Sons \\ 😀',
        withhold_premium=False,
        metadata={"key": "value", "another": "", "😀": "\\u0041"},
    )


def category(**changes: Any) -> JobCategory:
    fields: dict[str, Any] = {"code": new_id("jc"), "platform": PLATFORM, "name": "Warehouse", "create_time": NOW}
    return JobCategory(**fields | changes)


def approval(**changes: Any) -> Approval:
    fields: dict[str, Any] = {
        "coverage_type": CoverageType.WORKERS_COMP,
        "state": "CA",
        "net_rate": 250,
        "approve_time": NOW,
    }
    return Approval(**fields | changes)


def job(category_code: str, **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "id": new_id("jb"),
        "platform": PLATFORM,
        "name": "Picker",
        "category_code": category_code,
        "create_time": NOW,
        "update_time": NOW,
    }
    return Job(**fields | changes)


def full_job(base: Job) -> Job:
    return replace(
        base,
        name="Packer",
        update_time=NOW + DAY,
        description="Packs.\nAll day.",
        address=FULL_ADDRESS,
        withhold_premium=False,
    )


def session(contractor_id: str, **changes: Any) -> ApplicationSession:
    fields: dict[str, Any] = {
        "id": new_id("ias"),
        "platform": PLATFORM,
        "contractor": contractor_id,
        "is_general_opt_in": True,
        "work_state": "CA",
        "success_url": "https://example.com/success",
        "cancel_url": "https://example.com/cancel",
        "form_version": "1",
        "create_time": NOW,
        "expire_time": NOW + 30 * DAY,
    }
    return ApplicationSession(**fields | changes)


def full_session(base: ApplicationSession) -> ApplicationSession:
    signature = Signature(
        document="fraud_notice",
        version="1",
        legal_name="Jane Doe",
        text_sha256="ab" * 32,
        sign_time=NOW + timedelta(microseconds=1),
        ip_address="2001:db8::1",
        user_agent="Mozilla/5.0",
    )
    bare = replace(signature, document="esign_consent", ip_address="", user_agent="")
    return replace(
        base,
        expire_time=NOW + 31 * DAY,
        coverage_types=(CoverageType.GENERAL, CoverageType.MEDIA),
        quote="qt_1",
        status=ApplicationSessionStatus.APPLICATION_COMPLETE,
        step=ApplicationStep.DONE,
        reasons=(UnderwritingReason.HAS_EMPLOYEES, UnderwritingReason.RECENT_LOSSES),
        complete_time=NOW + DAY,
        answers={"yes": True, "no": False, "years": 0, "text": "true"},
        signatures=(signature, bare),
        review_note="Looks fine.",
        expiry_told=True,
    )


def quote(contractor_id: str, job_id: str, **changes: Any) -> Quote:
    fields: dict[str, Any] = {
        "id": new_id("qt"),
        "platform": PLATFORM,
        "contractor": contractor_id,
        "job": job_id,
        "coverage_types": (CoverageType.WORKERS_COMP,),
        "effective_time": NOW,
        "end_time": NOW + DAY,
        "work_state": "CA",
        "residence_state": "CA",
        "category_code": "jc_1",
        "rates": (CoverageRate(coverage_type=CoverageType.WORKERS_COMP, net_rate=250),),
        "create_time": NOW,
        "expire_time": NOW + 30 * DAY,
    }
    return Quote(**fields | changes)


def full_quote(base: Quote) -> Quote:
    """But for what is derived from its sessions."""
    types = (CoverageType.GENERAL, CoverageType.MEDIA)
    return replace(
        base,
        coverage_types=types,
        end_time=NOW + 2 * DAY,
        work_state="NY",
        residence_state="NJ",
        category_code="jc_2",
        rates=tuple(CoverageRate(coverage_type=type_, net_rate=int(type_)) for type_ in types),
        expire_time=NOW + 31 * DAY,
        status=QuoteStatus.ISSUED,
        policy="pl_1",
        expiry_told=True,
    )


def policy(contractor_id: str, number: int = 1, **changes: Any) -> Policy:
    fields: dict[str, Any] = {
        "id": new_id("pl"),
        "platform": PLATFORM,
        "contractor": contractor_id,
        "number": number,
        "coverage_types": (CoverageType.WORKERS_COMP,),
        "work_state": "CA",
        "residence_state": "CA",
        "category_code": "jc_1",
        "effective_time": NOW,
        "expire_time": NOW + 365 * DAY,
        "status": PolicyStatus.ACTIVE,
        "origin": PolicyOrigin.GENERAL_OPT_IN,
        "net_rate": 250,
        "create_time": NOW,
    }
    return Policy(**fields | changes)


def full_policy(base: Policy) -> Policy:
    return replace(
        base,
        coverage_types=(CoverageType.CYBER, CoverageType.GENERAL),
        residence_state="NY",
        expire_time=NOW + 366 * DAY,
        status=PolicyStatus.CANCELLED,
        origin=PolicyOrigin.QUOTE,
        application_session="ias_1",
        quote="qt_1",
        net_rate=0,
        carrier_policy_number="OPT-1",
        cancel_time=NOW + DAY,
        cancel_reason="asked for",
        remote=True,
        fail_reason=BindingReason.CARRIER_DECLINED,
        expiry_told=True,
        revision=3,
    )


def binding(outcome: BindingOutcome = BindingOutcome.STANDARD_WORKFLOW, **changes: Any) -> Binding:
    return Binding(outcome=outcome, workflow=BindingWorkflow.STANDARD, **changes)


FULL_BINDING = Binding(
    outcome=BindingOutcome.BINDING_FAILED,
    workflow=BindingWorkflow.GENERAL_OPT_IN,
    policies=("pl_2", "pl_1"),
    application_session="ias_1",
    reasons=(BindingReason.CARRIER_DECLINED, BindingReason.CARRIER_UNAVAILABLE),
    net_rate=500,
    standard_workflow_coverage_types=(CoverageType.GENERAL, CoverageType.CYBER),
)


def assignment(contractor_id: str, job_id: str, **changes: Any) -> Assignment:
    fields: dict[str, Any] = {
        "id": new_id("an"),
        "platform": PLATFORM,
        "contractor": contractor_id,
        "job": job_id,
        "coverage_types": (),
        "effective_time": NOW,
        "end_time": NOW + DAY,
        "work_state": "CA",
        "category_code": "jc_1",
        "binding": binding(),
        "create_time": NOW,
    }
    return Assignment(**fields | changes)


def full_assignment(base: Assignment) -> Assignment:
    return replace(
        base,
        coverage_types=(CoverageType.WORKERS_COMP, CoverageType.GENERAL),
        binding=FULL_BINDING,
        status=AssignmentStatus.CANCELLED,
        cancel_time=NOW + DAY,
        cancel_reason="the job fell through",
    )


def decided(made: Assignment, **changes: Any) -> DecisionRecord:
    fields: dict[str, Any] = {
        "assignment": made,
        "number": 1,
        "decide_time": NOW,
        "trigger": "assignment.created",
        "facts": {},
    }
    return DecisionRecord(**fields | changes)


def request(**changes: Any) -> StoredRequest:
    fields: dict[str, Any] = {
        "platform": PLATFORM,
        "request_id": new_id("r"),
        "digest": bytes(range(32)),
        "response": bytes(range(256)),
        "create_time": NOW,
    }
    return StoredRequest(**fields | changes)


def add_contractor(unit: Unit, **changes: Any) -> Contractor:
    made = contractor(**changes)
    unit.contractors.insert(made)
    return made


def add_job(unit: Unit, **changes: Any) -> Job:
    """A job in a category of its own."""
    platform = changes.get("platform", PLATFORM)
    kind = category(platform=platform)
    unit.categories.insert(kind)
    made = job(kind.code, **changes)
    unit.jobs.insert(made)
    return made
