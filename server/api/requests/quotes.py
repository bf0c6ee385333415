"""Requests about quotes."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any

from server.domain.enums import QuoteStatus
from server.domain.errors import InvalidFields, Violation
from server.domain.terms import assignment_period
from server.service.fields import ChangeRequest, FilterReference, ListRequest, known
from server.service.settable import QuoteFields


class CreateQuote(ChangeRequest):
    quote: QuoteFields


class ListQuotes(ListRequest):
    contractor: FilterReference = ""
    job: FilterReference = ""
    status: Annotated[QuoteStatus | None, known(QuoteStatus)] = None


def dates_fit(now: datetime, *, past_allowed: bool) -> Callable[[dict[str, Any]], Iterable[Violation]]:
    """The rules over both dates of a new quote: an assignment's (spec 10)."""

    def check(request: dict[str, Any]) -> Iterable[Violation]:
        quote = request.get("quote", {})
        try:
            assignment_period(quote.get("effective_time"), quote.get("end_time"), now, past_allowed=past_allowed)
        except InvalidFields as error:
            return error.within("quote").violations
        return ()

    return check
