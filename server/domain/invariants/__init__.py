"""What holds in a database at every moment.

Each invariant is a function that yields the ids for which it does not hold. Its name, with hyphens, is the rule that
a finding names; its docstring says what should be.
"""

from collections.abc import Callable, Iterator

from server.domain.invariants import assignments, contractors, events, keys, quotes
from server.domain.invariants.books import (
    AboutRow,
    Books,
    EmailRow,
    Entry,
    EventRow,
    Finding,
    Ids,
    NewestRow,
    RequestRow,
    Terms,
)


def of_contractor(books: Books, terms: Terms) -> Iterator[Finding]:
    """When all its entries were noted."""
    for rule in (*contractors.RULES, *quotes.RULES):
        for ids in rule(books, terms):
            yield Finding(rule_name(rule), ids)


def of_entry(books: Books, entry: Entry, terms: Terms) -> Iterator[Finding]:
    for rule in (*assignments.RULES, *events.OF_ENTRIES):
        for ids in rule(books, entry, terms):
            yield Finding(rule_name(rule), ids)


def of_decision(decision: AboutRow) -> Iterator[Finding]:
    for rule in assignments.OF_DECISIONS:
        for ids in rule(decision):
            yield Finding(rule_name(rule), ids)


def of_request(request: RequestRow) -> Iterator[Finding]:
    for rule in keys.OF_REQUESTS:
        for ids in rule(request):
            yield Finding(rule_name(rule), ids)


def of_email(email: EmailRow) -> Iterator[Finding]:
    for rule in keys.OF_EMAILS:
        for ids in rule(email):
            yield Finding(rule_name(rule), ids)


def of_event(event: EventRow, terms: Terms) -> Iterator[Finding]:
    for rule in events.OF_EVENTS:
        for ids in rule(event, terms):
            yield Finding(rule_name(rule), ids)


def of_newest(event: NewestRow) -> Iterator[Finding]:
    for rule in events.OF_NEWEST:
        for ids in rule(event):
            yield Finding(rule_name(rule), ids)


def rule_name(rule: Callable[..., Ids]) -> str:
    return rule.__name__.replace("_", "-")
