"""`optin audit`: reads a database and checks every invariant, beside a running server or at rest."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import typer
from sqlalchemy import URL, make_url

from server.domain import invariants
from server.domain.invariants.books import Books, Report, Terms
from server.domain.invariants.events import told_since
from server.domain.invariants.trail import broken_links, left_waiting
from server.domain.trail import TrailEntry
from server.storage.audit import Database, look_through
from server.storage.books import Part

MOST_PRINTED = 50
CARRIER_LIMIT = timedelta(seconds=10)  # as `optin serve` has it


async def audit(url: URL | str, *, now: datetime | None = None, limit: timedelta = CARRIER_LIMIT) -> Report:
    """What is wrong with the database that the URL names; nothing is, when `findings` is empty.

    `limit`: how long a carrier may take for one policy. Raises StorageUnavailable, SchemaTooOld, SchemaTooNew.
    """
    terms = Terms(now or datetime.now(UTC), limit)
    return await look_through(make_url(url), lambda database: _report(database, terms))


async def print_audit(url: URL, *, now: datetime | None, limit: timedelta) -> None:
    """Prints what was found. Raises typer.Exit with code 1 if anything was, and as `audit`."""
    began = time.monotonic()
    report = await audit(url, now=now, limit=limit)
    for finding in report.findings[:MOST_PRINTED]:
        print(finding)
    if report.total > MOST_PRINTED:
        print(f"and {report.total - MOST_PRINTED} more")
    rows = ", ".join(f"{count} {kind}" for kind, count in report.rows.items())
    findings = "1 finding" if report.total == 1 else f"{report.total or 'no'} findings"
    print(f"{findings}; {rows or 'no rows'} in {time.monotonic() - began:.1f} s")
    if report.total:
        raise typer.Exit(1)


def _report(database: Database, terms: Terms) -> Report:
    whole = Report()
    whole.add(database.damages())
    if whole.total:
        return whole  # what a damaged file says proves nothing
    database.require_current()
    whole.add(database.dangling())
    for part in database.parts(lambda part: _of_part(part, terms)):
        whole.merge(part)
    for decision in database.decisions():
        whole.add(invariants.of_decision(decision))
    for request in database.requests():
        whole.rows["requests"] += 1
        whole.add(invariants.of_request(request))
    for email in database.emails():
        whole.add(invariants.of_email(email))
    for event in database.events():
        whole.rows["events"] += 1
        whole.add(invariants.of_event(event, terms))
    whole.add(broken_links(_counted(database.trail(), whole)))
    whole.add(left_waiting(database.waiting_trail(), terms))
    newest = database.newest_event()
    if newest is not None:
        whole.add(invariants.of_newest(newest))
    return whole


def _counted(entries: Iterable[TrailEntry], whole: Report) -> Iterator[TrailEntry]:
    for entry in entries:
        whole.rows["trail entries"] += 1
        yield entry


def _of_part(part: Part, terms: Terms) -> Report:
    report = Report()
    oldest = part.oldest_event()
    if oldest is not None:
        terms = replace(terms, told_since=told_since(oldest, terms))
    books = part.books()
    seen = 0
    for entry in part.entries():
        its = books.get(entry.contractor) or books.setdefault(entry.contractor, Books(entry.contractor))
        its.note(entry)
        report.add(invariants.of_entry(its, entry, terms))
        seen += 1
    for its in books.values():
        report.add(invariants.of_contractor(its, terms))
    policies = sum(len(its.policies) for its in books.values())
    report.rows = Counter(contractors=len(books), policies=policies, assignments=seen)
    return report
