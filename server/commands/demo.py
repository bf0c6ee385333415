"""`optin demo`: three stories against a server of its own, each call as it is answered.

The first is the guide's four steps, with the guide's values. The second begins where the opt-in does not apply. The
third goes by HTTP, and over the contractor's page.
"""

import re
import textwrap
from collections.abc import Iterable
from tempfile import TemporaryDirectory

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import event_service_pb2 as events_pb
from optin.v1 import job_service_pb2 as jobs_pb
from optin.v1 import quote_service_pb2 as quotes_pb
from optin.v1 import resources_pb2 as pb
from optin.v1.application_session_service_pb2_grpc import ApplicationSessionServiceStub
from optin.v1.assignment_service_pb2_grpc import AssignmentServiceStub
from optin.v1.contractor_service_pb2_grpc import ContractorServiceStub
from optin.v1.event_service_pb2_grpc import EventServiceStub
from optin.v1.job_service_pb2_grpc import JobServiceStub
from optin.v1.quote_service_pb2_grpc import QuoteServiceStub

from server.app import running
from server.commands.demo_page import Form, Http
from server.config import Settings

HEADINGS = ("STEP", "CALL", "WHAT CAME BACK", "OUTCOME", "POLICY")
WIDTHS = (15, 26, 40, 19, 10)  # of the table's columns: step, call, what came back, outcome, policy
NOTE_WIDTH = 69
MOST_SECONDS = 30.0  # to watch
DAY = 86_400
GUIDE_START, GUIDE_END = 1_701_561_600, 1_701_907_200  # 3 to 7 December 2023
GUIDE_DATES = {"effective_date": GUIDE_START, "end_date": GUIDE_END}
URLS = {"success_url": "https://yourapp.com/success", "cancel_url": "https://yourapp.com/cancel"}
ANSWERS = {
    "age_18_or_over": True,
    "losses_last_3_years": False,
    "other_workers_comp": False,
    "has_employees": False,
}


async def run_demo() -> None:
    """Starts a server, walks, stops it; the database is a temporary file. Settings are the defaults."""
    with TemporaryDirectory(prefix="optin-demo-") as folder:
        settings = Settings.model_construct(port=0, http_port=0, database_url=f"sqlite:///{folder}/optin.db")
        async with running(settings) as server, grpc.aio.insecure_channel(f"{settings.host}:{server.port}") as channel:
            walk = Walk(channel)
            await walk.opt_in_story()
            await walk.quote_story()
            assert server.http_port is not None, "it was asked for"  # noqa: S101
            await walk.page_story(Http(server.http_port))


