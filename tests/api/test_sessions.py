"""ApplicationSessionService, seen from outside (spec 5)."""

from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import resources_pb2 as pb

from tests.conftest import NOW, Clock, Serving
from tests.support.client import GOOD_ANSWERS, Client, questions, refused, signatures

CREATED = pb.APPLICATION_SESSION_STATUS_CREATED
STARTED = pb.APPLICATION_SESSION_STATUS_STARTED
MANUAL_REVIEW = pb.APPLICATION_SESSION_STATUS_MANUAL_REVIEW
COMPLETE = pb.APPLICATION_SESSION_STATUS_APPLICATION_COMPLETE
INELIGIBLE = pb.APPLICATION_SESSION_STATUS_INELIGIBLE
EXPIRED = pb.APPLICATION_SESSION_STATUS_EXPIRED
CANCELLED = pb.APPLICATION_SESSION_STATUS_CANCELLED

VERIFY_INFO = pb.APPLICATION_STEP_VERIFY_INFO
QUESTIONS = pb.APPLICATION_STEP_APPLICATION_QUESTIONS
ESIGNATURE = pb.APPLICATION_STEP_ESIGNATURE_DOCUMENT
FINAL_REVIEW = pb.APPLICATION_STEP_FINAL_REVIEW
DONE = pb.APPLICATION_STEP_DONE

UNDER_AGE = pb.UNDERWRITING_REASON_UNDER_AGE
RECENT_LOSSES = pb.UNDERWRITING_REASON_RECENT_LOSSES
HAS_EMPLOYEES = pb.UNDERWRITING_REASON_HAS_EMPLOYEES
DECLINED = pb.UNDERWRITING_REASON_DECLINED_IN_REVIEW

STEPS: dict[str, Any] = {
    "verify_info": sessions_pb.VerifyInfo(),
    "application_questions": questions(),
    "esignature_document": signatures(),
    "final_review": sessions_pb.FinalReview(),
}


def create_request(**fields: Any) -> sessions_pb.CreateApplicationSessionRequest:
    session = {"success_url": "https://example.com/s", "cancel_url": "https://example.com/c"} | fields
    return sessions_pb.CreateApplicationSessionRequest(application_session=pb.ApplicationSession(**session))


async def review(client: Client, session: str, decision: Any, note: str = "") -> pb.ApplicationSession:
    request = sessions_pb.ReviewApplicationSessionRequest(id=session, decision=decision, note=note)
    return (await client.sessions.ReviewApplicationSession(request)).application_session


async def expire(client: Client, session: str) -> pb.ApplicationSession:
    request = sessions_pb.ExpireApplicationSessionRequest(id=session)
    return (await client.sessions.ExpireApplicationSession(request)).application_session


async def listed(client: Client, **filters: Any) -> list[str]:
    request = sessions_pb.ListApplicationSessionsRequest(**filters)
    return [s.id for s in (await client.sessions.ListApplicationSessions(request)).application_sessions]


async def in_status(client: Client, status: int, work_state: str = "CA") -> pb.ApplicationSession:
    """A session that stands there, of a contractor of its own."""
    session = await client.session((await client.contractor()).id, work_state)
    if status == STARTED:
        return await client.submit(session.id, verify_info=STEPS["verify_info"])
    if status == EXPIRED:
        return await expire(client, session.id)
    if status == CANCELLED:
        return await client.cancel_session(session.id)
    answers: dict[int, dict[str, Any]] = {
        MANUAL_REVIEW: {"has_employees": True},
        INELIGIBLE: {"age_18_or_over": False},
        COMPLETE: {},
    }
    return session if status == CREATED else await client.apply(session.id, **answers[status])


def stamp(**ahead: float) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(NOW + timedelta(**ahead))
    return time


