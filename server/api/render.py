"""Records as messages: each in exactly one place."""

from datetime import datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import resources_pb2 as pb

from server.api.plain import EPOCH
from server.domain import application, events, forms, matching, messages, quoting, records
from server.domain.enums import CoverageType, WithholdingSource


def time(value: datetime | None) -> Timestamp | None:
    return None if value is None else _time(value)


@lru_cache(1_000)
def _time(value: datetime) -> Timestamp:
    """Shared by those that show it: each copies it into its message."""
    since = value - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def address(record: records.Address | None) -> pb.Address | None:
    if record is None:
        return None
    return pb.Address(
        line1=record.line1,
        line2=record.line2,
        locality=record.locality,
        region=record.region,
        postalcode=record.postalcode,
        country=record.country,
    )


def contractor(record: records.Contractor) -> pb.Contractor:
    return pb.Contractor(
        id=record.id,
        first_name=record.first_name,
        last_name=record.last_name,
        middle_name=record.middle_name,
        email=record.email,
        phone=record.phone,
        address=address(record.address),
        company_name=record.company_name,
        withhold_premium=record.withhold_premium,
        metadata=record.metadata,
        create_time=time(record.create_time),
        update_time=time(record.update_time),
        delete_time=time(record.delete_time),
    )


def job(record: records.Job) -> pb.Job:
    return pb.Job(
        id=record.id,
        name=record.name,
        description=record.description,
        category_code=record.category_code,
        address=address(record.address),
        withhold_premium=record.withhold_premium,
        create_time=time(record.create_time),
        update_time=time(record.update_time),
    )


def job_category(record: records.JobCategory) -> pb.JobCategory:
    approvals = [
        pb.JobCategoryApproval(
            coverage_type=pb.CoverageType.ValueType(approval.coverage_type),
            state=approval.state,
            net_rate=approval.net_rate,
            approve_time=time(approval.approve_time),
        )
        for approval in record.approvals
    ]
    return pb.JobCategory(code=record.code, name=record.name, approvals=approvals)


def application_session(record: records.ApplicationSession, now: datetime) -> pb.ApplicationSession:
    return pb.ApplicationSession(
        id=record.id,
        contractor=record.contractor,
        is_general_opt_in=record.is_general_opt_in,
        work_state=record.work_state,
        success_url=record.success_url,
        cancel_url=record.cancel_url,
        quote=record.quote,
        status=pb.ApplicationSessionStatus.ValueType(application.status_at(record, now)),
        step=pb.ApplicationStep.ValueType(record.step),
        reasons=[pb.UnderwritingReason.ValueType(reason) for reason in record.reasons],
        create_time=time(record.create_time),
        expire_time=time(record.expire_time),
        complete_time=time(record.complete_time),
    )


def application_form(form: forms.Form) -> pb.ApplicationForm:
    """One that is fitted to its session."""
    questions = [
        pb.Question(
            id=question.id,
            text=question.text,
            type=pb.QuestionType.ValueType(question.type),
            required=question.required,
            states=question.audience.states,
        )
        for question in form.questions
    ]
    documents = [pb.Document(id=d.id, title=d.title, version=d.version, text=d.text) for d in form.documents]
    return pb.ApplicationForm(version=form.version, questions=questions, documents=documents)


def quote(record: records.Quote, now: datetime) -> pb.Quote:
    return pb.Quote(
        id=record.id,
        contractor=record.contractor,
        job=record.job,
        coverage_types=[pb.CoverageType.ValueType(t) for t in record.coverage_types],
        effective_time=time(record.effective_time),
        end_time=time(record.end_time),
        work_state=record.work_state,
        residence_state=record.residence_state,
        category_code=record.category_code,
        rates=[
            pb.CoverageRate(coverage_type=pb.CoverageType.ValueType(rate.coverage_type), net_rate=rate.net_rate)
            for rate in record.rates
        ],
        net_rate=record.net_rate,
        status=pb.QuoteStatus.ValueType(quoting.status_at(record, now)),
        expire_time=time(record.expire_time),
        policy=record.policy,
        create_time=time(record.create_time),
    )


def policy(record: records.Policy, now: datetime) -> pb.Policy:
    return pb.Policy(
        id=record.id,
        number=record.number,
        contractor=record.contractor,
        coverage_types=[pb.CoverageType.ValueType(t) for t in record.coverage_types],
        work_state=record.work_state,
        residence_state=record.residence_state,
        category_code=record.category_code,
        effective_time=time(record.effective_time),
        expire_time=time(record.expire_time),
        status=pb.PolicyStatus.ValueType(matching.status_at(record, now)),
        origin=pb.PolicyOrigin.ValueType(record.origin),
        application_session=record.application_session,
        quote=record.quote,
        net_rate=record.net_rate,
        carrier_policy_number=record.carrier_policy_number,
        create_time=time(record.create_time),
        cancel_time=time(record.cancel_time),
        cancel_reason=record.cancel_reason,
    )


