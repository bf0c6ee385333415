"""/quotes"""

from server.domain.ports import Unit
from server.domain.terms import assignment_period
from server.service import quotes
from server.service.once import Reply
from server.web import asked, shown
from server.web.call import Call
from server.web.operation import Operation
from server.web.shown import Shown


async def create(call: Call, wanted: asked.Quote) -> Reply:
    now, past_allowed = call.ctx.now, call.past_starts_allowed
    period = assignment_period(wanted.effective_time, wanted.end_time, now, past_allowed=past_allowed)
    return await call.change(lambda unit: shown.quote(quotes.create(unit, call.ctx, wanted.values(), period), now))


async def get(call: Call, _: None) -> Shown:
    return shown.quote(await call.read(lambda unit: quotes.get(unit, call.ctx, call.id)), call.ctx.now)


async def list_(call: Call, wanted: asked.ListedQuotes) -> list[Shown]:
    items, _ = await call.read(lambda unit: quotes.list_page(unit, call.ctx, **wanted.filters()))
    return [shown.quote(item, call.ctx.now) for item in items]


async def update(call: Call, changes: asked.Changes) -> Reply:
    def work(unit: Unit) -> Shown:
        changed = changes.onto(quotes.lock(unit, call.ctx, call.id))
        after = quotes.update(unit, call.ctx, call.id, changed, past_allowed=call.past_starts_allowed)
        return shown.quote(after, call.ctx.now)

    return await call.change(work)


OPERATIONS = (
    Operation(
        verb="POST",
        path="/quotes",
        method="QuoteService/CreateQuote",
        handler=create,
        asks=asked.Quote,
        shows=(shown.Quote,),
        summary="Create a quote.",
    ),
    Operation(
        verb="GET",
        path="/quotes",
        method="QuoteService/ListQuotes",
        handler=list_,
        asks=asked.ListedQuotes,
        shows=(shown.Quote,),
        many=True,
        summary="List the quotes.",
    ),
    Operation(
        verb="GET",
        path="/quotes/{id}",
        method="QuoteService/GetQuote",
        handler=get,
        shows=(shown.Quote,),
        summary="Get a quote.",
    ),
    Operation(
        verb="PUT",
        path="/quotes/{id}",
        method="QuoteService/UpdateQuote",
        handler=update,
        asks=asked.Quote,
        shows=(shown.Quote,),
        summary="Change what is sent of a quote that is open; it is rated anew.",
    ),
)
