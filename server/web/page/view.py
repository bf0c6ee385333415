"""What each page is made of: the values for its template."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from server.domain.enums import QuestionType
from server.service.links import Link, Links
from server.web.call import Call
from server.web.page import html, leaving
from server.web.page.screens import SCREENS, Documents, Information, Known, Questions, Screen, Typed, screen_due
from server.web.page.texts import Texts

COOKIE = "optin_form"  # marks a browser, so that forms of others' pages are not taken
LONGEST_MARK = 64
NOTICES = frozenset({"moved", "send_again", "busy"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One request of somebody whose link is good."""

    request: Request
    links: Links
    link: Link
    call: Call
    known: Known
    texts: Texts

    @property
    def now(self) -> datetime:
        return self.call.ctx.now

    @property
    def path(self) -> str:
        return f"{self.links.path}{self.request.path_params['token']}"

    @property
    def browser(self) -> str:
        return self.request.cookies.get(COOKIE, "")[:LONGEST_MARK]

    def is_marked(self, typed: Typed) -> bool:
        return self.links.is_marked(typed.get("mark", ""), self.browser, self.known.session.id)


def screen(
    visit: Visit,
    shown: Screen,
    typed: Typed,
    *,
    errors: Mapping[str, str] | None = None,
    notice: str = "",
    status: int = 200,
) -> Response:
    session, texts = visit.known.session, visit.texts
    browser = visit.browser or secrets.token_urlsafe()
    place, form = SCREENS.index(shown), visit.known.form
    values = {
        "name": shown.name,
        "screens": [{"name": each.name, "is_open": each.due <= session.step} for each in SCREENS],
        "number": place + 1,
        "back": SCREENS[place - 1].name if place else "",
        "path": visit.path,
        "mark": visit.links.mark(browser, session.id),
        "typed": typed,
        "errors": errors or {},
        "about": {q.id: q.text for q in form.questions} | {d.id: f"{d.title}:" for d in form.documents},
        "is_over": shown.due < session.step,
        "notice": notice if notice in NOTICES else "",
        "form": form,
        "legal_name": visit.known.legal_name,
        "what_for": _what_for(visit),
        "types": () if session.is_general_opt_in else [texts["coverage"][t.name] for t in session.coverage_types],
        "until": _date(session.expire_time, texts),
        "summed_up": list(_summed_up(visit)),
    }
    response = html.page(shown.name, status, texts, values, leaving.origins(session))
    if not visit.browser:
        response.set_cookie(
            COOKIE, browser, path=visit.links.path, secure=visit.links.is_secure, httponly=True, samesite="lax"
        )
    return response


def in_review(visit: Visit) -> Response:
    said = visit.texts["in_review"]
    link = {"link": leaving.after_review(visit.known.session), "link_text": said["link"]}
    return html.page("message", 200, visit.texts, {"heading": said["heading"], "text": said["text"], **link}, ())


def closed(visit: Visit) -> Response:
    """Where the URL to go to has been erased."""
    said = visit.texts["closed"]
    return html.page("message", 200, visit.texts, {**said, "link": ""}, ())


def _what_for(visit: Visit) -> str:
    session, texts = visit.known.session, visit.texts
    sentence: str = texts["for_opt_in" if session.is_general_opt_in else "for_quote"]
    return sentence.format(state=texts["states"][session.work_state])


def _date(time: datetime, texts: Texts) -> str:
    sentence: str = texts["date"]
    return sentence.format(month=texts["months"][time.month - 1], day=time.day, year=time.year)


def _summed_up(visit: Visit) -> Iterator[dict[str, Any]]:
    """For the last screen: what was said on each of the others."""
    known, labels = visit.known, visit.texts["labels"]
    if screen_due(known.session) is not SCREENS[-1]:
        return
    record = Information().on_record(known)
    full_name = " ".join(filter(None, (record[name] for name in ("first_name", "middle_name", "last_name"))))
    lines = [(labels["name"], full_name), (labels["phone"], record["phone"]), (labels["address"], _address(record))]
    yield {"screen": Information.name, "heading": labels["information"], "lines": lines}
    said = Questions().on_record(known)
    answers = [
        (q.text, visit.texts[said[q.id]] if q.type is QuestionType.BOOL else said[q.id])
        for q in known.form.questions
        if q.id in said
    ]
    yield {"screen": Questions.name, "heading": labels["questions"], "lines": answers}
    names = Documents().on_record(known)
    signed = [(d.title, labels["signed"].format(name=names[d.id])) for d in known.form.documents]
    yield {"screen": Documents.name, "heading": labels["documents"], "lines": signed}


def _address(record: Typed) -> str:
    """As on an envelope."""
    place = " ".join(filter(None, (record["region"], record["postalcode"])))
    last = ", ".join(filter(None, (record["locality"], place)))
    return "\n".join(filter(None, (record["line1"], record["line2"], last)))