class Walk:
    """Each step prints its calls as it gets their answers."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._contractors = ContractorServiceStub(channel)
        self._jobs = JobServiceStub(channel)
        self._sessions = ApplicationSessionServiceStub(channel)
        self._assignments = AssignmentServiceStub(channel)
        self._quotes = QuoteServiceStub(channel)
        self._events = EventServiceStub(channel)

    async def opt_in_story(self) -> None:
        print("The guide's four steps, against a server of their own. Ids are shortened.\n")
        row(*HEADINGS)
        jane = await self.create_contractor()
        category = await self.approve_category()
        job = await self.create_job(category, "CA")
        session = await self.create_session(jane)
        await self.complete_application(session)
        await self.create_assignment("4 assignments", jane, job, GUIDE_START, GUIDE_END)
        await self.create_assignment("", jane, job, GUIDE_START + 7 * DAY, GUIDE_END + 7 * DAY)
        elsewhere = await self.create_job(category, "NY", step="")
        await self.create_assignment("", jane, elsewhere, GUIDE_START, GUIDE_END)

    async def quote_story(self) -> None:
        print("\nWhere the opt-in does not apply: a quote, an application for it, and the cover of what waited.\n")
        row(*HEADINGS)
        joe = await self.create_contractor(first_name="Joe", email="joe.doe@example.com")
        category = await self.approve_category()
        job = await self.create_job(category, "CA")
        waiting = await self.create_assignment("2 fall-back", joe, job)
        quote = await self.create_quote(joe, job)
        await self.complete_application(await self.create_session(joe, quote), "Joe Doe")
        await self.get_assignment("5 covered", waiting)
        await self.create_assignment("6 again", joe, job)
        await self.extend_assignment(waiting, 14)
        await self.cancel_assignment(waiting)
        await self.watch_events(waiting)

    async def page_story(self, http: Http) -> None:
        print("\nThe same by the guide's HTTP paths, with the page that the contractor fills in.\n")
        row(*HEADINGS)
        job = await self.create_job(await self.approve_category(), "CA")
        name = {"first_name": "Ann", "last_name": "Doe", "email": "ann.doe@example.com", "phone": "5551234567"}
        ann = await http.post_json("/contractors", name | {"address": {"region": "CA", "postalcode": 94102}})
        row("1 contractor", "POST /contractors", f"{short(ann['id'])}  Ann Doe, lives in CA")
        wanted = {"contractor": ann["id"], "is_general_opt_in": True, "work_state": "CA", **URLS}
        session = await http.post_json("/apply/sessions", wanted)
        row("2 opt-in", "POST /apply/sessions", f"{short(session['id'])}  with a link to the page")
        await self.fill_in_page(http, session["url"], "Ann Doe")
        for step in ("4 assignments", ""):
            asked = {"contractor": ann["id"], "job": job.id, "coverage_type": ["workers-comp"], **GUIDE_DATES}
            made = await http.post_json("/assignments", asked)
            row(step, "POST /assignments", short(made["id"]), made["binding_outcome"], short(made["policy"]))

    async def fill_in_page(self, http: Http, url: str, name: str) -> None:
        step, answer = "3 the page", await http.open(url)
        while (location := answer.headers.get("location", "")).startswith("/"):
            form = Form((await http.open(location)).body)
            row(step, location.rpartition("/")[2], form.heading)
            step, answer = "", await http.send(form, form.signed(name))
        row("", "and out", location.partition("?")[0])

    async def create_contractor(self, first_name: str = "Jane", email: str = "jane.doe@example.com") -> pb.Contractor:
        contractor = pb.Contractor(
            first_name=first_name,
            last_name="Doe",
            email=email,
            phone="5551234567",
            address=pb.Address(line1="123 Main St", locality="San Francisco", region="CA", postalcode="94102"),
        )
        request = contractors_pb.CreateContractorRequest(contractor=contractor)
        contractor = (await self._contractors.CreateContractor(request)).contractor
        row("1 contractor", "CreateContractor", f"{short(contractor.id)}  {first_name} Doe, lives in CA")
        return contractor

    async def approve_category(self) -> pb.JobCategory:
        create = jobs_pb.CreateJobCategoryRequest(job_category=pb.JobCategory(name="Warehouse work"))
        category = (await self._jobs.CreateJobCategory(create)).job_category
        row("- a job", "CreateJobCategory", f"{short(category.code)}  {category.name}")
        approve = jobs_pb.ApproveJobCategoryRequest(
            category_code=category.code,
            coverage_type=pb.COVERAGE_TYPE_WORKERS_COMP,
            states=["CA"],
            net_rate=250,
        )
        category = (await self._jobs.ApproveJobCategory(approve)).job_category
        for approval in category.approvals:
            row("", "ApproveJobCategory", f"{approval.state}, ${approval.net_rate / 100:.2f} per $100 of pay")
        return category

    async def create_job(self, category: pb.JobCategory, state: str, step: str = "") -> pb.Job:
        job = pb.Job(name="Picker", category_code=category.code, address=pb.Address(region=state))
        job = (await self._jobs.CreateJob(jobs_pb.CreateJobRequest(job=job))).job
        row(step, "CreateJob", f"{short(job.id)}  {job.name}, {job.address.region}")
        return job

    async def create_quote(self, contractor: pb.Contractor, job: pb.Job) -> pb.Quote:
        wanted = pb.Quote(contractor=contractor.id, job=job.id, coverage_types=[pb.COVERAGE_TYPE_WORKERS_COMP])
        quote = (await self._quotes.CreateQuote(quotes_pb.CreateQuoteRequest(quote=wanted))).quote
        status = pb.QuoteStatus.Name(quote.status).removeprefix("QUOTE_STATUS_")
        row("3 quote", "CreateQuote", f"{short(quote.id)}  {status}, ${quote.net_rate / 100:.2f} per $100 of pay")
        return quote

    async def create_session(self, contractor: pb.Contractor, quote: pb.Quote | None = None) -> pb.ApplicationSession:
        """Of a general opt-in for CA, or for a quote."""
        session = pb.ApplicationSession(
            contractor=contractor.id,
            success_url="https://yourapp.com/success",
            cancel_url="https://yourapp.com/cancel",
            is_general_opt_in=quote is None,
            work_state="CA",
            quote=quote.id if quote else "",
        )
        request = sessions_pb.CreateApplicationSessionRequest(application_session=session)
        session = (await self._sessions.CreateApplicationSession(request)).application_session
        step = "4 application" if quote else "2 opt-in"
        row(step, "CreateApplicationSession", f"{short(session.id)}  {session.work_state}, {standing(session)}")
        return session

    async def complete_application(self, session: pb.ApplicationSession, legal_name: str = "Jane Doe") -> None:
        form = await self._sessions.GetApplicationForm(sessions_pb.GetApplicationFormRequest(id=session.id))
        questions, documents = form.application_form.questions, form.application_form.documents
        row(
            "" if session.quote else "3 application",
            "GetApplicationForm",
            f"{len(questions)} questions, {len(documents)} documents",
        )
        answers = [sessions_pb.Answer(question=question, bool_value=value) for question, value in ANSWERS.items()]
        answers.append(sessions_pb.Answer(question="years_experience", int_value=5))
        signatures = [
            sessions_pb.Signature(document=document.id, version=document.version, legal_name=legal_name)
            for document in documents
        ]
        step = sessions_pb.SubmitApplicationStepRequest
        for request in (
            step(id=session.id, verify_info=sessions_pb.VerifyInfo()),
            step(id=session.id, application_questions=sessions_pb.ApplicationQuestions(answers=answers)),
            step(id=session.id, esignature_document=sessions_pb.EsignatureDocument(signatures=signatures)),
            step(id=session.id, final_review=sessions_pb.FinalReview()),
        ):
            session = (await self._sessions.SubmitApplicationStep(request)).application_session
            row("", "SubmitApplicationStep", standing(session))

    async def create_assignment(
        self, step: str, contractor: pb.Contractor, job: pb.Job, start: int = 0, end: int = 0
    ) -> pb.Assignment:
        """Without dates: 30 days from the next midnight on."""
        assignment = pb.Assignment(
            contractor=contractor.id,
            job=job.id,
            coverage_types=[pb.COVERAGE_TYPE_WORKERS_COMP],
            effective_time=Timestamp(seconds=start) if start else None,
            end_time=Timestamp(seconds=end) if end else None,
        )
        request = assignments_pb.CreateAssignmentRequest(assignment=assignment)
        made = (await self._assignments.CreateAssignment(request)).assignment
        self._show(step, "CreateAssignment", made)
        return made

    async def get_assignment(self, step: str, assignment: pb.Assignment) -> None:
        request = assignments_pb.GetAssignmentRequest(id=assignment.id)
        self._show(step, "GetAssignment", (await self._assignments.GetAssignment(request)).assignment)

    async def extend_assignment(self, assignment: pb.Assignment, more_days: int) -> None:
        end = Timestamp(seconds=assignment.end_time.seconds + more_days * DAY)
        request = assignments_pb.ExtendAssignmentRequest(id=assignment.id, end_time=end)
        self._show("7 extended", "ExtendAssignment", (await self._assignments.ExtendAssignment(request)).assignment)

    async def cancel_assignment(self, assignment: pb.Assignment) -> None:
        request = assignments_pb.CancelAssignmentRequest(id=assignment.id, reason="no longer needed")
        cancelled = (await self._assignments.CancelAssignment(request)).assignment
        status = pb.AssignmentStatus.Name(cancelled.status).removeprefix("ASSIGNMENT_STATUS_")
        row("8 cancelled", "CancelAssignment", f"{short(cancelled.id)}  {status}: {cancelled.cancel_reason}")

    async def watch_events(self, assignment: pb.Assignment) -> None:
        """What a watcher saw, from the assignment's creation to its end."""
        began, step = False, "9 events"
        async for message in self._events.WatchEvents(events_pb.WatchEventsRequest(), timeout=MOST_SECONDS):
            event = message.event
            began = began or event.resource == assignment.id
            if began:
                row(step, "WatchEvents" if step else "", f"{short(event.resource)}  {event.type}")
                step = ""
            if event.type == "assignment.cancelled":
                return

    def _show(self, step: str, call: str, assignment: pb.Assignment) -> None:
        outcome = pb.BindingOutcome.Name(assignment.binding.outcome).removeprefix("BINDING_OUTCOME_")
        came_back = f"{short(assignment.id)}  {assignment.work_state}, {days(assignment)}"
        row(step, call, came_back, outcome, short(assignment.policy) or "none")
        note(", ".join(reason_names(assignment.binding.reasons)))
        note(assignment.binding.message)


