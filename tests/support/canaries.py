"""The golden conversation, the guide's and a quote's, with a value in every personal field that is found wherever it
should not be."""

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import event_service_pb2 as events_pb
from optin.v1 import policy_service_pb2 as policies_pb
from optin.v1 import resources_pb2 as pb

from tests.support.client import GOOD_ANSWERS, Client, Refusal, answered, refused

CANARIES = {
    "first_name": "Canaryfirst",
    "middle_name": "Canarymiddle",
    "last_name": "Canarylast",
    "email": "canary@example.com",
    "phone": "+12025550143",
    "company_name": "Canary Ltd",
    "line1": "1 Canary Wharf",
    "line2": "Canary flat",
    "locality": "Canaryville",
    "postalcode": "987654321",
    "metadata": "canary-meta",
    "url": "https://canary.example.com/?ssn=canary",
    "legal_name": "Canaryfirst Canarylast",
    "ip_address": "203.0.113.77",
    "user_agent": "Canary/1.0",
    "note": "canary note",
    "changed": "Canarychanged",
}
OF_A_JOB = "for Mr Nightingale"  # personal too, and no contractor's
OF_A_CONTRACTOR = sorted({*CANARIES.values(), "anary", "2025550143", "202-555-0143", "(202)"})
WORDS = [*OF_A_CONTRACTOR, OF_A_JOB]


def found_in(written: str | bytes, words: list[str] = WORDS) -> list[str]:
    text = written.decode("latin-1") if isinstance(written, bytes) else written
    return [word for word in words if word.casefold() in text.casefold()]


@dataclass
class Walk:
    """What came of the conversation."""

    contractor: str
    contractors: list[str] = field(default_factory=list)  # all that have canaries
    refusals: list[Refusal] = field(default_factory=list)
    kept: dict[str, Message] = field(default_factory=dict)  # requests that were answered, by method


def canary(**changes: Any) -> pb.Contractor:
    names = ("first_name", "middle_name", "last_name", "email", "phone", "company_name")
    fields: dict[str, Any] = {name: CANARIES[name] for name in names}
    address = pb.Address(region="CA", **{name: CANARIES[name] for name in ("line1", "line2", "locality", "postalcode")})
    metadata = {CANARIES["metadata"]: CANARIES["metadata"]}
    return pb.Contractor(**fields | {"address": address, "metadata": metadata} | changes)


async def walk(client: Client) -> Walk:
    """Ends with the contractor's deletion."""
    create = contractors_pb.CreateContractorRequest(contractor=canary(), request_id="golden-create")
    contractor = (await client.contractors.CreateContractor(create)).contractor
    assert contractor.phone == CANARIES["phone"]
    walked = Walk(contractor.id, [contractor.id])
    update = contractors_pb.UpdateContractorRequest(
        contractor=canary(id=contractor.id, company_name=CANARIES["changed"]), request_id="golden-update"
    )
    await client.contractors.UpdateContractor(update)
    await client.contractors.ListContractors(contractors_pb.ListContractorsRequest(email=CANARIES["email"]))
    walked.kept |= {"ContractorService/CreateContractor": create, "ContractorService/UpdateContractor": update}
    await _opt_in(client, walked)
    await _cover(client, walked)
    await _refusals(client, walked)
    await client.events.ListEvents(events_pb.ListEventsRequest(page_size=200))
    delete = contractors_pb.DeleteContractorRequest(id=contractor.id, request_id="golden-delete")
    await client.contractors.DeleteContractor(delete)
    walked.kept["ContractorService/DeleteContractor"] = delete
    return walked


async def _opt_in(client: Client, walked: Walk) -> None:
    """Through review."""
    session = pb.ApplicationSession(
        contractor=walked.contractor,
        success_url=CANARIES["url"],
        cancel_url=CANARIES["url"],
        is_general_opt_in=True,
        work_state="CA",
    )
    create = sessions_pb.CreateApplicationSessionRequest(application_session=session, request_id="golden-session")
    id_ = (await client.sessions.CreateApplicationSession(create)).application_session.id
    wrong = [sessions_pb.Signature(document="canary", version="canary", legal_name="Canary Impostor")]
    await _fill_in(client, id_, sessions_pb.EsignatureDocument(signatures=wrong), losses_last_3_years=True)
    review = sessions_pb.ReviewApplicationSessionRequest(
        id=id_, decision=pb.REVIEW_DECISION_APPROVE, note=CANARIES["note"], request_id="golden-review"
    )
    await client.sessions.ReviewApplicationSession(review)
    walked.kept |= {
        "ApplicationSessionService/CreateApplicationSession": create,
        "ApplicationSessionService/ReviewApplicationSession": review,
    }