def binding(record: records.Binding) -> pb.Binding:
    message = pb.Binding()
    _fill_binding(message, record)
    return message


def _fill_binding(message: pb.Binding, record: records.Binding) -> None:
    """Field by field, as in an assignment: on the hot path, where arguments by name take twice as long."""
    message.outcome = pb.BindingOutcome.ValueType(record.outcome)
    message.workflow = pb.BindingWorkflow.ValueType(record.workflow)
    message.policies.extend(record.policies)
    message.application_session = record.application_session
    if record.reasons:
        message.reasons.extend(map(pb.BindingReason.ValueType, record.reasons))
    message.message = messages.sentence(record)
    message.net_rate = record.net_rate
    if left := record.standard_workflow_coverage_types:
        message.standard_workflow_coverage_types.extend(map(pb.CoverageType.ValueType, left))


def assignment(record: records.Assignment) -> pb.Assignment:
    """One without an id is what would be created (validate_only)."""
    message = pb.Assignment()
    message.id = record.id
    message.contractor = record.contractor
    message.job = record.job
    message.coverage_types.extend(map(pb.CoverageType.ValueType, record.coverage_types))
    message.effective_time.CopyFrom(_time(record.effective_time))
    message.end_time.CopyFrom(_time(record.end_time))
    message.work_state = record.work_state
    message.category_code = record.category_code
    message.policy = record.binding.policies[0] if record.binding.policies else ""
    _fill_binding(message.binding, record.binding)
    message.status = pb.AssignmentStatus.ValueType(record.status)
    if record.id:
        message.create_time.CopyFrom(_time(record.create_time))
    if record.cancel_time is not None:
        message.cancel_time.CopyFrom(_time(record.cancel_time))
    message.cancel_reason = record.cancel_reason
    return message


def binding_decision(record: records.DecisionRecord) -> pb.BindingDecision:
    """A fact that an older version did not keep, or that played no part, is unset."""
    facts, decided = record.facts, binding(record.assignment.binding)
    source = facts.get("withholding", "")
    approved = facts.get("approval")
    return pb.BindingDecision(
        number=record.number,
        decide_time=time(record.decide_time),
        trigger=record.trigger,
        outcome=decided.outcome,
        reasons=decided.reasons,
        application_session=facts.get("application_session", ""),
        policies=facts.get("policies", ()),
        approval=_approval_seen(approved) if approved else None,
        work_state=facts.get("work_state", ""),
        residence_state=facts.get("residence_state", ""),
        withholding=bool(source),
        withholding_source=pb.WithholdingSource.ValueType(WithholdingSource[source.upper()] if source else 0),
        quote=facts.get("quote", ""),
        policy=facts.get("policy", ""),
        binding=decided,
        effective_time=time(datetime.fromisoformat(start)) if (start := facts.get("part_start")) else None,
    )


def _approval_seen(facts: records.ApprovalSeen) -> pb.JobCategoryApproval:
    approve_time = facts.get("approve_time")
    return pb.JobCategoryApproval(
        coverage_type=pb.CoverageType.ValueType(facts.get("coverage_type", CoverageType.WORKERS_COMP)),
        state=facts["state"],
        net_rate=facts["net_rate"],
        approve_time=time(datetime.fromisoformat(approve_time)) if approve_time else None,
    )


def data(subject: events.Subject, now: datetime) -> bytes:
    """What an event is about, as the event's bytes have it: they are put behind those of its other fields."""
    match subject:
        case records.Contractor():
            message = pb.Event(contractor=contractor(subject))
        case records.ApplicationSession():
            message = pb.Event(application_session=application_session(subject, now))
        case records.JobCategory():
            message = pb.Event(job_category=job_category(subject))
        case records.Quote():
            message = pb.Event(quote=quote(subject, now))
        case records.Policy():
            message = pb.Event(policy=policy(subject, now))
        case records.Assignment():
            message = pb.Event(assignment=assignment(subject))
    return message.SerializeToString()


def event(record: events.Event) -> bytes:
    head = pb.Event(
        id=record.id, type=record.type.value, resource=record.resource, create_time=time(record.create_time)
    )
    return head.SerializeToString() + record.data