async def test_a_general_opt_in_as_created(any_client: Client) -> None:
    jane = await any_client.contractor()
    made = await any_client.session(jane.id, "ny")
    assert (made.work_state, made.status, made.step) == ("NY", CREATED, VERIFY_INFO)
    assert (made.contractor, made.is_general_opt_in, made.quote, made.url) == (jane.id, True, "", "")
    assert made.create_time == stamp()
    assert made.expire_time == stamp(days=30)
    assert not made.HasField("complete_time")
    assert await any_client.get_session(made.id) == made


async def test_the_time_to_apply_is_a_setting(serve: Serving) -> None:
    async with serve(session_ttl="90m") as client:
        made = await client.session((await client.contractor()).id)
        assert made.expire_time == stamp(minutes=90)


async def test_sessions_that_are_refused_for_their_fields(client: Client) -> None:
    jane = await client.contractor()
    path = "application_session"
    bad_urls = ("", "example.com", "/relative", "ftp://example.com", "javascript:alert(1)", "https://", "https://a b/")
    bad_urls += (
        "https:a.b",
        "https:/a.b",
        "http:///x",
        "https:\\\\a.b\\c",
        "https://a.b\u3000",
        "//a.b/c",
    )
    for url in (*bad_urls, "https://example.com/" + "x" * 2_048, "https://example.com/\0"):
        request = create_request(
            contractor=jane.id, is_general_opt_in=True, work_state="CA", success_url=url, cancel_url=url
        )
        refusal = await refused(client.sessions.CreateApplicationSession(request))
        assert refusal.fields == {f"{path}.success_url", f"{path}.cancel_url"}, url

    everything = create_request(is_general_opt_in=True, quote="qt_1", success_url="", cancel_url="")
    names = ("contractor", "work_state", "quote", "success_url", "cancel_url")
    refusal = await refused(client.sessions.CreateApplicationSession(everything))
    assert refusal.fields == {f"{path}.{name}" for name in names}

    for state in ("XX", "California", "C\0", "\u017fd"):
        request = create_request(contractor=jane.id, is_general_opt_in=True, work_state=state)
        assert (await refused(client.sessions.CreateApplicationSession(request))).fields == {f"{path}.work_state"}
    nothing = sessions_pb.CreateApplicationSessionRequest()
    assert (await refused(client.sessions.CreateApplicationSession(nothing))).fields >= {path}
    assert await listed(client) == []


async def test_urls_that_are_taken(client: Client) -> None:
    jane = await client.contractor()
    for url in (
        "http://localhost:3000/done?x=1#y",
        "HTTPS://example.com",
        "https://example.com/{id}/ü",
        "http://[::1]?a",
    ):
        request = create_request(contractor=jane.id, is_general_opt_in=True, work_state="CA", success_url=url)
        made = (await client.sessions.CreateApplicationSession(request)).application_session
        assert made.success_url == url, "kept as it was given"


async def test_a_session_that_is_no_opt_in_needs_a_quote_and_there_is_none_yet(client: Client) -> None:
    jane = await client.contractor()
    request = create_request(contractor=jane.id, work_state="CA")
    refusal = await refused(client.sessions.CreateApplicationSession(request))
    assert refusal.fields == {"application_session.quote"}
    request = create_request(quote="qt_01J9Z3NDEKTSV4RRFFQ69G5FAV")
    refusal = await refused(client.sessions.CreateApplicationSession(request))
    assert (refusal.reason, refusal.told["resource_type"]) == ("RESOURCE_NOT_FOUND", "quote")


async def test_no_opt_in_for_nobody(client: Client) -> None:
    refusal = await refused(client.session("cn_1"))
    assert (refusal.reason, refusal.told) == (
        "RESOURCE_NOT_FOUND",
        {"resource_type": "contractor", "resource_name": "cn_1"},
    )


async def test_no_opt_in_where_a_state_fund_has_the_market(any_client: Client) -> None:
    jane = await any_client.contractor()
    for state in ("ND", "OH", "WA", "wy"):
        refusal = await refused(any_client.session(jane.id, state))
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "WORK_STATE_NOT_OFFERED")
        assert refusal.told == {"work_state": state.upper()}
    assert await listed(any_client) == []