async def _fill_in(client: Client, session: str, bad: sessions_pb.EsignatureDocument, **answers: Any) -> None:
    form = await client.form(session)
    good = {question.id: GOOD_ANSWERS.get(question.id, False) for question in form.questions}
    await client.submit(session, verify_info=sessions_pb.VerifyInfo(middle_name=CANARIES["changed"]))
    await client.submit(session, application_questions=answered(good | answers))
    signatures = [
        sessions_pb.Signature(document=document.id, version=document.version, legal_name=CANARIES["legal_name"])
        for document in form.documents
    ]
    await refused(client.submit(session, esignature_document=bad))
    evidence = sessions_pb.EsignatureDocument(
        signatures=signatures, ip_address=CANARIES["ip_address"], user_agent=CANARIES["user_agent"]
    )
    await client.submit(session, esignature_document=evidence)
    await client.submit(session, final_review=sessions_pb.FinalReview())


async def _cover(client: Client, walked: Walk) -> None:
    """Bound, reused, not covered, cancelled, quoted, taken back."""
    category = await client.category()
    job = await client.job(category.code, description=OF_A_JOB)
    elsewhere = await client.job(category.code, "NY", description=OF_A_JOB)
    bound = await client.assign(walked.contractor, job.id, request_id="golden-assign")
    assert bound.outcome == pb.BINDING_OUTCOME_COVERAGE_BOUND
    await client.assign(walked.contractor, job.id)
    await client.assign(walked.contractor, elsewhere.id, start=None, end=None)
    dropped = await client.assign(walked.contractor, job.id, start=None, end=None)
    drop = assignments_pb.CancelAssignmentRequest(
        id=dropped.assignment.id, reason=CANARIES["note"], request_id="golden-drop"
    )
    await client.assignments.CancelAssignment(drop)
    quote = await client.quote(walked.contractor, elsewhere.id)
    urls = {"success_url": CANARIES["url"], "cancel_url": CANARIES["url"]}
    applied = pb.ApplicationSession(quote=quote.id, **urls)
    request = sessions_pb.CreateApplicationSessionRequest(application_session=applied)
    session = (await client.sessions.CreateApplicationSession(request)).application_session
    bad = sessions_pb.EsignatureDocument(ip_address="canary", user_agent="Canary" * 200)
    await _fill_in(client, session.id, bad)
    issued = (await client.get_quote(quote.id)).policy
    await client.cancel_policy(issued, CANARIES["note"])
    await client.reinstate(issued)
    cancel = policies_pb.CancelPolicyRequest(
        id=bound.assignment.policy, reason=CANARIES["note"], request_id="golden-cancel"
    )
    await client.policies.CancelPolicy(cancel)
    walked.kept |= {"AssignmentService/CancelAssignment": drop, "PolicyService/CancelPolicy": cancel}


async def _refusals(client: Client, walked: Walk) -> None:
    """Errors of many kinds, about requests full of personal values."""
    create, get = client.contractors.CreateContractor, client.contractors.GetContractor
    bad = canary(email="canary at example", phone="Canary", first_name="Canary" * 100, last_name="\0Canary")
    bad.address.region = "Canary"
    bad.metadata["Canary" * 20] = "canary"
    contents = [canary(email=f"canary{number}@example.com") for number in (2, 3)]
    same_id, other = [contractors_pb.CreateContractorRequest(contractor=one, request_id="r") for one in contents]
    walked.contractors.append((await create(same_id)).contractor.id)
    malformed = client.channel.unary_unary("/optin.v1.ContractorService/CreateContractor")
    item = assignments_pb.CreateAssignmentRequest(assignment=pb.Assignment(contractor="Canary", job="canary"))
    attempts = [
        create(contractors_pb.CreateContractorRequest(contractor=bad)),
        create(contractors_pb.CreateContractorRequest(contractor=canary(email=CANARIES["email"].upper()))),
        create(other),
        get(contractors_pb.GetContractorRequest(id=CANARIES["email"])),
        get(contractors_pb.GetContractorRequest(id="Canary\0")),
        client.contractors.ListContractors(contractors_pb.ListContractorsRequest(page_token="canary@example.com")),
        client.events.ListEvents(events_pb.ListEventsRequest(after="canary", types=["canary"])),
        client.session("canary@example.com"),
        client.assign(walked.contractor, CANARIES["email"]),
        client.policies.CancelPolicy(policies_pb.CancelPolicyRequest(id="canary", reason=CANARIES["note"])),
        malformed(b"\xff\xff canary@example.com"),
    ]
    walked.refusals += [await refused(attempt) for attempt in attempts]
    batch = assignments_pb.BatchCreateAssignmentsRequest(requests=[item])
    (result,) = (await client.assignments.BatchCreateAssignments(batch)).results
    assert not found_in(result.SerializeToString())
