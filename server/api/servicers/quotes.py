"""optin.v1.QuoteService."""

from optin.v1 import quote_service_pb2 as pb

from server.api import render
from server.api.call import Call
from server.api.parse import parse, parse_update
from server.api.requests.quotes import CreateQuote, ListQuotes, dates_fit
from server.domain.terms import assignment_period
from server.service import quotes
from server.service.fields import IdRequest
from server.service.once import Reply
from server.service.settable import QuoteFields


class QuoteService:
    async def CreateQuote(self, request: pb.CreateQuoteRequest, call: Call) -> Reply:
        now, past_allowed = call.ctx.now, call.past_starts_allowed
        wanted = parse(CreateQuote, request, dates_fit(now, past_allowed=past_allowed)).quote
        period = assignment_period(wanted.effective_time, wanted.end_time, now, past_allowed=past_allowed)
        return await call.change(
            request,
            lambda unit: pb.CreateQuoteResponse(
                quote=render.quote(quotes.create(unit, call.ctx, wanted.values(), period), now)
            ),
        )

    async def GetQuote(self, request: pb.GetQuoteRequest, call: Call) -> pb.GetQuoteResponse:
        wanted = parse(IdRequest, request)
        found = await call.read(lambda unit: quotes.get(unit, call.ctx, wanted.id))
        return pb.GetQuoteResponse(quote=render.quote(found, call.ctx.now))

    async def ListQuotes(self, request: pb.ListQuotesRequest, call: Call) -> pb.ListQuotesResponse:
        wanted = parse(ListQuotes, request)
        items, token = await call.read(
            lambda unit: quotes.list_page(
                unit,
                call.ctx,
                contractor=wanted.contractor,
                job=wanted.job,
                status=wanted.status,
                **wanted.page(),
            )
        )
        return pb.ListQuotesResponse(quotes=[render.quote(item, call.ctx.now) for item in items], next_page_token=token)

    async def UpdateQuote(self, request: pb.UpdateQuoteRequest, call: Call) -> Reply:
        changes = parse_update(QuoteFields, request, "quote")
        past_allowed = call.past_starts_allowed
        return await call.change(
            request,
            lambda unit: pb.UpdateQuoteResponse(
                quote=render.quote(
                    quotes.update(unit, call.ctx, request.quote.id, changes, past_allowed=past_allowed), call.ctx.now
                )
            ),
        )