async def test_an_opt_in_needs_withholding_by_platform_or_contractor(serve: Serving) -> None:
    async with serve(withhold_premium=False) as client:
        jane = await client.contractor()
        refusal = await refused(client.session(jane.id))
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "PREMIUM_WITHHOLDING_REQUIRED")
        assert refusal.told == {"contractor": jane.id}
        assert (await refused(client.session((await client.contractor(withhold_premium=False)).id))).reason
        assert (await client.session((await client.contractor(withhold_premium=True)).id)).status == CREATED
    async with serve(withhold_premium=True) as client:
        assert (await client.session(jane.id)).status == CREATED


async def test_several_sessions_for_one_contractor_and_state(any_client: Client) -> None:
    jane = await any_client.contractor()
    made = [await any_client.session(jane.id) for _ in range(3)]
    assert await listed(any_client, contractor=jane.id) == [session.id for session in reversed(made)]


async def test_the_form(client: Client) -> None:
    session = await client.session((await client.contractor()).id)
    request = sessions_pb.GetApplicationFormRequest(id=session.id)
    form = (await client.sessions.GetApplicationForm(request)).application_form
    assert form.version
    types = {"years_experience": pb.QUESTION_TYPE_INT}
    assert {q.id: q.type for q in form.questions} == {q: types.get(q, pb.QUESTION_TYPE_BOOL) for q in GOOD_ANSWERS}
    assert all(q.required and q.text for q in form.questions)
    assert [d.id for d in form.documents] == ["fraud_notice", "premium_withholding", "esign_consent"]
    assert all(d.title and d.version and d.text for d in form.documents)

    await client.apply(session.id)
    assert (await client.sessions.GetApplicationForm(request)).application_form == form
    missing = await refused(client.sessions.GetApplicationForm(sessions_pb.GetApplicationFormRequest(id="ias_1")))
    assert missing.told == {"resource_type": "application_session", "resource_name": "ias_1"}


async def test_the_first_step_starts_it(any_client: Client) -> None:
    session = await any_client.session((await any_client.contractor()).id)
    started = await any_client.submit(session.id, verify_info=STEPS["verify_info"])
    assert (started.status, started.step) == (STARTED, QUESTIONS)
    assert await any_client.get_session(session.id) == started


async def test_corrections_are_written_to_the_contractor(any_client: Client, clock: Clock) -> None:
    client = any_client
    jane = await client.contractor(middle_name="Q", company_name="Doe Ltd")
    session = await client.session(jane.id)
    clock.now += timedelta(days=1)
    await client.submit(session.id, verify_info=STEPS["verify_info"])
    get = contractors_pb.GetContractorRequest(id=jane.id)
    assert (await client.contractors.GetContractor(get)).contractor == jane, "confirmed, nothing changes"

    correction = sessions_pb.VerifyInfo(
        first_name="Joan",
        middle_name="",
        last_name="Roe",
        phone="(555) 000-1111",
        address=pb.Address(region="ny", postalcode="10001"),
    )
    await client.submit(session.id, verify_info=correction)
    after = (await client.contractors.GetContractor(get)).contractor
    assert (after.first_name, after.middle_name, after.last_name) == ("Joan", "", "Roe")
    assert after.phone == "+15550001111"
    assert after.address == pb.Address(region="NY", postalcode="10001", country="US")
    assert (after.company_name, after.email, after.update_time) == ("Doe Ltd", jane.email, stamp(days=1))


async def test_bad_corrections_change_nothing(client: Client) -> None:
    jane = await client.contractor()
    session = await client.session(jane.id)
    bad = sessions_pb.VerifyInfo(first_name="", last_name="x" * 101, phone="1", address=pb.Address(region="XX"))
    refusal = await refused(client.submit(session.id, verify_info=bad))
    assert refusal.fields == {f"verify_info.{name}" for name in ("first_name", "last_name", "phone", "address.region")}
    assert await client.get_session(session.id) == session
    get = contractors_pb.GetContractorRequest(id=jane.id)
    assert (await client.contractors.GetContractor(get)).contractor == jane