def standing(session: pb.ApplicationSession) -> str:
    status = pb.ApplicationSessionStatus.Name(session.status).removeprefix("APPLICATION_SESSION_STATUS_")
    due = pb.ApplicationStep.Name(session.step).removeprefix("APPLICATION_STEP_")
    return f"{status}, due: {due}" if session.step != pb.APPLICATION_STEP_DONE else status


def reason_names(reasons: Iterable[pb.BindingReason.ValueType]) -> list[str]:
    return [pb.BindingReason.Name(reason).removeprefix("BINDING_REASON_") for reason in reasons]


def short(resource_id: str) -> str:
    """An id as the table shows it: the prefix and the end, which tells ids apart."""
    return re.sub(r"_.+(?=.{5}$)", "_..", resource_id)


def days(assignment: pb.Assignment) -> str:
    start, end = assignment.effective_time.ToDatetime(), assignment.end_time.ToDatetime()
    if start.month == end.month:
        return f"{start.day} to {end.day} {end:%B %Y}"
    return f"{start.day} {start:%b} to {end.day} {end:%b %Y}"


def row(*cells: str) -> None:
    print("".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=False)).rstrip())


def note(text: str) -> None:
    """Something about the row above, below it."""
    indent = " " * sum(WIDTHS[:2])
    for line in textwrap.wrap(text, NOTE_WIDTH, break_on_hyphens=False):
        print(indent + line)
