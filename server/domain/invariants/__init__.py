"""What holds in a database at every moment.

Each invariant is a function that yields the ids for which it does not hold. Its name, with hyphens, is the rule that
a finding names; its docstring says what should be.
"""

from collections.abc import Iterable, Iterator

from server.domain.invariants import assignments, contractors, keys
from server.domain.invariants.books import Books, EmailRow, Entry, Finding, Ids, RequestRow, Terms


def rule_name(rule: object) -> str:
    return str(getattr(rule, "__name__", rule)).replace("_", "-")


def of_contractor(books: Books, terms: Terms) -> Iterator[Finding]:
    """When all its entries were noted."""
    for rule in contractors.RULES:
        yield from _findings(rule, rule(books, terms))


def of_entry(books: Books, entry: Entry, terms: Terms) -> Iterator[Finding]:
    for rule in assignments.RULES:
        yield from _findings(rule, rule(books, entry, terms))


def of_request(request: RequestRow) -> Iterator[Finding]:
    for rule in keys.OF_REQUESTS:
        yield from _findings(rule, rule(request))


def of_email(email: EmailRow) -> Iterator[Finding]:
    for rule in keys.OF_EMAILS:
        yield from _findings(rule, rule(email))


def _findings(rule: object, found: Ids | Iterable[tuple[str, ...]]) -> Iterator[Finding]:
    for ids in found:
        yield Finding(rule_name(rule), ids)
