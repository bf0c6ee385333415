"""The audit, over a database that is in use or at rest."""

from server.commands import audit as command
from tests.chaos.book import Book

MOST_KEPT = 5


async def audit(url: str, book: Book) -> None:
    report = await command.audit(url)
    if not report.rows["assignments"]:
        book.broken.append("audit: it saw no assignments")
    book.broken += [f"audit: {finding}" for finding in report.findings[:MOST_KEPT]]
    if report.total > MOST_KEPT:
        book.broken.append(f"audit: {report.total} findings in all")