async def test_answers_that_are_refused(client: Client) -> None:
    session = await client.session((await client.contractor()).id)
    before = await client.submit(session.id, verify_info=STEPS["verify_info"])
    good = list(questions().answers)
    answer = sessions_pb.Answer
    path = "application_questions.answers"
    cases: dict[str, tuple[list[sessions_pb.Answer], set[str]]] = {
        "none at all": ([], {path}),
        "one missing": (good[1:], {path}),
        "unknown": ([*good, answer(question="shoe_size", int_value=9)], {f"{path}[6].question"}),
        "no question": ([*good, answer(bool_value=True)], {f"{path}[6].question"}),
        "doubled": ([*good, good[0]], {f"{path}[6].question"}),
        "of another type": (
            [answer(question="age_18_or_over", int_value=1), *good[1:]],
            {f"{path}[1].bool_value"},
        ),
        "a bool for a number": (
            [*good[:2], answer(question="years_experience", bool_value=True), *good[3:]],
            {f"{path}[3].int_value"},
        ),
        "without a value": ([answer(question="age_18_or_over"), *good[1:]], {f"{path}[1].bool_value"}),
        "out of range": (
            [*good[:2], answer(question="years_experience", int_value=81), *good[3:]],
            {f"{path}[3].int_value"},
        ),
        "negative": (
            [*good[:2], answer(question="years_experience", int_value=-1), *good[3:]],
            {f"{path}[3].int_value"},
        ),
        "several at once": (
            [answer(question="age_18_or_over", string_value="yes"), *good[2:], answer(question="x")],
            {path, f"{path}[1].bool_value", f"{path}[5].question"},
        ),
    }
    for name, (answers, fields) in cases.items():
        step = sessions_pb.ApplicationQuestions(answers=answers)
        refusal = await refused(client.submit(session.id, application_questions=step))
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", fields), name
    assert await client.get_session(session.id) == before


async def test_answers_at_the_ends_of_their_range_and_in_any_order(client: Client) -> None:
    session = await client.session((await client.contractor()).id)
    await client.submit(session.id, verify_info=STEPS["verify_info"])
    for years in (0, 80):
        step = sessions_pb.ApplicationQuestions(answers=reversed(questions(years_experience=years).answers))
        assert (await client.submit(session.id, application_questions=step)).step == ESIGNATURE


async def test_signatures_that_are_refused(client: Client) -> None:
    session = await client.session((await client.contractor(middle_name="Quincy")).id)
    for name in ("verify_info", "application_questions"):
        before = await client.submit(session.id, **{name: STEPS[name]})
    path = "esignature_document.signatures"

    def changed(position: int, **changes: str) -> sessions_pb.EsignatureDocument:
        step = signatures()
        for name, value in changes.items():
            setattr(step.signatures[position], name, value)
        return step

    doubled = signatures()
    doubled.signatures.append(doubled.signatures[0])
    one_missing = signatures()
    del one_missing.signatures[1]
    cases = {
        "none at all": (sessions_pb.EsignatureDocument(), {path}),
        "one missing": (one_missing, {path}),
        "doubled": (doubled, {f"{path}[4].document"}),
        "another version": (changed(2, version="2"), {f"{path}[3].version"}),
        "no version": (changed(2, version=""), {f"{path}[3].version"}),
        "another name": (changed(0, legal_name="John Doe"), {f"{path}[1].legal_name"}),
        "no name": (changed(0, legal_name=""), {f"{path}[1].legal_name"}),
        "half a name": (changed(0, legal_name="Jane"), {f"{path}[1].legal_name"}),
        "unknown document": (changed(1, document="lease"), {path, f"{path}[2].document"}),
    }
    for name, (step, fields) in cases.items():
        refusal = await refused(client.submit(session.id, esignature_document=step))
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", fields), name
    for ip in ("nowhere", "1.2.3", "1.2.3.4\0"):
        step = signatures()
        step.ip_address = ip
        step.user_agent = "x" * 1_001
        refusal = await refused(client.submit(session.id, esignature_document=step))
        assert refusal.fields == {"esignature_document.ip_address", "esignature_document.user_agent"}
    assert await client.get_session(session.id) == before


