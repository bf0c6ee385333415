"""What cannot be shown, as a page: one table, looked up along the error's MRO. Nothing internal is on it."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response

from server.domain.errors import DomainError, QuoteAlreadyIssued, Retryable, entry_for
from server.service.links import NoSuchLink
from server.web import errors
from server.web.page import html
from server.web.page.rate import TooMany
from server.web.page.texts import Texts


class NotAForm(DomainError):
    reason = "MALFORMED_REQUEST"
    message = "The body must be what a form of the page sends."


class NoSuchPage(DomainError):
    reason = "RESOURCE_NOT_FOUND"
    message = "There is no such page."


class Told(NamedTuple):
    status: int
    texts: str  # the section with what is said


TABLE: Mapping[type[Exception], Told] = {
    NoSuchLink: Told(404, "no_link"),
    NoSuchPage: Told(404, "no_page"),
    errors.NoSuchPath: Told(404, "no_page"),
    errors.NoSuchMethod: Told(405, "no_page"),
    TooMany: Told(429, "too_many"),
    NotAForm: Told(400, "not_a_form"),
    errors.BodyTooLarge: Told(413, "not_a_form"),
    errors.BodyTooSlow: Told(400, "not_a_form"),
    QuoteAlreadyIssued: Told(409, "settled"),
    Retryable: Told(503, "busy"),
    Exception: Told(500, "broken"),
}


def page(error: Exception, texts: Texts, call_id: str) -> Response:
    status, section = entry_for(error, TABLE)
    said = texts[section]
    text = said["text"].format(call_id=call_id)
    response = html.page("message", status, texts, {"heading": said["heading"], "text": text, "link": ""}, ())
    response.headers.update(errors.headers_of(error, call_id))
    return response
