"""The page's requests: a link, a screen and perhaps a form come in; HTML or a redirect goes out."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from server.domain.application import Step
from server.domain.callers import Caller
from server.domain.errors import (
    ApplicationAlreadyComplete,
    ApplicationClosed,
    ApplicationStepOutOfOrder,
    InvalidFields,
    NotFound,
    Retryable,
)
from server.domain.observing import Observer
from server.domain.ports import Unit
from server.domain.records import ApplicationSession, Contractor
from server.service import applications, contractors
from server.service.calls import Calls
from server.service.gate import Gate
from server.service.links import PATH, Link, Links, NoSuchLink
from server.service.steps import LONGEST_USER_AGENT
from server.web import shown
from server.web.call import Call
from server.web.http import bytes_of
from server.web.noted import code_of, line_of
from server.web.page import leaving, refusals, view
from server.web.page.html import HEADERS
from server.web.page.rate import Rate
from server.web.page.refusals import NotAForm
from server.web.page.screens import Known, Screen, Typed, screen_due, screen_named
from server.web.page.texts import Texts, texts_for
from server.web.page.view import Visit

READS = "optin.v1.ApplicationSessionService/GetApplicationForm"
SUBMITS = "optin.v1.ApplicationSessionService/SubmitApplicationStep"
ACTOR = "contractor"  # in the audit trail
LEAVE = "leave"
LARGEST_FORM = 64 * 1024
MOST_FIELDS = 200
URLENCODED = "application/x-www-form-urlencoded"


class Pages:
    def __init__(self, calls: Calls, links: Links, gate: Gate, observer: Observer) -> None:
        self._calls = calls
        self._links = links
        self._gate = gate
        self._began = {name: observer.call(name, streamed=False) for name in (READS, SUBMITS)}
        self._rate = Rate()

    @property
    def routes(self) -> list[Route]:
        return [
            Route(f"{PATH}/{{token}}", self.answer, methods=["GET"]),
            Route(f"{PATH}/{{token}}/{{screen}}", self.answer, methods=["GET", "POST"]),
        ]

    async def answer(self, request: Request) -> Response:
        """Never raises but what ends the request: each error is a page."""
        texts = texts_for(request.headers.get("accept-language", ""))
        line = line_of(_name(request), self._began[_method(request)], self._gate, request)
        error: Exception | None = None
        try:
            self._gate.require_room()
            response = await self._answer(request, texts)
            response.headers["request-id"] = line.call_id
        except ClientDisconnect:
            line.end("CANCELLED")
            return Response(status_code=400)  # nobody reads it
        except asyncio.CancelledError:
            line.end("CANCELLED")
            raise
        except Exception as raised:
            error = raised
            response = refusals.page(raised, texts, line.call_id)
        line.end(code_of(response, error), error=error)
        return response

    async def _answer(self, request: Request, texts: Texts) -> Response:
        """Raises what `refusals` knows, and whatever goes wrong."""
        address = _address(request)
        self._rate.count(address)
        with self._counted(address):
            link = self._links.opened(request.path_params["token"])
        screen = screen_named(request.path_params.get("screen", ""))
        # What is typed may never come, so that the request holds no place yet.
        typed = await _typed(request) if screen and request.method == "POST" else None
        with self._gate:
            with self._counted(address):
                visit = await self._visit(request, link, address, texts)
            return await self._shown(visit, screen, typed)

    @contextmanager
    def _counted(self, address: str) -> Iterator[None]:
        """Links that lead nowhere. Raises NoSuchLink, TooMany."""
        try:
            yield
        except (NoSuchLink, NotFound):
            self._rate.count_wrong(address)
            raise NoSuchLink from None

    async def _shown(self, visit: Visit, screen: Screen | None, typed: Typed | None) -> Response:
        """`typed`: None where nothing was sent."""
        request, session = visit.request, visit.known.session
        name = request.path_params.get("screen", "")
        if not name or not leaving.is_open(session, visit.now):
            return _onwards(visit)
        if name == LEAVE:
            return _out(visit)
        if screen is None:
            raise refusals.NoSuchPage
        if typed is not None:
            return await self._take(visit, screen, typed)
        if screen.due > session.step:
            return _onwards(visit)
        return view.screen(visit, screen, screen.on_record(visit.known), notice=request.query_params.get("notice", ""))

    async def _again(self, visit: Visit) -> Visit:
        """With what is on record by now."""
        return await self._visit(visit.request, visit.link, visit.known.ip_address, visit.texts)

    async def _visit(self, request: Request, link: Link, address: str, texts: Texts) -> Visit:
        """Raises NoSuchLink, NotFound."""
        caller = Caller(platform=link.platform, roles=frozenset(), actor=ACTOR)
        call = Call(self._calls, caller, _method(request), verb=request.method, path="", id_=link.session, body={})

        def look(unit: Unit) -> tuple[ApplicationSession, Contractor]:
            session = applications.get(unit, call.ctx, link.session)
            return session, contractors.get(unit, call.ctx, session.contractor)

        session, contractor = await call.read(look)
        if contractor.id != link.contractor:
            raise NoSuchLink
        agent = "".join(letter for letter in request.headers.get("user-agent", "") if letter.isprintable())
        return Visit(
            request=request,
            links=self._links,
            link=link,
            call=call,
            known=Known(
                session=session, contractor=contractor, ip_address=address, user_agent=agent[:LONGEST_USER_AGENT]
            ),
            texts=texts,
        )

    async def _take(self, visit: Visit, screen: Screen, typed: Typed) -> Response:
        """Whatever is wrong with what was typed, it stays in the form."""
        if not visit.is_marked(typed):
            return view.screen(visit, screen, typed, notice="send_again", status=403)
        try:
            await self._submit(visit, screen.step(visit.known, typed))
        except InvalidFields as invalid:
            errors = screen.errors(visit.known, invalid, visit.texts, typed)
            return view.screen(visit, screen, typed, errors=errors, status=422)
        except ApplicationStepOutOfOrder:
            return _onwards(await self._again(visit), notice="?notice=moved")
        except (ApplicationAlreadyComplete, ApplicationClosed):
            pass  # it was sent twice, or closed meanwhile
        except Retryable:
            return view.screen(visit, screen, typed, notice="busy", status=503)
        return _onwards(await self._again(visit))

    async def _submit(self, visit: Visit, step: Step) -> None:
        call, session = visit.call, visit.known.session.id
        await call.change_or_wait(
            lambda unit, attempt: applications.submit_step(unit, call.ctx, call.binder, attempt, session, step),
            lambda submitted: shown.application_session(submitted, call.ctx.now),
        )


def _onwards(visit: Visit, notice: str = "") -> Response:
    """To the step that is due, by its own path, so that a browser's history has each; or out."""
    session = visit.known.session
    if leaving.is_open(session, visit.now):
        return _redirect(f"{visit.path}/{screen_due(session).name}{notice}")
    if leaving.in_review(session):
        return view.in_review(visit)
    return _out(visit)


def _out(visit: Visit) -> Response:
    """To the URL that was kept with the session."""
    url = leaving.way_out(visit.known.session, visit.now)
    return _redirect(url) if url else view.closed(visit)


def _redirect(url: str) -> Response:
    return Response(status_code=303, headers=HEADERS | {"location": url})


def _address(request: Request) -> str:
    """Of who asks. Empty where a proxy that is trusted forwards something else."""
    try:
        return str(ip_address(request.client.host)) if request.client else ""
    except ValueError:
        return ""


async def _typed(request: Request) -> Typed:
    """Raises NotAForm, BodyTooLarge, BodyTooSlow."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != URLENCODED:
        raise NotAForm
    body = await bytes_of(request, LARGEST_FORM)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
    except ValueError:
        raise NotAForm from None


def _method(request: Request) -> str:
    """Of the gRPC API, which does the same."""
    return SUBMITS if request.method == "POST" else READS


def _name(request: Request) -> str:
    """For the log: never the token."""
    screen = screen_named(request.path_params.get("screen", ""))
    return f"{request.method} {PATH}/{{token}}" + (f"/{screen.name}" if screen else "")