async def test_legal_names_in_any_case_and_spacing_with_or_without_the_middle_name(client: Client) -> None:
    session = await client.session(
        (await client.contractor(first_name="José", middle_name="de la", last_name="Ruß")).id
    )
    for name in ("verify_info", "application_questions"):
        await client.submit(session.id, **{name: STEPS[name]})
    for legal_name in ("José Ruß", "  josé   RUSS ", "Jose\u0301\tRuß\n", "JOSÉ DE LA RUSS", "José\u00a0de  la Ruß"):
        step = signatures(legal_name)
        step.ip_address, step.user_agent = "2001:db8::1", "Mozilla/5.0"
        signed = await client.submit(session.id, esignature_document=step)
        assert (signed.status, signed.step) == (STARTED, FINAL_REVIEW)


async def test_the_name_to_sign_with_is_the_corrected_one(client: Client) -> None:
    session = await client.session((await client.contractor()).id)
    await client.submit(session.id, verify_info=sessions_pb.VerifyInfo(first_name="Joan"))
    await client.submit(session.id, application_questions=questions())
    assert (await refused(client.submit(session.id, esignature_document=signatures("Jane Doe")))).fields
    assert (await client.submit(session.id, esignature_document=signatures("Joan Doe"))).step == FINAL_REVIEW


async def test_no_step_ahead_of_the_one_that_is_due(any_client: Client) -> None:
    client = any_client
    session = await client.session((await client.contractor()).id)
    names = list(STEPS)
    for due, name in enumerate(names):
        for ahead in names[due + 1 :]:
            refusal = await refused(client.submit(session.id, **{ahead: STEPS[ahead]}))
            assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "APPLICATION_STEP_OUT_OF_ORDER")
            assert refusal.told == {"step": ahead.upper(), "due": name.upper()}
        await client.submit(session.id, **{name: STEPS[name]})


async def test_one_of_the_steps_has_to_be_set(client: Client) -> None:
    session = await client.session((await client.contractor()).id)
    refusal = await refused(client.submit(session.id))
    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", {"step"})


async def test_an_earlier_step_again_makes_those_after_it_due(client: Client) -> None:
    session = await client.session((await client.contractor()).id)
    for name in ("verify_info", "application_questions", "esignature_document"):
        await client.submit(session.id, **{name: STEPS[name]})

    again = await client.submit(session.id, esignature_document=STEPS["esignature_document"])
    assert again.step == FINAL_REVIEW
    again = await client.submit(session.id, application_questions=questions(has_employees=True))
    assert (again.status, again.step) == (STARTED, ESIGNATURE)
    unsigned = await refused(client.submit(session.id, final_review=STEPS["final_review"]))
    assert unsigned.told == {"step": "FINAL_REVIEW", "due": "ESIGNATURE_DOCUMENT"}
    again = await client.submit(session.id, verify_info=STEPS["verify_info"])
    assert again.step == QUESTIONS
    skipped = await refused(client.submit(session.id, esignature_document=STEPS["esignature_document"]))
    assert skipped.told == {"step": "ESIGNATURE_DOCUMENT", "due": "APPLICATION_QUESTIONS"}

    done = await client.apply(session.id)
    assert done.status == COMPLETE, "the answers sent last count"


