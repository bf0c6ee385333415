"""The invariants of a contractor's quotes, and of the policies that were issued for them."""

from server.domain import quoting
from server.domain.enums import ApplicationSessionStatus, PolicyOrigin, PolicyStatus, QuoteStatus
from server.domain.invariants.books import Books, Ids, Terms
from server.domain.invariants.cover import would_have_done
from server.domain.records import Policy, Quote

WERE_ISSUED = (PolicyStatus.ACTIVE, PolicyStatus.CANCELLED)  # EXPIRED is never stored
AS_QUOTED = ("coverage_types", "work_state", "residence_state", "category_code", "net_rate")


def application_has_its_quote(books: Books, _: Terms) -> Ids:
    """A session is for a quote of its contractor, unless it is a general opt-in, which is for none."""
    for session in books.sessions.values():
        if session.is_general_opt_in == bool(session.quote) or (session.quote and session.quote not in books.quotes):
            yield session.id, session.quote or "none"


def complete_application_was_settled(books: Books, _: Terms) -> Ids:
    """When the application for a quote is complete, the quote is issued, or a policy was asked for and may yet fail."""
    asked = {policy.application_session for policy in _quote_policies(books)}
    for session in books.sessions.values():
        quote = books.quotes.get(session.quote)
        complete = session.status is ApplicationSessionStatus.APPLICATION_COMPLETE
        if quote and complete and quote.status is not QuoteStatus.ISSUED and session.id not in asked:
            yield session.id, quote.id


def issued_quote_has_its_policy(books: Books, _: Terms) -> Ids:
    """A quote is issued exactly when it names a policy of its contractor, one that was issued."""
    for quote in books.quotes.values():
        policy = books.policies.get(quote.policy)
        issued = policy is not None and policy.status in WERE_ISSUED
        if (quote.status is QuoteStatus.ISSUED) != issued or bool(quote.policy) != issued:
            yield quote.id, quote.policy or "none"


def quote_policy_has_its_quote(books: Books, _: Terms) -> Ids:
    """A policy from a quote, and no other, names one, which is open while the policy is being bound and has it then."""
    for policy in books.policies.values():
        quote = books.quotes.get(policy.quote)
        if (policy.origin is PolicyOrigin.QUOTE) != bool(policy.quote) or (policy.quote and quote is None):
            yield policy.id, policy.quote or "none"
        elif quote is not None and not _agree(quote, policy):
            yield policy.id, quote.id


def quote_policy_has_a_complete_application(books: Books, terms: Terms) -> Ids:
    """Its session is for its quote, and was complete when the policy was bound."""
    for policy in _quote_policies(books):
        session = books.sessions.get(policy.application_session)
        if (
            session is None
            or session.quote != policy.quote
            or session.status is not ApplicationSessionStatus.APPLICATION_COMPLETE
            or session.complete_time is None
            or session.complete_time > policy.create_time + terms.span
        ):
            yield policy.id, policy.application_session or "none"


def quote_policy_is_as_its_quote(books: Books, _: Terms) -> Ids:
    """It has the types, states, category, rate and term of its quote; where it failed, the quote may have changed."""
    for policy in _quote_policies(books):
        quote = books.quotes.get(policy.quote)
        if quote is None or policy.status is PolicyStatus.FAILED:
            continue
        term = quoting.term(quote, policy.create_time)
        same = all(getattr(policy, name) == getattr(quote, name) for name in AS_QUOTED)
        if not same or (term.start, term.end) != (policy.effective_time, policy.expire_time):
            yield policy.id, quote.id


def quote_policy_was_needed(books: Books, terms: Terms) -> Ids:
    """Never two policies where one would do: no earlier one that was usable then matches its quote."""
    for policy in _quote_policies(books):
        quote = books.quotes.get(policy.quote)
        if quote is None or policy.status is PolicyStatus.FAILED:
            continue
        wanted = quoting.need(quote, policy.create_time)
        for other in books.in_order():
            if other.number < policy.number and would_have_done(other, policy, wanted, books, terms):
                yield policy.id, other.id, quote.id


def _quote_policies(books: Books) -> list[Policy]:
    return [policy for policy in books.policies.values() if policy.origin is PolicyOrigin.QUOTE]


def _agree(quote: Quote, policy: Policy) -> bool:
    if policy.status in WERE_ISSUED:
        return quote.policy == policy.id
    return quote.policy != policy.id and (policy.status is PolicyStatus.FAILED or quote.status is QuoteStatus.OPEN)


RULES = (
    application_has_its_quote,
    complete_application_was_settled,
    issued_quote_has_its_policy,
    quote_policy_has_its_quote,
    quote_policy_has_a_complete_application,
    quote_policy_is_as_its_quote,
    quote_policy_was_needed,
)