async def test_underwriting_refuses_before_it_reviews_and_lists_every_reason(any_client: Client) -> None:
    client = any_client
    cases: list[tuple[dict[str, Any], int, list[int]]] = [
        ({}, COMPLETE, []),
        ({"other_workers_comp": True}, COMPLETE, []),
        ({"age_18_or_over": False}, INELIGIBLE, [UNDER_AGE]),
        ({"losses_last_3_years": True}, MANUAL_REVIEW, [RECENT_LOSSES]),
        ({"has_employees": True}, MANUAL_REVIEW, [HAS_EMPLOYEES]),
        ({"has_employees": True, "losses_last_3_years": True}, MANUAL_REVIEW, [RECENT_LOSSES, HAS_EMPLOYEES]),
        (
            {"has_employees": True, "losses_last_3_years": True, "age_18_or_over": False},
            INELIGIBLE,
            [UNDER_AGE, RECENT_LOSSES, HAS_EMPLOYEES],
        ),
    ]
    for answers, status, reasons in cases:
        session = await client.apply((await client.session((await client.contractor()).id)).id, **answers)
        assert (session.status, list(session.reasons)) == (status, reasons)
        assert session.step == (DONE if status == COMPLETE else FINAL_REVIEW)
        assert session.HasField("complete_time") == (status == COMPLETE)
        assert await client.get_session(session.id) == session


async def test_reasons_show_only_after_the_final_review(client: Client) -> None:
    session = await client.session((await client.contractor()).id)
    await client.submit(session.id, verify_info=STEPS["verify_info"])
    answered = await client.submit(session.id, application_questions=questions(age_18_or_over=False))
    assert (answered.status, list(answered.reasons)) == (STARTED, [])


async def test_a_review_approves_or_declines(any_client: Client, clock: Clock) -> None:
    client = any_client
    approved, declined = await in_status(client, MANUAL_REVIEW), await in_status(client, MANUAL_REVIEW)
    clock.now += timedelta(days=40)
    assert (await client.get_session(approved.id)).status == MANUAL_REVIEW, "what is in review does not expire"

    approved = await review(client, approved.id, pb.REVIEW_DECISION_APPROVE, "Checked\nby phone")
    assert (approved.status, approved.step, list(approved.reasons)) == (COMPLETE, DONE, [HAS_EMPLOYEES])
    assert approved.complete_time == stamp(days=40)
    declined = await review(client, declined.id, pb.REVIEW_DECISION_DECLINE)
    assert (declined.status, declined.step) == (INELIGIBLE, FINAL_REVIEW)
    assert list(declined.reasons) == [HAS_EMPLOYEES, DECLINED]
    assert not declined.HasField("complete_time")
    assert [await client.get_session(s.id) for s in (approved, declined)] == [approved, declined]


async def test_reviews_that_are_refused(client: Client) -> None:
    for status in (CREATED, STARTED, COMPLETE, INELIGIBLE, EXPIRED, CANCELLED):
        session = await in_status(client, status)
        refusal = await refused(review(client, session.id, pb.REVIEW_DECISION_APPROVE))
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "APPLICATION_NOT_IN_REVIEW")
        name = pb.ApplicationSessionStatus.Name(status).removeprefix("APPLICATION_SESSION_STATUS_")
        assert refusal.told == {"application_session": session.id, "status": name}
    session = await in_status(client, MANUAL_REVIEW)
    refusal = await refused(review(client, "", 0, "x" * 2_001))
    assert refusal.fields == {"id", "decision", "note"}
    assert (await refused(review(client, session.id, 99))).fields == {"decision"}
    missing = await refused(review(client, "ias_1", pb.REVIEW_DECISION_APPROVE))
    assert missing.told == {"resource_type": "application_session", "resource_name": "ias_1"}
    assert await client.get_session(session.id) == session


async def test_what_is_open_or_in_review_can_be_cancelled_and_an_opt_in_withdrawn(any_client: Client) -> None:
    client = any_client
    for status in (CREATED, STARTED, MANUAL_REVIEW, COMPLETE):
        before = await in_status(client, status)
        after = await client.cancel_session(before.id)
        assert after.status == CANCELLED
        assert after.step == before.step, "it keeps the step it was at"
        assert after.complete_time == before.complete_time
        assert await client.get_session(before.id) == after
    for status in (INELIGIBLE, EXPIRED, CANCELLED):
        closed = await in_status(client, status)
        refusal = await refused(client.cancel_session(closed.id))
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "APPLICATION_CLOSED")
        assert await client.get_session(closed.id) == closed


async def test_what_is_open_can_be_expired(any_client: Client, clock: Clock) -> None:
    client = any_client
    for status in (CREATED, STARTED):
        before = await in_status(client, status)
        clock.now += timedelta(seconds=1)
        after = await expire(client, before.id)
        assert (after.status, after.step) == (EXPIRED, before.step)
        assert after.expire_time.ToDatetime() == clock.now.replace(tzinfo=None)
    for status in (MANUAL_REVIEW, INELIGIBLE, EXPIRED, CANCELLED):
        assert (await refused(expire(client, (await in_status(client, status)).id))).reason == "APPLICATION_CLOSED"
    complete = await in_status(client, COMPLETE)
    assert (await refused(expire(client, complete.id))).reason == "APPLICATION_ALREADY_COMPLETE"


async def test_a_session_past_its_time_reads_as_expired(any_client: Client, clock: Clock) -> None:
    client = any_client
    opened = [await in_status(client, CREATED), await in_status(client, STARTED)]
    others = [await in_status(client, status) for status in (MANUAL_REVIEW, COMPLETE, INELIGIBLE, CANCELLED)]

    clock.now = NOW + timedelta(days=30) - timedelta(microseconds=1)
    assert [(await client.get_session(s.id)).status for s in opened] == [CREATED, STARTED]
    clock.now = NOW + timedelta(days=30)
    for session in opened:
        read = await client.get_session(session.id)
        assert (read.status, read.step, read.expire_time) == (EXPIRED, session.step, stamp(days=30))
        calls: list[Any] = [client.submit(session.id, verify_info=STEPS["verify_info"])]
        calls += [client.cancel_session(session.id), expire(client, session.id)]
        for call in calls:
            refusal = await refused(call)
            assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "APPLICATION_CLOSED")
            assert refusal.told == {"application_session": session.id, "status": "EXPIRED"}
    for session in others:
        assert await client.get_session(session.id) == session
    assert set(await listed(client, status=EXPIRED)) == {s.id for s in opened}
    assert await listed(client, status=CREATED) == await listed(client, status=STARTED) == []


async def test_closed_sessions_take_no_steps(client: Client) -> None:
    for status in (MANUAL_REVIEW, INELIGIBLE, EXPIRED, CANCELLED):
        session = await in_status(client, status)
        for name, step in STEPS.items():
            refusal = await refused(client.submit(session.id, **{name: step}))
            assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "APPLICATION_CLOSED")
            text = pb.ApplicationSessionStatus.Name(status).removeprefix("APPLICATION_SESSION_STATUS_")
            assert refusal.told == {"application_session": session.id, "status": text}
    complete = await in_status(client, COMPLETE)
    for name, step in STEPS.items():
        refusal = await refused(client.submit(complete.id, **{name: step}))
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "APPLICATION_ALREADY_COMPLETE")
        assert refusal.told == {"application_session": complete.id}


async def test_list_filters_are_combined(any_client: Client) -> None:
    client = any_client
    made = {status: await in_status(client, status) for status in pb.ApplicationSessionStatus.values() if status}
    there = await in_status(client, COMPLETE, "NY")
    assert await listed(client) == [there.id, *reversed([s.id for s in made.values()])]
    for status, session in made.items():
        expected = [there.id, session.id] if status == COMPLETE else [session.id]
        assert await listed(client, status=status) == expected
        assert await listed(client, status=status, work_state="ca") == [session.id]
    assert await listed(client, work_state="ny") == [there.id]
    assert await listed(client, contractor=there.contractor) == [there.id]
    assert await listed(client, contractor=there.contractor, work_state="CA") == []
    assert len(await listed(client, is_general_opt_in=True)) == len(made) + 1
    assert await listed(client, is_general_opt_in=False) == []
    assert await listed(client, contractor="cn_1") == []
    bad = await refused(listed(client, work_state="XX", status=99, page_size=-1))
    assert bad.fields == {"work_state", "status", "page_size"}
